"""One module for each resource; each declares `OPERATIONS`."""

from __future__ import annotations

from tradewright.api.operations import Operation
from tradewright.api.routes import backtests, market, models, portfolios, research, signals, system


def all_operations() -> list[Operation]:
    """Return every operation of the API, in the order of the reference."""
    modules = (system, market, signals, models, research, backtests, portfolios)
    return [operation for module in modules for operation in module.OPERATIONS]
