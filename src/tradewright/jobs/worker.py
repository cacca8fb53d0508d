"""Workers: each takes jobs off the queue one at a time and runs each in a child process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tradewright import ids
from tradewright.clock import Clock
from tradewright.errors import Cancelled, StorageFailed, TradewrightError
from tradewright.jobs.compute import Interrupted, Report
from tradewright.storage import jobs
from tradewright.storage.database import Database, Tx

_LEASE_US = 60_000_000
_POLL_S = 1.0
ATTEMPTS = 5
_log = logging.getLogger("tradewright.jobs")

Handler = Callable[[dict[str, Any], Report], Any]
Finished = Callable[[Tx, dict[str, Any], str, int], None]


class Lanes:
    """The lanes that the jobs of this process are on. Workers that share them do no two jobs of one lane at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy: set[str] = set()

    def take(self, claim: Callable[[Collection[str]], dict[str, Any] | None]) -> dict[str, Any] | None:
        """Return the job that `claim` finds outside of the lanes that it is handed; its own is busy from now on."""
        with self._lock:
            job = claim(sorted(self._busy))
            if job is not None and job["lane"] is not None:
                self._busy.add(job["lane"])
            return job

    def leave(self, job: Mapping[str, Any]) -> None:
        """Let the lane of a job be taken by another."""
        with self._lock:
            self._busy.discard(job["lane"])


class Worker:
    """Runs jobs of the kinds it has handlers of, until it is stopped. handlers: by kind of job; each gets the job's row
    and says how far it is.

    finished: called inside the transaction that ends a job, to tell others. lanes: those that it shares with others.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        handlers: Mapping[str, Handler],
        finished: Finished | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._handlers = handlers
        self._finished = finished
        self._lanes = lanes or Lanes()
        self._kinds = tuple(handlers)
        self._name = ids.new("wrk")
        self._wake = threading.Event()
        self._stop = threading.Event()

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def stop(self) -> None:
        """End after giving the running job back to the queue."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Work until `stop`; returns then."""
        while not self._stop.is_set():
            try:
                job = self._lanes.take(self._claim)
                if job is not None:
                    try:
                        self._work(job)
                    finally:
                        self._lanes.leave(job)
                    continue
            except StorageFailed as error:  # a job that was running is found again when its lease runs out
                _log.error("the queue cannot be reached: %s", error)
            except Exception:  # noqa: BLE001 - the supervised loop: logged, and the next round tries again
                _log.exception("a round of the queue failed")
            self._wake.wait(_POLL_S)
            self._wake.clear()
        try:
            self._database.write(jobs.release, self._name)
        except StorageFailed as error:
            _log.error("a job is given back when its lease runs out: %s", error)

    def _claim(self, busy: Collection[str]) -> dict[str, Any] | None:
        return self._database.write(jobs.claim, self._name, self._clock.now_us(), _LEASE_US, self._kinds, busy)

    def _work(self, job: dict[str, Any]) -> None:
        if job["attempts"] > ATTEMPTS:
            message = f"the process that worked on it was gone {ATTEMPTS} times; it is not tried again: ask for less"
            _log.error("job %s is given up: %s", job["id"], message)
            self._end(job, "failed", error={"code": "internal_error", "message": message})
            return

        def report(progress: float, message: str) -> bool:
            lease = self._clock.now_us() + _LEASE_US
            asked = self._database.write(jobs.report, job["id"], progress, message, lease)
            return asked or self._stop.is_set()

        try:
            result = self._handlers[job["kind"]](job, report)
        except Cancelled as error:
            if not self._stop.is_set():
                self._end(job, "cancelled", error={"code": error.code, "message": error.message})
        except Interrupted:
            _log.warning("job %s was interrupted; it goes back to the queue", job["id"])
            self._database.write(jobs.release, self._name, True)
        except TradewrightError as error:
            if isinstance(error, StorageFailed):
                _log.error("job %s failed: %s", job["id"], error)
            self._end(job, "failed", error={"code": error.code, "message": error.message})
        except Exception as error:  # noqa: BLE001 - the supervised loop: logged, told, and the next job goes on
            _log.exception("job %s failed", job["id"])
            self._end(job, "failed", error={"code": "internal_error", "message": f"it failed: {type(error).__name__}"})
        else:
            self._end(job, "succeeded", result=result)

    def _end(self, job: dict[str, Any], status: str, **outcome: Any) -> None:
        now_us = self._clock.now_us()

        def end(tx: Tx) -> None:
            if jobs.finish(tx, job["id"], status, now_us, **outcome) and self._finished is not None:
                self._finished(tx, job, status, now_us)

        self._database.write(end)
