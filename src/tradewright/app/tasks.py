"""What a child process can be told to do, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tradewright.app.backtest_task import run_backtest
from tradewright.app.ingestion_task import run_ingestion
from tradewright.app.preparation import prepare
from tradewright.app.release_task import run_release

TASKS: dict[str, Callable[[dict[str, Any], Callable[[float, str], None]], Any]] = {
    "prepare": prepare,
    "backtest": run_backtest,
    "ingestion": run_ingestion,
    "release": run_release,
}
