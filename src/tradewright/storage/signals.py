"""Signals, their scores, the scoreboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import signal_scores, signals

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
    query = _joined().where(signals.c.organization == organization, signals.c.environment == environment)
    if instrument is not None:
        query = query.where(signals.c.instrument == instrument)
    if status is not None:
        query = query.where(signals.c.status == status)
    if start_us is not None:
        query = query.where(signals.c.bar_time >= start_us)
    if end_us is not None:
        query = query.where(signals.c.bar_time < end_us)
    keys = (signals.c.bar_time, signals.c.id)
    if after is not None:
        pair = sa.tuple_(*keys)
        place = sa.tuple_(sa.literal(after[0]), sa.literal(after[1]))
        query = query.where(pair < place if descending else pair > place)
    query = query.order_by(*(k.desc() for k in keys) if descending else keys).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


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
