"""What a serving process does besides answering: seal the audit log, store when keys were used, delete what is old.

Each is a loop in a thread of its own, made of short transactions: a process that ends between two of them leaves
nothing half done, and any number of processes may do it beside each other.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from tradewright.accounts.authentication import USES_APART_US, Authenticator
from tradewright.clock import Clock
from tradewright.errors import StorageFailed
from tradewright.storage import accounts, audit, retention
from tradewright.storage.database import Database

_SEAL_S = 0.25
_USES_S = 5.0
_RETENTION_S = 3600.0
_AFTER_FAILURE_S = 5.0
_END_S = 10.0
_BATCH = 500
_PAUSE_S = 0.05  # between two batches of a deletion, so that others get their turn
_log = logging.getLogger("tradewright.upkeep")


class Upkeep:
    """Runs the loops from `start` until `stop`. more: what else is repeated: the work, seconds between, its name."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        authenticator: Authenticator,
        more: Sequence[tuple[Callable[[], None], float, str]] = (),
    ) -> None:
        self._database = database
        self._clock = clock
        self._authenticator = authenticator
        self._uses: list[tuple[str, int, str, str]] = []  # to be stored
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(work, pause_s, name), name=name, daemon=True)
            for work, pause_s, name in (
                (self.seal, _SEAL_S, "sealer"),
                (self.store_uses, _USES_S, "uses"),
                (self.delete_old, _RETENTION_S, "retention"),
                *more,
            )
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the loops, and wait for them, but not for a database that says nothing. Seals what waits and stores the
        last uses."""
        self._stop.set()
        ending = threading.Thread(target=self._end, name="end of the upkeep", daemon=True)
        ending.start()
        ending.join(_END_S)
        if ending.is_alive():
            _log.error("the database does not answer; what is left is done by another process, or after the next start")

    def _end(self) -> None:
        for thread in self._threads:
            thread.join()
        for work in (self.store_uses, self.seal):
            _attempt(work, "the end")

    def seal(self) -> None:
        """Seal every entry of the audit log that waits."""
        while self._database.read(audit.waiting) and self._database.write(audit.seal, _BATCH, self._clock.now_us()):
            continue

    def store_uses(self) -> None:
        """Store when keys were used last."""
        self._uses += self._authenticator.take_uses()
        while self._uses:  # those that cannot be stored are, a later round
            self._database.write(accounts.note_uses, self._uses[:_BATCH], USES_APART_US)
            del self._uses[:_BATCH]

    def delete_old(self) -> None:
        """Delete what is older than the table of retention says."""
        for rule in retention.RULES:
            while self._database.write(retention.delete_batch, rule, self._clock.now_us(), _BATCH) == _BATCH:
                if self._stop.wait(_PAUSE_S):
                    return

    def _repeat(self, work: Callable[[], None], pause_s: float, name: str) -> None:
        done = True
        while not self._stop.wait(pause_s if done else max(pause_s, _AFTER_FAILURE_S)):
            done = _attempt(work, name)


def _attempt(work: Callable[[], None], name: str) -> bool:
    try:
        work()
    except StorageFailed as error:  # what was to be done is still there for the next round
        _log.error("%s: %s", name, error)
        return False
    except Exception:  # noqa: BLE001 - the supervised loop: logged, and what was to be done is still there
        _log.exception("%s failed; the next round tries again", name)
        return False
    return True
