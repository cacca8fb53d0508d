"""The research API of a notebook. Names are imported when first used, so that importing the package costs nothing."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradewright.market.load import load_panel as load_panel
    from tradewright.market.panel import Panel as Panel
    from tradewright.research.backtest import backtest as backtest
    from tradewright.research.walk_forward import walk_forward as walk_forward
    from tradewright.simulation.costs import Costs as Costs
    from tradewright.strategies.contract import Strategy as Strategy
    from tradewright.strategies.contract import Targets as Targets

_NAMES = {
    "Panel": "tradewright.market.panel",
    "load_panel": "tradewright.market.load",
    "backtest": "tradewright.research.backtest",
    "walk_forward": "tradewright.research.walk_forward",
    "Costs": "tradewright.simulation.costs",
    "Strategy": "tradewright.strategies.contract",
    "Targets": "tradewright.strategies.contract",
}
_MODULES = {"strategies": "strategies", "models": "learning.models", "evaluation": "evaluation", "errors": "errors"}

__all__ = ["__version__", *_NAMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = import_module(f"tradewright.{_MODULES[name]}")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("tradewright")
    else:
        raise AttributeError(f"tradewright has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
