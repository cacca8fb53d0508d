"""The turns of schedules: whoever runs jobs looks every few seconds whose turn has come, and asks for the ingestion.

A turn is one transaction that holds the schedule's row, so that of several processes one has it. It asks for nothing
while the last ingestion has not ended, and where the ingestion is refused the schedule says why. When one ends,
`told` lets its schedule know: after a failure the next turn is another one than usual (`sources/turns.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from tradewright.app.source_commands import opted_in
from tradewright.clock import Clock
from tradewright.errors import InvalidInput, SourceRefused, StorageFailed, TradewrightError
from tradewright.ids import Owner
from tradewright.market.instruments import Interval
from tradewright.sources import asking, turns
from tradewright.sources.continuing import Wanted, read_begins
from tradewright.sources.registry import SOURCES
from tradewright.storage import bounds, ingestion_schedules, ingestions, jobs, people, third_parties
from tradewright.storage.database import Database, Tx

POLL_S = 5.0
MAX_WAITING = asking.MAX_UNFINISHED // 2  # the rest is left to those who ask themselves
_BATCH = 100
_PLACE_US = 60_000_000
_log = logging.getLogger("tradewright.scheduling")


class Scheduler:
    """Gives schedules their turns. wake: called when there is something to do for a worker."""

    def __init__(self, database: Database, clock: Clock, wake: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._wake = wake

    def run(self) -> None:
        """Give each schedule whose turn has come its turn. Raises StorageFailed."""
        now_us = self._clock.now_us()
        waiting = self._database.read(ingestion_schedules.due, now_us, now_us + turns.AHEAD_US, _BATCH)
        made = [self._turn(schedule) for schedule in waiting]
        if any(made):
            self._wake()

    def _turn(self, schedule: str) -> bool:
        now_us = self._clock.now_us()
        try:
            return self._database.write(take_turn, schedule, now_us)
        except StorageFailed as error:  # its turn is still to come
            _log.error("the turn of schedule %s has to wait: %s", schedule, error)
            return False
        except Exception as error:  # noqa: BLE001 - the supervised loop: logged, told, and the next schedule goes on
            _log.exception("the turn of schedule %s failed", schedule)
            self._database.write(_refuse, schedule, now_us, f"it failed: {type(error).__name__}")
            return False


def take_turn(tx: Tx, schedule: str, now_us: int) -> bool:
    """Ask for the ingestion of a schedule whose turn has come; return whether that was done.

    Nothing is done when another process has the turn.
    """
    whose = ingestion_schedules.organization_of(tx, schedule)
    if whose is not None:
        people.get_organization(tx, whose, lock=True)  # first, as every change of the organization does
    row = ingestion_schedules.claim(tx, schedule, now_us, now_us + turns.AHEAD_US)
    if row is None:
        return False
    next_us = turns.next_turn(row["every"], row["next_at"], now_us)
    if row["ingestion"] is not None and row["status"] not in (None, *jobs.ENDED):
        ingestion_schedules.change(tx, schedule, next_at=next_us, left_out=row["left_out"] + 1)
        return False
    if bounds.unfinished(tx, "ingestion", row["organization"]) >= MAX_WAITING:
        why = f"waits: the organization has {MAX_WAITING} ingestions that have not ended"
        ingestion_schedules.change(tx, schedule, next_at=now_us + _PLACE_US, said=why)
        return False
    try:
        request = request_of(tx, row, now_us)
    except TradewrightError as error:
        _refused(tx, row, now_us, error.message)
        return False
    tenant = (row["organization"], row["environment"])
    made = ingestions.order(tx, *tenant, row["owner"], row["source"], request, now_us, schedule)
    ingestion_schedules.change(tx, schedule, next_at=next_us, turn_at=now_us, ingestion=made, said="", left_out=0)
    return True


def told(tx: Tx, ingestion: str, status: str, now_us: int) -> None:
    """Let the schedule that asked for an ingestion know how it ended. One that is paused stays so."""
    row = ingestion_schedules.of_ingestion(tx, ingestion)
    if row is None or status == "cancelled":
        return
    failures = row["failures"] + 1 if status == "failed" else 0
    later = {"next_at": turns.retry_turn(failures, now_us)} if failures and row["next_at"] is not None else {}
    ingestion_schedules.change(tx, row["id"], failures=failures, **later)


def request_of(tx: Tx, row: dict[str, Any], now_us: int) -> dict[str, Any]:
    """Return what a schedule asks for in a turn now. Raises InvalidInput and UnknownName for what its source cannot be
    asked, SourceRefused without the credentials it needs."""
    name, owner = row["source"], Owner(row["owner"])
    known, faults = asking.request_faults(name, row["instruments"], row["interval"])
    _raise_first(faults)
    source = SOURCES.get(name)
    if source is not None and source.opt_in and name not in opted_in():
        raise InvalidInput(f"{source.title} is off here: {source.opt_in}; an operator can turn it on")
    kept = third_parties.credentials(tx, row["organization"], name)
    if source is not None and source.auth.needed and kept is None:
        raise SourceRefused(
            f"{source.title} needs {' and '.join(source.auth.fields)}: {source.auth.where}; keep them with "
            f"`tradewright sources credentials {name}` or PUT /v1/sources/{name}/credentials"
        )
    begins = read_begins(tx, Wanted(owner, name, tuple(known), Interval.parse(row["interval"]), now_us), now_us)
    _raise_first(asking.span_faults(name, begins.values(), row["interval"], now_us))
    words = {"instruments": known, "interval": row["interval"], "start": None, "end": None}
    return {**words, "start_us": min(begins.values()), "end_us": now_us, "begins": begins}


def _raise_first(faults: list[asking.Fault]) -> None:
    for _, error in faults:
        raise error


def _refuse(tx: Tx, schedule: str, now_us: int, why: str) -> None:
    row = ingestion_schedules.claim(tx, schedule, now_us, now_us + turns.AHEAD_US)
    if row is not None:
        _refused(tx, row, now_us, why)


def _refused(tx: Tx, row: dict[str, Any], now_us: int, why: str) -> None:
    failures = row["failures"] + 1
    ingestion_schedules.change(
        tx,
        row["id"],
        next_at=turns.retry_turn(failures, now_us),
        turn_at=now_us,
        ingestion=None,
        said=why,
        left_out=0,
        failures=failures,
    )
