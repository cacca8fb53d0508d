"""Ingestions that are asked for again and again: what, how often, and what became of the last turn.

A schedule that is paused has no `next_at`. `ingestion` is the one that the last turn made, None when that was refused,
and `said` then tells why. `left_out` counts the turns since that came before it had ended.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import ingestion_schedules, ingestions, jobs

_S = ingestion_schedules.c


def add(tx: Tx, row: dict[str, Any]) -> None:
    """Store a schedule that has had no turn yet."""
    fresh = {"ingestion": None, "turn_at": None, "said": "", "left_out": 0, "failures": 0}
    tx.execute(ingestion_schedules.insert().values(**fresh, **row))


def get(tx: Tx, organization: str, environment: str, schedule: str, lock: bool = False) -> dict[str, Any] | None:
    """Return one schedule with the state of its last ingestion, None when there is none. lock: nobody changes it, and
    it has no turn, until the transaction ends."""
    query = _with_last().where(*_mine(organization, environment), _S.id == schedule)
    row = tx.execute(query.with_for_update(of=ingestion_schedules) if lock else query).mappings().first()
    return None if row is None else dict(row)


def list_page(
    tx: Tx, organization: str, environment: str, limit: int, descending: bool, after: str | None
) -> list[dict[str, Any]]:
    """Return up to `limit` schedules by id (ids order by creation), after the id `after`."""
    query = _with_last().where(*_mine(organization, environment))
    if after is not None:
        query = query.where(_S.id < after if descending else _S.id > after)
    return [
        dict(row) for row in tx.execute(query.order_by(_S.id.desc() if descending else _S.id).limit(limit)).mappings()
    ]


def change(tx: Tx, schedule: str, **values: Any) -> None:
    """Give columns of a schedule other values."""
    tx.execute(ingestion_schedules.update().where(_S.id == schedule).values(values))


def remove(tx: Tx, organization: str, environment: str, schedule: str) -> bool:
    """Delete a schedule; its ingestions stay. Return False when there was none."""
    query = ingestion_schedules.delete().where(*_mine(organization, environment), _S.id == schedule)
    return tx.execute(query).rowcount == 1


def due(tx: Tx, until_us: int, beyond_us: int, limit: int) -> list[str]:
    """Return the ids of schedules whose turn lies at until_us or before, or after beyond_us, the longest waiting
    first."""
    query = sa.select(_S.id).where(_is_due(until_us, beyond_us)).order_by(_S.next_at).limit(limit)
    return list(tx.execute(query).scalars())


def organization_of(tx: Tx, schedule: str) -> str | None:
    """Return whose a schedule is, None when there is none."""
    return tx.execute(sa.select(_S.organization).where(_S.id == schedule)).scalar_one_or_none()


def claim(tx: Tx, schedule: str, until_us: int, beyond_us: int) -> dict[str, Any] | None:
    """Return a schedule whose turn has come for this transaction alone; None when another one has it, or had it."""
    query = _with_last().where(_S.id == schedule, _is_due(until_us, beyond_us))
    row = tx.execute(query.with_for_update(of=ingestion_schedules, skip_locked=True)).mappings().first()
    return None if row is None else dict(row)


def of_ingestion(tx: Tx, ingestion: str) -> dict[str, Any] | None:
    """Return the schedule whose last turn made this ingestion, None when none did; nobody changes it meanwhile."""
    row = (
        tx.execute(sa.select(ingestion_schedules).where(_S.ingestion == ingestion).with_for_update()).mappings().first()
    )
    return None if row is None else dict(row)


def outcome(row: dict[str, Any]) -> tuple[str, str]:
    """Return what became of the last turn of a schedule that was read with it: a status and one line.

    The status is that of the ingestion; `refused` when none was made, `waiting` before the first one.
    """
    if row["ingestion"] is None:
        return ("waiting" if row["turn_at"] is None else "refused"), row["said"]
    status = row["status"] or "succeeded"
    if row["said"]:
        return status, row["said"]
    if row["left_out"]:
        return status, f"{row['left_out']} turn(s) left out: it has not ended"
    if row["error"] is not None:
        return status, row["error"]["message"]
    return status, f"{row['report']['stored']} new rows" if row["report"] else row["message"] or ""


def _is_due(until_us: int, beyond_us: int) -> sa.ColumnElement[bool]:
    return sa.or_(_S.next_at <= until_us, _S.next_at > beyond_us)


def _mine(organization: str, environment: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (_S.organization == organization, _S.environment == environment)


def _with_last() -> sa.Select[Any]:
    last = (jobs.c.status, jobs.c.message, jobs.c.error, ingestions.c.report)
    joined = ingestion_schedules.outerjoin(ingestions, ingestions.c.id == _S.ingestion)
    joined = joined.outerjoin(jobs, jobs.c.id == ingestions.c.job)
    return sa.select(ingestion_schedules, *last).select_from(joined)
