"""Signals, their scores, the scoreboard."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx, as_dicts
from tradewright.storage.tables import signal_scores, signals
from tradewright.storage.types import Time

_SCORE = ("entry_time", "entry_price", "exit_time", "exit_price", "realized_return", "correct")


def add(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store new signals; a repeated one is refused by the database."""
    if rows:
        tx.execute(signals.insert(), list(rows))


def add_scores(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store scores; a signal is scored once."""
    if rows:
        tx.execute(signal_scores.insert(), list(rows))


def at(tx: Tx, organization: str, environment: str, session: str, bar_time: int) -> list[dict[str, Any]]:
    """Return the signals of one feed session and bar that have no score yet, by instrument."""
    query = (
        sa.select(signals)
        .outerjoin(signal_scores, signal_scores.c.signal == signals.c.id)
        .where(
            signals.c.organization == organization,
            signals.c.environment == environment,
            signals.c.feed_session == session,
            signals.c.bar_time == bar_time,
            signal_scores.c.signal.is_(None),
        )
        .order_by(signals.c.instrument, signals.c.model)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


def get(tx: Tx, organization: str, environment: str, signal: str) -> dict[str, Any] | None:
    """Return one signal with its score (None where it has none), or None."""
    query = _joined().where(
        signals.c.id == signal, signals.c.organization == organization, signals.c.environment == environment
    )
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def list_page(
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
) -> list[dict[str, Any]]:
    """Return signals with their scores by (bar time, id), after that pair; start included, end excluded."""
    given = {"instrument": instrument, "status": status, "start": start_us, "end": end_us}
    named = {name: value for name, value in given.items() if value is not None}
    query = _page(frozenset(named), descending, after is not None)
    values: dict[str, Any] = {**named, "organization": organization, "environment": environment, "rows": limit}
    if after is not None:
        values |= {"after_time": after[0], "after_id": after[1]}
    return as_dicts(tx.execute(query, values))


@lru_cache(128)  # building a statement takes longer than running it
def _page(named: frozenset[str], descending: bool, after: bool) -> sa.Select[Any]:
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
    return query.limit(sa.bindparam("rows", type_=sa.Integer))


def scoreboard(tx: Tx, organization: str, environment: str) -> list[dict[str, Any]]:
    """Return one row for each (feed, status, model, horizon): counts and sums over its scored signals."""
    outcome = sa.case((signal_scores.c.realized_return > 0, 1.0), else_=0.0)
    group = (signals.c.feed, signals.c.status, signals.c.model, signals.c.horizon)
    query = (
        sa.select(
            *group,
            sa.func.count(signals.c.id).label("issued"),
            sa.func.count(signal_scores.c.signal).label("scored"),
            sa.func.sum(sa.case((signal_scores.c.correct, 1), else_=0)).label("correct"),
            sa.func.sum(outcome).label("rising"),
            sa.func.sum(signal_scores.c.realized_return).label("sum_return"),
            sa.func.sum(
                sa.case(
                    (
                        signal_scores.c.signal.is_not(None),
                        (signals.c.probability - outcome) * (signals.c.probability - outcome),
                    ),
                    else_=0.0,
                )
            ).label("sum_brier"),
            sa.func.min(signals.c.bar_time).label("first_time"),
            sa.func.max(signals.c.bar_time).label("last_time"),
        )
        .outerjoin(signal_scores, signal_scores.c.signal == signals.c.id)
        .where(signals.c.organization == organization, signals.c.environment == environment)
        .group_by(*group)
        .order_by(*group)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


def _joined() -> sa.Select[Any]:
    scores = [signal_scores.c[name] for name in _SCORE]
    return sa.select(signals, *scores).outerjoin(signal_scores, signal_scores.c.signal == signals.c.id)
