"""The jobs of this installation, bound to what does them."""

from __future__ import annotations

from typing import Any

from tradewright.app.child import COMMAND
from tradewright.app.export_task import write_export
from tradewright.app.house import open_catalog
from tradewright.app.preparation import settings_to
from tradewright.clock import Clock
from tradewright.ids import Owner
from tradewright.jobs.compute import Report, run_child
from tradewright.jobs.worker import Worker
from tradewright.settings import Settings
from tradewright.storage import outbox
from tradewright.storage.database import Database, Tx


def build_worker(database: Database, clock: Clock, settings: Settings) -> Worker:
    """Return a worker that knows every kind of job."""

    def backtest(job: dict[str, Any], report: Report) -> Any:
        payload = {
            **job["payload"],
            "settings": settings_to(settings),
            "organization": job["organization"],
            "environment": job["environment"],
        }
        return run_child(COMMAND, "backtest", payload, report)

    def export(job: dict[str, Any], report: Report) -> Any:
        return write_export(database, clock, job, report)

    def forget_bars(job: dict[str, Any], _: Report) -> Any:
        return {"files": open_catalog(settings, database).forget(Owner(job["payload"]["owner"]))}

    handlers = {"backtest": backtest, "export": export, "forget_bars": forget_bars}
    return Worker(database, clock, handlers, _finished)


def _finished(tx: Tx, job: dict[str, Any], status: str, now_us: int) -> None:
    if job["kind"] != "backtest":
        return
    subject = job["payload"]["backtest"]
    event = ("backtest.finished", subject, None, {"id": subject, "status": status})
    outbox.append(tx, job["organization"], job["environment"], [event], now_us)
