"""What the database knows about market data: instruments, series and their verdicts, data sets, quarantine.

Every function takes the transaction first. Rows are dictionaries with the column names of storage/tables. Readers of
an owner also see what belongs to `system`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa

from tradewright.ids import ENVIRONMENTS, SYSTEM, Owner
from tradewright.storage import outbox
from tradewright.storage.changes import reads
from tradewright.storage.database import Tx, one_statement
from tradewright.storage.reading import Reading
from tradewright.storage.tables import bar_tail, data_sets, instrument_aliases, instruments, quarantine, series
from tradewright.storage.writing import add, put

Row = dict[str, Any]

_PLACE = ("owner", "source", "instrument", "interval")


def _rows(result: sa.CursorResult[Any] | sa.Result[Any]) -> list[Row]:
    return [dict(row) for row in result.mappings()]


def _visible(column: sa.Column[Any], owner: Owner) -> sa.ColumnElement[bool]:
    return column.in_({owner, SYSTEM})


# --- instruments ------------------------------------------------------------------------------------------------------


def upsert_instruments(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Store instruments; those that exist get the new values but keep their `created_at`."""
    put(tx, instruments, list(rows), kept=("created_at",))


def add_instruments(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Store instruments; those that exist stay as they are."""
    add(tx, instruments, list(rows))


@one_statement
def get_instrument(tx: Tx, instrument: str) -> Row | None:
    """Return one instrument, None when there is none."""
    return _instruments(False, False, True).first(tx, {"id": instrument})


def get_instruments(tx: Tx, ids: Sequence[str]) -> list[Row]:
    """Return those of `ids` that exist, ascending by id."""
    return _rows(tx.execute(sa.select(instruments).where(instruments.c.id.in_(ids)).order_by(instruments.c.id)))


@one_statement
def list_instruments(tx: Tx, after_id: str | None = None, limit: int = 50, descending: bool = False) -> list[Row]:
    """Return up to `limit` instruments after `after_id` in the order of their ids."""
    return _instruments(after_id is not None, descending, False).dicts(tx, {"id": after_id, "rows": limit})


@cache
def _instruments(after: bool, descending: bool, one: bool) -> Reading:
    column, given = instruments.c.id, sa.bindparam("id", type_=sa.Text)
    if one:
        return Reading(sa.select(instruments).where(column == given))
    query = sa.select(instruments).order_by(column.desc() if descending else column)
    if after:
        query = query.where(column < given if descending else column > given)
    return Reading(query.limit(sa.bindparam("rows", type_=sa.Integer)))


def add_aliases(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Store what sources call an instrument: source, symbol, valid_from, valid_to, instrument. Known ones stay."""
    add(tx, instrument_aliases, list(rows))


def resolve_alias(tx: Tx, source: str, symbol: str, at_us: int) -> str | None:
    """Return the instrument id that `source` called `symbol` at that moment, None when unknown."""
    a = instrument_aliases.c
    query = (
        sa.select(a.instrument)
        .where(a.source == source, a.symbol == symbol, a.valid_from <= at_us)
        .where(sa.or_(a.valid_to.is_(None), a.valid_to > at_us))
        .order_by(a.valid_from.desc())
    )
    return tx.execute(query).scalars().first()


# --- series, data sets ------------------------------------------------------------------------------------------------


def save_series(tx: Tx, row: Mapping[str, Any]) -> None:
    """Store what is known of a series, its verdict included; `created_at` stays that of the first time.

    Another verdict than before is told, in the same transaction: to everybody where the owner is `system`, else in
    every environment of the owner, since they all read the series.
    """
    place = sa.and_(*(series.c[name] == row[name] for name in _PLACE))
    before = tx.execute(sa.select(series.c.verdict).where(place).with_for_update()).scalar_one_or_none()
    put(tx, series, [row], kept=("created_at",))
    if before is None or before == row["verdict"]:
        return
    told = {name: row[name] for name in ("source", "instrument", "interval", "verdict")} | {"before": before}
    event = ("verdict.changed", row["instrument"], None, told)
    shared = row["owner"] == SYSTEM
    for organization, environment in [(None, None)] if shared else [(row["owner"], each) for each in ENVIRONMENTS]:
        outbox.append(tx, organization, environment, [event], row["checked_at"] or row["created_at"])


def get_series(tx: Tx, owner: Owner, source: str, instrument: str, interval: str, lock: bool = False) -> Row | None:
    """Return one series of exactly this owner, None when there is none. lock: nobody writes it until the transaction
    ends."""
    s = series.c
    query = sa.select(series).where(
        s.owner == owner, s.source == source, s.instrument == instrument, s.interval == interval
    )
    row = tx.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else dict(row)


def last_times(tx: Tx, owner: Owner, source: str, interval: str, instruments: Sequence[str]) -> dict[str, int]:
    """Return by instrument when the last bar of each series of exactly this owner ends; of those that have any."""
    s = series.c
    query = sa.select(s.instrument, s.last_time).where(
        s.owner == owner, s.source == source, s.interval == interval, s.instrument.in_(instruments)
    )
    return {row.instrument: row.last_time for row in tx.execute(query) if row.last_time is not None}


@one_statement
def list_series(
    tx: Tx,
    owner: Owner,
    *,
    instruments: Sequence[str] | None = None,
    interval: str | None = None,
    source: str | None = None,
    after: tuple[str, str, str, str] | None = None,
    limit: int | None = None,
) -> list[Row]:
    """Return the series that `owner` sees, ascending by (instrument, interval, source, owner).

    after: that key of the last row seen, to go on from.
    """
    given = {"interval": interval, "source": source, "rows": limit}
    named = {name: value for name, value in given.items() if value is not None}
    asked = () if instruments is None else tuple(dict.fromkeys(instruments))
    if instruments is not None and not asked:
        return []
    count = None if instruments is None else len(asked)
    values: dict[str, Any] = {**named, "owner": owner, "system": SYSTEM}
    values |= {f"instrument_{n}": name for n, name in enumerate(asked)}
    values |= {f"after_{n}": part for n, part in enumerate(after or ())}
    return _list_series(frozenset(named), count, after is not None).dicts(tx, values)


@lru_cache(256)
def _list_series(named: frozenset[str], count: int | None, after: bool) -> Reading:
    s = series.c
    key = (s.instrument, s.interval, s.source, s.owner)
    query = sa.select(series).where(s.owner.in_([sa.bindparam("owner"), sa.bindparam("system")])).order_by(*key)
    if count is not None:
        query = query.where(s.instrument.in_([sa.bindparam(f"instrument_{n}") for n in range(count)]))
    for name in ("interval", "source"):
        query = query.where(s[name] == sa.bindparam(name)) if name in named else query
    if after:
        last = (sa.bindparam(f"after_{n}", type_=sa.Text) for n in range(len(key)))
        query = query.where(sa.tuple_(*key) > sa.tuple_(*last))
    return Reading(query.limit(sa.bindparam("rows", type_=sa.Integer)) if "rows" in named else query)


def sources_seen(tx: Tx, owner: Owner) -> dict[str, Row]:
    """Return for each source that `owner` sees series of: how many, the last bar's time, when it was last checked."""
    s = series.c
    query = (
        sa.select(
            s.source,
            sa.func.count().label("series"),
            sa.func.max(s.last_time).label("last_time"),
            sa.func.max(s.checked_at).label("checked_at"),
        )
        .where(_visible(s.owner, owner))
        .group_by(s.source)
        .order_by(s.source)
    )
    return {row["source"]: row for row in _rows(tx.execute(query))}


def save_data_set(tx: Tx, owner: Owner, name: str, members: list[Row], note: str, created_at: int) -> int:
    """Store a new version of a data set when its list or note differ from the latest; return the version in force.

    members: {"source", "instrument", "interval"} of each series, in the order of the panel's columns.
    """
    latest = _latest_data_set(tx, owner, name)
    if latest is not None and latest["series"] == members and latest["note"] == note:
        return int(latest["version"])
    version = 1 if latest is None else int(latest["version"]) + 1
    row = {"owner": owner, "name": name, "version": version, "series": members, "note": note, "created_at": created_at}
    add(tx, data_sets, [row])
    return version


@reads("data_sets")
def get_data_set(tx: Tx, owner: Owner, name: str) -> Row | None:
    """Return the latest version of the owner's data set of this name, else that of `system`, else None."""
    return _latest_data_set(tx, owner, name) or _latest_data_set(tx, SYSTEM, name)


def list_data_sets(tx: Tx, owner: Owner) -> list[Row]:
    """Return every version of every data set that `owner` sees, ascending by name and version."""
    d = data_sets.c
    return _rows(tx.execute(sa.select(data_sets).where(_visible(d.owner, owner)).order_by(d.name, d.version, d.owner)))


def _latest_data_set(tx: Tx, owner: Owner, name: str) -> Row | None:
    d = data_sets.c
    query = sa.select(data_sets).where(d.owner == owner, d.name == name).order_by(d.version.desc()).limit(1)
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


# --- quarantine -------------------------------------------------------------------------------------------------------


def quarantine_rows(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep rejected rows aside. An id that is there already stays as it is, so that a repeated ingestion adds none."""
    add(tx, quarantine, list(rows))


def list_quarantine(
    tx: Tx,
    owner: Owner,
    *,
    source: str | None = None,
    instrument: str | None = None,
    interval: str | None = None,
    status: str | None = None,
    after_id: str | None = None,
    limit: int = 50,
) -> list[Row]:
    """Return rejected rows of exactly this owner, ascending by id, after `after_id`."""
    q = quarantine.c
    query = sa.select(quarantine).where(q.owner == owner).order_by(q.id).limit(limit)
    wanted = {"source": source, "instrument": instrument, "interval": interval, "status": status}
    for name, value in wanted.items():
        if value is not None:
            query = query.where(q[name] == value)
    if after_id is not None:
        query = query.where(q.id > after_id)
    return _rows(tx.execute(query))


def page_quarantine(
    tx: Tx, owner: Owner, wanted: Mapping[str, str], limit: int, descending: bool, after: str | None
) -> list[Row]:
    """Return rejected rows that `owner` sees by id, after the id `after`. wanted: values of columns."""
    q = quarantine.c
    parts = []
    for each in {owner, SYSTEM}:
        query = sa.select(quarantine).where(q.owner == each, *(q[name] == value for name, value in wanted.items()))
        if after is not None:
            query = query.where(q.id < after if descending else q.id > after)
        query = query.order_by(q.id.desc() if descending else q.id).limit(limit)
        parts.append(_rows(tx.execute(query)))
    return list(islice(merge(*parts, key=lambda row: row["id"], reverse=descending), limit))


def count_quarantine(
    tx: Tx, owner: Owner, source: str, instrument: str, interval: str, status: str = "held"
) -> dict[str, int]:
    """Return how many rows of a series are held, or have another status, by code."""
    q = quarantine.c
    query = (
        sa.select(q.code, sa.func.count())
        .where(q.owner == owner, q.source == source, q.instrument == instrument, q.interval == interval)
        .where(q.status == status)
        .group_by(q.code)
    )
    return {code: int(count) for code, count in tx.execute(query)}


SeriesPlace = tuple[str, str, str, str]
"""Owner, source, instrument, interval."""


class Candidate(NamedTuple):
    """A series that an owner sees: where it is, its verdict, and whether its source adjusts its prices."""

    place: SeriesPlace
    verdict: str
    pre_adjusted: bool


@reads("series")
@one_statement
def candidates(tx: Tx, instruments: tuple[str, ...], owner: Owner, interval: str) -> dict[str, tuple[Candidate, ...]]:
    """Return the series that `owner` sees of each of these instruments, ascending by (source, owner)."""
    found: dict[str, list[Candidate]] = {}
    for row in list_series(tx, owner, instruments=instruments, interval=interval):
        place = (row["owner"], row["source"], row["instrument"], row["interval"])
        found.setdefault(row["instrument"], []).append(Candidate(place, row["verdict"], row["pre_adjusted"]))
    return {instrument: tuple(series_of) for instrument, series_of in found.items()}


@reads("series", "bar_tail")
@one_statement
def versions(tx: Tx, places: tuple[SeriesPlace, ...]) -> dict[SeriesPlace, tuple[Any, ...]]:
    """Return for each series a value that changes whenever bars of it were added, in the tail or in the tables."""
    count = 1 << max(0, len(places) - 1).bit_length()  # few statements do for all; the places left repeat the last one
    values = {
        f"{name}_{n}": places[min(n, len(places) - 1)][at] for n in range(count) for at, name in enumerate(_PLACE)
    }
    return {row[:4]: row[4:] for row in _versions(count).tuples(tx, values)}


@lru_cache(16)
def _versions(count: int) -> Reading:
    s, t = series.c, bar_tail.c
    tail = sa.and_(*(t[name] == s[name] for name in _PLACE))
    last = sa.select(sa.func.max(t.id)).where(tail).scalar_subquery().label("last")
    rows = sa.select(sa.func.count(t.id)).where(tail).scalar_subquery().label("tail_rows")
    asked = sa.or_(*(sa.and_(*(s[name] == sa.bindparam(f"{name}_{n}") for name in _PLACE)) for n in range(count)))
    places = (s[name] for name in _PLACE)
    return Reading(sa.select(*places, s.checked_at, s.data_version, s.rows, last, rows).where(asked))
