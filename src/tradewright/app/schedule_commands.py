"""What the commands about schedules do. Turns are had while `tradewright worker` or `up` runs on the same
folder and database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tradewright import ids
from tradewright.app import house, scheduling
from tradewright.clock import WallClock, format_us
from tradewright.errors import Conflict, InvalidInput, NotFound
from tradewright.ids import SYSTEM
from tradewright.settings import Settings
from tradewright.sources import turns
from tradewright.storage import audit, bounds, ingestion_schedules, third_parties
from tradewright.storage.database import Database, Tx

ENVIRONMENT = "paper"
_MOST = 500


def add(settings: Settings, source: str, instruments: Sequence[str], interval: str, every: str) -> dict[str, Any]:
    """Store a schedule that begins at once, or at its time of day; return it.

    Raises InvalidInput and UnknownName for what the source cannot be asked, SourceRefused without the credentials it
    needs, Conflict when there are too many.
    """
    if not turns.is_valid(every):
        known = ", ".join(turns.PERIODS)
        raise InvalidInput(f"--every is {every!r}; write {known}, or a time of day in UTC such as 06:30")
    now_us = WallClock().now_us()
    with _opened(settings) as (database, organization):

        def keep(tx: Tx) -> dict[str, Any]:
            if bounds.held(tx, "ingestion_schedules", organization) >= turns.MAX_SCHEDULES:
                raise Conflict(f"there are {turns.MAX_SCHEDULES} schedules, and may be no more; remove one first")
            kept = third_parties.credentials(tx, organization, source) is not None
            row: dict[str, Any] = {
                "id": ids.new("isc"),
                "organization": organization,
                "environment": ENVIRONMENT,
                "owner": organization if kept else SYSTEM,
                "source": source,
                "instruments": list(instruments),
                "interval": interval,
                "every": every,
                "next_at": turns.first_turn(every, now_us),
                "created_at": now_us,
            }
            row["instruments"] = scheduling.request_of(tx, row, now_us)["instruments"]
            ingestion_schedules.add(tx, row)
            _record(tx, organization, "create", row["id"], {"source": source, "every": every}, now_us)
            return _shown(_found(tx, organization, row["id"]))

        return database.write(keep)


def listed(settings: Settings) -> list[dict[str, Any]]:
    """Return the schedules there are, the newest first, with what became of the last turn of each; none, and no folder
    is made, where there is no installation."""
    if not settings.database_url and not (settings.data_folder / "tradewright.db").exists():
        return []
    with _opened(settings) as (database, organization):
        rows = database.read(ingestion_schedules.list_page, organization, ENVIRONMENT, _MOST, True, None)
    return [_shown(row) for row in rows]


def pause(settings: Settings, schedule: str) -> dict[str, Any]:
    """Give a schedule no more turns until it is resumed; return it. Raises NotFound."""
    return _changed(settings, schedule, False)


def resume(settings: Settings, schedule: str) -> dict[str, Any]:
    """Give a schedule turns again, as if it were new; return it. Raises NotFound."""
    return _changed(settings, schedule, True)


def remove(settings: Settings, schedule: str) -> dict[str, Any]:
    """Delete a schedule; what it brought in stays. Raises NotFound."""
    now_us = WallClock().now_us()
    with _opened(settings) as (database, organization):

        def go(tx: Tx) -> None:
            _found(tx, organization, schedule)
            ingestion_schedules.remove(tx, organization, ENVIRONMENT, schedule)
            _record(tx, organization, "delete", schedule, {}, now_us)

        database.write(go)
    return {"id": schedule, "removed": True}


def _changed(settings: Settings, schedule: str, enabled: bool) -> dict[str, Any]:
    now_us = WallClock().now_us()
    with _opened(settings) as (database, organization):

        def change(tx: Tx) -> dict[str, Any]:
            row = _found(tx, organization, schedule)
            if enabled != (row["next_at"] is not None):
                fresh = {"next_at": turns.first_turn(row["every"], now_us), "failures": 0}
                ingestion_schedules.change(tx, schedule, **(fresh if enabled else {"next_at": None}))
                _record(tx, organization, "update", schedule, {"changed": ["enabled"]}, now_us)
            return _shown(_found(tx, organization, schedule))

        return database.write(change)


def _found(tx: Tx, organization: str, schedule: str) -> dict[str, Any]:
    row = ingestion_schedules.get(tx, organization, ENVIRONMENT, schedule, lock=True)
    if row is None:
        raise NotFound(f"there is no schedule {schedule!r}; `tradewright schedules list` shows them")
    return row


def _record(tx: Tx, organization: str, what: str, schedule: str, detail: dict[str, Any], now_us: int) -> None:
    action = f"ingestion_schedule.{what}"
    audit.record(tx, organization, ENVIRONMENT, house.OPERATOR, action, schedule, detail, now_us)


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Database, str]]:
    with house.open_database(settings) as database:
        yield database, database.write(house.ensure_organization, WallClock().now_us())


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    had = row["turn_at"] is not None or bool(row["said"])
    status, message = ingestion_schedules.outcome(row) if had else ("", "")
    return {
        "id": row["id"],
        "source": row["source"],
        "owner": row["owner"],
        "instruments": row["instruments"],
        "interval": row["interval"],
        "every": row["every"],
        "enabled": row["next_at"] is not None,
        "next_at": "" if row["next_at"] is None else format_us(row["next_at"]),
        "failures": row["failures"],
        "last_at": "" if row["turn_at"] is None else format_us(row["turn_at"]),
        "last_ingestion": row["ingestion"] or "",
        "last_status": status,
        "last_message": message,
    }
