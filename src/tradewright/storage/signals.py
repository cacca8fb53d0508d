"""Signals, their scores, the scoreboard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tradewright.storage.changes import reads
from tradewright.storage.database import Tx, one_statement
from tradewright.storage.reading import Reading
from tradewright.storage.tables import scoreboard as board
from tradewright.storage.tables import signal_scores, signals
from tradewright.storage.types import Time
from tradewright.storage.writing import insert, run

_SIGNAL = (
    "id", "instrument", "bar_time", "horizon", "direction", "probability", "expected_return", "decision_price",
    "valid_until", "status", "feed", "feed_session", "model", "evidence", "created_at",
)  # fmt: skip
_GROUP = ("organization", "environment", "feed", "status", "model", "horizon")  # a row of the scoreboard
_SUMS = ("issued", "scored", "correct", "rising", "sum_return", "sum_brier")  # of a group, on the scoreboard
_SCORE = ("entry_time", "entry_price", "exit_time", "exit_price", "realized_return")


def add(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store new signals, and count them on the scoreboard; a repeated one is refused by the database."""
    if not rows:
        return
    insert(tx, signals, rows)
    told: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        told.setdefault(tuple(row[name] for name in _GROUP), []).append(row)
    for group in sorted(told):  # in one order, so that two writers never wait for each other crosswise
        times = [row["bar_time"] for row in told[group]]
        _count(tx, group, {"issued": len(times)}, min(times), max(times))


def add_scores(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store scores, and count them on the scoreboard; a signal is scored once."""
    if not rows:
        return
    insert(tx, signal_scores, rows)
    told: dict[tuple[Any, ...], list[tuple[float, dict[str, Any], int]]] = {}
    scores = {row["signal"]: row for row in rows}
    columns = [signals.c[name] for name in (*_GROUP, "id", "probability", "bar_time")]
    for *group, key, probability, time in tx.execute(sa.select(*columns).where(signals.c.id.in_(list(scores)))):
        told.setdefault(tuple(group), []).append((probability, scores[key], time))
    for place in sorted(told):
        found = told[place]
        rose = [1.0 if score["realized_return"] > 0 else 0.0 for _, score, _ in found]
        sums = {
            "scored": len(found),
            "correct": sum(1 for _, score, _ in found if score["correct"]),
            "rising": int(sum(rose)),
            "sum_return": sum(score["realized_return"] for _, score, _ in found),
            "sum_brier": sum((p - up) ** 2 for (p, _, _), up in zip(found, rose, strict=True)),
        }
        _count(tx, place, sums, min(time for _, _, time in found), max(time for _, _, time in found))


def _count(tx: Tx, group: tuple[Any, ...], more: dict[str, Any], first: int, last: int) -> None:
    values = {**dict(zip(_GROUP, group, strict=True)), **dict.fromkeys(_SUMS, 0), **more}
    run(tx, _counted(tx.dialect.name), [{**values, "first_time": first, "last_time": last}])


@lru_cache(2)
def _counted(dialect: str) -> Any:
    made: Any = (postgresql if dialect == "postgresql" else sqlite).insert(board)
    more, mine = made.excluded, board.c
    grown = {name: mine[name] + more[name] for name in _SUMS}
    first = sa.case((mine.first_time < more.first_time, mine.first_time), else_=more.first_time)
    last = sa.case((mine.last_time > more.last_time, mine.last_time), else_=more.last_time)
    return made.on_conflict_do_update(index_elements=_GROUP, set_={**grown, "first_time": first, "last_time": last})


def at(tx: Tx, organization: str, environment: str, session: str, bar_time: int) -> list[dict[str, Any]]:
    """Return the signals of one feed session and bar that have no score yet, by instrument."""
    values = {"organization": organization, "environment": environment, "session": session, "bar_time": bar_time}
    return _unscored().dicts(tx, values)


@lru_cache(1)
def _unscored() -> Reading:
    s = signals.c
    mine = [s[name] == sa.bindparam(name) for name in ("organization", "environment")]
    here = (s.feed_session == sa.bindparam("session"), s.bar_time == sa.bindparam("bar_time", type_=Time))
    scored = sa.select(signals).outerjoin(signal_scores, signal_scores.c.signal == s.id)
    query = scored.where(*mine, *here, signal_scores.c.signal.is_(None))
    return Reading(query.order_by(s.instrument, s.model))


@one_statement
def get(tx: Tx, organization: str, environment: str, signal: str) -> tuple[Any, ...] | None:
    """Return one signal as `list_rows` does, or None."""
    found = _one().tuples(tx, {"signal": signal, "organization": organization, "environment": environment})
    return found[0] if found else None


def list_page(tx: Tx, organization: str, environment: str, limit: int, descending: bool) -> list[dict[str, Any]]:
    """Return the first of what `list_rows` returns, as dictionaries."""
    rows = list_rows(tx, organization, environment, limit, descending)
    return [dict(zip((*_SIGNAL, *_SCORE, "correct"), row, strict=True)) for row in rows]


@reads("signals", "signal_scores")
@one_statement
def list_rows(
    tx: Tx,
    organization: str,
    environment: str,
    limit: int,
    descending: bool,
    after: tuple[int, str] | None = None,
    *,
    instrument: str | None = None,
    status: str | None = None,
    start_us: int | None = None,
    end_us: int | None = None,
) -> list[tuple[Any, ...]]:
    """Return signals with their scores by (bar time, id), after that pair; start included, end excluded.

    Each is (id, instrument, bar time, horizon, direction, probability, expected return, decision price, valid until,
    status, feed, feed session, model, evidence, created at, entry time, entry price, exit time, exit price, realized
    return, correct); the last six are None for a signal without a score.
    """
    given = {"instrument": instrument, "status": status, "start": start_us, "end": end_us}
    named = {name: value for name, value in given.items() if value is not None}
    query = _page(frozenset(named), descending, after is not None)
    values: dict[str, Any] = {**named, "organization": organization, "environment": environment, "rows": limit}
    if after is not None:
        values |= {"after_time": after[0], "after_id": after[1]}
    return query.tuples(tx, values)


@lru_cache(128)  # building a statement takes longer than running it
def _page(named: frozenset[str], descending: bool, after: bool) -> Reading:
    s = signals.c
    query = _joined().where(
        s.organization == sa.bindparam("organization"), s.environment == sa.bindparam("environment")
    )
    conditions = {
        "instrument": s.instrument == sa.bindparam("instrument"),
        "status": s.status == sa.bindparam("status"),
        "start": s.bar_time >= sa.bindparam("start"),
        "end": s.bar_time < sa.bindparam("end"),
    }
    query = query.where(*(condition for name, condition in conditions.items() if name in named))
    keys = (s.bar_time, s.id)
    if after:
        place = sa.tuple_(sa.bindparam("after_time", type_=Time), sa.bindparam("after_id", type_=sa.Text))
        query = query.where(sa.tuple_(*keys) < place if descending else sa.tuple_(*keys) > place)
    query = query.order_by(*(k.desc() for k in keys) if descending else keys)
    return Reading(query.limit(sa.bindparam("rows", type_=sa.Integer)))


@lru_cache(1)
def _one() -> Reading:
    s = signals.c
    named = {"id": "signal", "organization": "organization", "environment": "environment"}
    return Reading(_joined().where(*(s[column] == sa.bindparam(name) for column, name in named.items())))


@one_statement
def scoreboard(tx: Tx, organization: str, environment: str) -> list[dict[str, Any]]:
    """Return one row for each (feed, status, model, horizon): counts and sums over its scored signals."""
    b = board.c
    mine = (b.organization == organization, b.environment == environment)
    columns = [column for column in b if column.name not in ("organization", "environment")]
    query = sa.select(*columns).where(*mine).order_by(b.feed, b.status, b.model, b.horizon)
    return [dict(row) for row in tx.execute(query).mappings()]


def _joined() -> sa.Select[Any]:
    columns = [*(signals.c[name] for name in _SIGNAL), *(signal_scores.c[name] for name in _SCORE)]
    correct = sa.type_coerce(signal_scores.c.correct, sa.Integer).label("correct")  # 0 and 1 serve as well
    return sa.select(*columns, correct).outerjoin(signal_scores, signal_scores.c.signal == signals.c.id)
