"""Backtests asked for over the API or kept by the command line."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import backtests, jobs

_JOB = ("status", "progress", "message", "error", "started_at", "finished_at")


def add(
    tx: Tx, organization: str, environment: str, backtest: str, job: str, request: dict[str, Any], now_us: int
) -> None:
    """Store the request of a backtest that `job` will run."""
    tx.execute(
        backtests.insert().values(
            id=backtest,
            organization=organization,
            environment=environment,
            job=job,
            request=request,
            created_at=now_us,
        )
    )


def save_result(
    tx: Tx, organization: str, environment: str, backtest: str, summary: dict[str, Any], arrays: bytes, report: bytes
) -> None:
    """Store what came out: the summary, the encoded arrays and the HTML report."""
    where = _mine(organization, environment, backtest)
    tx.execute(backtests.update().where(*where).values(summary=summary, arrays=arrays, report=report))


def get(tx: Tx, organization: str, environment: str, backtest: str) -> dict[str, Any] | None:
    """Return one backtest with the state of its job, without arrays and report."""
    query = _select().where(*_mine(organization, environment, backtest), backtests.c.hidden_at.is_(None))
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def list_page(
    tx: Tx, organization: str, environment: str, limit: int, descending: bool, after: str | None
) -> list[dict[str, Any]]:
    """Return up to `limit` backtests by id (ids order by creation), after the id `after`."""
    query = _select().where(
        backtests.c.organization == organization,
        backtests.c.environment == environment,
        backtests.c.hidden_at.is_(None),
    )
    column = backtests.c.id
    if after is not None:
        query = query.where(column < after if descending else column > after)
    query = query.order_by(column.desc() if descending else column).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def get_blob(tx: Tx, organization: str, environment: str, backtest: str, name: str) -> bytes | None:
    """Return `arrays` or `report` of one backtest, None when it has none yet."""
    query = sa.select(backtests.c[name]).where(
        *_mine(organization, environment, backtest), backtests.c.hidden_at.is_(None)
    )
    found = tx.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def hide(tx: Tx, organization: str, environment: str, backtest: str, now_us: int) -> bool:
    """Hide a backtest from lists; its trials stay. Return False when there is none."""
    where = _mine(organization, environment, backtest)
    done = tx.execute(backtests.update().where(*where, backtests.c.hidden_at.is_(None)).values(hidden_at=now_us))
    return done.rowcount == 1


def _mine(organization: str, environment: str, backtest: str) -> list[sa.ColumnElement[bool]]:
    return [
        backtests.c.id == backtest,
        backtests.c.organization == organization,
        backtests.c.environment == environment,
    ]


def _select() -> sa.Select[Any]:
    plain = [c for c in backtests.c if c.name not in ("arrays", "report")]
    state = [jobs.c[name].label(name) for name in _JOB]
    return sa.select(*plain, *state).join(jobs, jobs.c.id == backtests.c.job)
