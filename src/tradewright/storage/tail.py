"""The tail of live bars: each durable at once, moved into the long-term store in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tradewright.ids import Owner
from tradewright.storage.database import Tx
from tradewright.storage.series import last_times
from tradewright.storage.tables import bar_tail

Row = dict[str, Any]
_TAIL = [column for column in bar_tail.c if column.name not in ("id", "owner", "batch")]


def insert(tx: Tx, owner: Owner, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add live bars: the columns of the canonical frame."""
    listed = [{**row, "owner": owner, "batch": None} for row in rows]
    if listed:
        tx.execute(bar_tail.insert(), listed)


def read(
    tx: Tx,
    owners: Sequence[Owner],
    source: str,
    instruments: Sequence[str] | None,
    interval: str,
    bounds: Mapping[str, int | None],
) -> list[Row]:
    """Return live bars that are not yet in the long-term store, `owner` included.

    bounds: `start`, `end` (of time, both included), `as_of` (known_at at most), `recorded_before` (observed_at below).
    """
    t = bar_tail.c
    query = sa.select(t.owner, *_TAIL).where(t.owner.in_(owners), t.interval == interval, t.source == source)
    if instruments is not None:
        query = query.where(t.instrument.in_(instruments))
    start, end = bounds.get("start"), bounds.get("end")
    as_of, recorded_before = bounds.get("as_of"), bounds.get("recorded_before")
    if start is not None:
        query = query.where(t.time >= start)
    if end is not None:
        query = query.where(t.time <= end)
    if as_of is not None:
        query = query.where(t.known_at <= as_of)
    if recorded_before is not None:
        query = query.where(t.observed_at < recorded_before)
    return _rows(tx.execute(query.order_by(t.id)))


def newest_times(tx: Tx, owner: Owner, source: str, interval: str, instruments: Sequence[str]) -> dict[str, int]:
    """Return by instrument when the newest bar ends that exactly this owner has, the tail included; of those with
    any."""
    t = bar_tail.c
    query = sa.select(t.instrument, sa.func.max(t.time).label("time")).group_by(t.instrument)
    query = query.where(t.owner == owner, t.interval == interval, t.source == source, t.instrument.in_(instruments))
    found = last_times(tx, owner, source, interval, instruments)
    for row in tx.execute(query):
        found[row.instrument] = max(row.time, found.get(row.instrument, row.time))
    return found


def mark(tx: Tx, owner: Owner, interval: str, batch: str, limit: int) -> int:
    """Give the oldest unmarked rows of an owner and interval a batch id; return how many."""
    t = bar_tail.c
    oldest = (
        sa.select(t.id).where(t.owner == owner, t.interval == interval, t.batch.is_(None)).order_by(t.id).limit(limit)
    )
    done = tx.execute(sa.update(bar_tail).where(t.id.in_(oldest), t.batch.is_(None)).values(batch=batch))
    return done.rowcount


def groups(tx: Tx, owner: Owner | None) -> list[tuple[str, str]]:
    """Return (owner, interval) of everything unmarked in the tail. owner: only this one."""
    t = bar_tail.c
    query = sa.select(t.owner, t.interval).where(t.batch.is_(None)).distinct().order_by(t.owner, t.interval)
    query = query if owner is None else query.where(t.owner == owner)
    return [(row.owner, row.interval) for row in tx.execute(query)]


def batches(tx: Tx, owner: Owner | None) -> list[tuple[str, str, str]]:
    """Return (batch, owner, interval) of batches that were marked and not yet removed. owner: only this one."""
    t = bar_tail.c
    query = sa.select(t.batch, t.owner, t.interval).where(t.batch.is_not(None)).distinct().order_by(t.batch)
    query = query if owner is None else query.where(t.owner == owner)
    return [(row.batch, row.owner, row.interval) for row in tx.execute(query)]


def batch_rows(tx: Tx, batch: str) -> list[Row]:
    """Return the rows of a batch, in the order they came."""
    return _rows(tx.execute(sa.select(*_TAIL).where(bar_tail.c.batch == batch).order_by(bar_tail.c.id)))


def remove_batch(tx: Tx, batch: str) -> int:
    """Delete the rows of a batch, which are in the long-term store now; return how many."""
    return tx.execute(sa.delete(bar_tail).where(bar_tail.c.batch == batch)).rowcount


def _rows(result: sa.CursorResult[Any]) -> list[Row]:
    return [dict(row) for row in result.mappings()]
