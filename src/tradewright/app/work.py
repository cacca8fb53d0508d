"""The jobs of this installation, bound to what does them."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from tradewright.app import scheduling
from tradewright.app.child import COMMAND
from tradewright.app.export_task import write_export
from tradewright.app.house import open_catalog, settings_to
from tradewright.clock import Clock
from tradewright.ids import Owner
from tradewright.jobs.compute import Report, run_child
from tradewright.jobs.worker import Handler, Lanes, Worker
from tradewright.market.dated import actions_of, facts_of
from tradewright.settings import Settings
from tradewright.storage import ingestions, outbox, people, quarantine
from tradewright.storage.database import Database, Tx

_END_S = 20.0
_log = logging.getLogger("tradewright.jobs")
INGESTIONS_AT_ONCE = 4  # in a process, each from another source or for another owner: limits of a source hold


class Hands:
    """The workers of a process: one for what computes, INGESTIONS_AT_ONCE for what waits for third parties."""

    def __init__(self, workers: tuple[Worker, ...]) -> None:
        self._workers = workers
        self._threads = [threading.Thread(target=worker.run, name="worker", daemon=True) for worker in workers]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look for work now."""
        for worker in self._workers:
            worker.wake()

    def stop(self) -> None:
        """End after giving running jobs back to the queue."""
        for worker in self._workers:
            worker.stop()

    def join(self) -> None:
        """Return when all have ended, or when the database does not let them: then their jobs are found again once
        their leases have run out."""
        until = time.monotonic() + _END_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            _log.error("workers do not end: the database does not answer; others go on with their jobs")


def build_hands(database: Database, clock: Clock, settings: Settings) -> Hands:
    """Return workers for every kind of job."""

    def child(task: str) -> Handler:
        def run(job: dict[str, Any], report: Report) -> Any:
            whose = {"organization": job["organization"], "environment": job["environment"]}
            try:
                return run_child(COMMAND, task, {**job["payload"], "settings": settings_to(settings), **whose}, report)
            finally:  # what it had begun to write into files when its organization was deleted
                if whose["organization"] and database.read(people.get_organization, whose["organization"]) is None:
                    forget(Owner(whose["organization"]))

        return run

    def forget(owner: Owner) -> int:
        dated = (actions_of(settings.data_folder), facts_of(settings.data_folder))
        return open_catalog(settings, database).forget(owner) + sum(each.forget(owner) for each in dated)

    def export(job: dict[str, Any], report: Report) -> Any:
        return write_export(database, clock, job, report)

    def forget_bars(job: dict[str, Any], _: Report) -> Any:
        return {"files": forget(Owner(job["payload"]["owner"]))}

    computing = {"backtest": child("backtest"), "export": export, "forget_bars": forget_bars}
    computing["release"] = child("release")
    waiting, lanes = {"ingestion": child("ingestion")}, Lanes()
    at_once = [Worker(database, clock, waiting, _finished, lanes) for _ in range(INGESTIONS_AT_ONCE)]
    return Hands((Worker(database, clock, computing, _finished), *at_once))


def _finished(tx: Tx, job: dict[str, Any], status: str, now_us: int) -> None:
    if job["kind"] == "release":
        if status != "succeeded":
            key = (job["payload"][name] for name in ("source", "instrument", "interval"))
            quarantine.hold_again(tx, Owner(job["payload"]["owner"]), *key)
        return
    if job["kind"] == "backtest":
        subject = job["payload"]["backtest"]
        event = ("backtest.finished", subject, None, {"id": subject, "status": status})
    elif job["kind"] == "ingestion":
        event = ingestions.finished(tx, job, status)
        scheduling.told(tx, event[1], status, now_us)
    else:
        return
    outbox.append(tx, job["organization"], job["environment"], [event], now_us)
