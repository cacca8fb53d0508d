"""Back-fills: what was asked for, how far each instrument has come, what became of the rows."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tradewright import ids
from tradewright.storage import jobs as queue
from tradewright.storage.database import Tx
from tradewright.storage.tables import ingestions, jobs

_I = ingestions.c
_JOB = ("status", "progress", "message", "error", "started_at", "finished_at")


def order(
    tx: Tx,
    organization: str,
    environment: str,
    owner: str,
    source: str,
    request: dict[str, Any],
    now_us: int,
    schedule: str | None = None,
) -> str:
    """Store an ingestion and the job that will run it; return its id. schedule: the one whose turn it is.

    request: instruments, interval, start_us, end_us, begins; start and end as they were written.
    """
    ingestion = ids.new("ing")
    payload = {"ingestion": ingestion}
    job = queue.enqueue(tx, organization, environment, "ingestion", payload, now_us, lane=f"{owner}/{source}")
    row = {"id": ingestion, "organization": organization, "environment": environment, "owner": owner, "job": job}
    add(tx, {**row, "source": source, "request": request, "created_at": now_us, "schedule": schedule})
    return ingestion


def add(tx: Tx, row: dict[str, Any]) -> None:
    """Store an ingestion of a job that is there."""
    tx.execute(ingestions.insert().values(marks={}, report=None, **row))


def get(tx: Tx, organization: str, environment: str, ingestion: str) -> dict[str, Any] | None:
    """Return one ingestion with the state of its job, None when there is none."""
    query = _select().where(_I.id == ingestion, _I.organization == organization, _I.environment == environment)
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def list_page(
    tx: Tx,
    organization: str,
    environment: str,
    limit: int,
    descending: bool,
    after: str | None,
    schedule: str | None = None,
) -> list[dict[str, Any]]:
    """Return up to `limit` ingestions by id (ids order by creation), after the id `after`. schedule: only its own."""
    query = sa.select(ingestions).where(_I.organization == organization, _I.environment == environment)
    if schedule is not None:
        query = query.where(_I.schedule == schedule)
    if after is not None:
        query = query.where(_I.id < after if descending else _I.id > after)
    found = query.order_by(_I.id.desc() if descending else _I.id).limit(limit).subquery()  # each has one job
    state = [jobs.c[name].label(name) for name in _JOB]
    whole = sa.select(found, *state).join(jobs, jobs.c.id == found.c.job)
    return [dict(row) for row in tx.execute(whole.order_by(found.c.id.desc() if descending else found.c.id)).mappings()]


def unfinished(tx: Tx, organization: str, environment: str, source: str) -> list[dict[str, Any]]:
    """Return the latest ingestions of a source that have not ended well, the newest first; none of a schedule."""
    query = _select().where(_I.organization == organization, _I.environment == environment, _I.source == source)
    query = query.where(_I.schedule.is_(None), jobs.c.status != "succeeded").order_by(_I.id.desc()).limit(50)
    return [dict(row) for row in tx.execute(query).mappings()]


def job_of(tx: Tx, ingestion: str) -> str:
    """Return the job of an ingestion."""
    return str(tx.execute(sa.select(_I.job).where(_I.id == ingestion)).scalar_one())


def mark(tx: Tx, ingestion: str, instrument: str, reached_us: int) -> None:
    """Write down that everything of an instrument up to there is stored."""
    marks = tx.execute(sa.select(_I.marks).where(_I.id == ingestion)).scalar_one()
    tx.execute(ingestions.update().where(_I.id == ingestion).values(marks={**marks, instrument: reached_us}))


def extend(tx: Tx, ingestion: str, end_us: int) -> None:
    """Let an ingestion that has not ended bring in what has happened since, up to `end_us`."""
    request = tx.execute(sa.select(_I.request).where(_I.id == ingestion)).scalar_one()
    longer = {**request, "end_us": max(request["end_us"], end_us)}
    tx.execute(ingestions.update().where(_I.id == ingestion).values(request=longer))


def save_report(tx: Tx, ingestion: str, report: dict[str, Any]) -> None:
    """Store what became of the rows."""
    tx.execute(ingestions.update().where(_I.id == ingestion).values(report=report))


def finished(tx: Tx, job: dict[str, Any], status: str) -> tuple[str, str, None, dict[str, Any]]:
    """Return the event that an ingestion has ended: type, subject, bar time, data."""
    row = tx.execute(sa.select(_I.id, _I.source, _I.report, _I.schedule).where(_I.job == job["id"])).mappings().one()
    report = row["report"] or {}
    data = {
        "ingestion": row["id"],
        "source": row["source"],
        "status": status,
        "rows": report.get("stored", 0),
        "revised": report.get("revised", 0),
        "verdict": report.get("verdict"),
        "schedule": row["schedule"],
    }
    return ("ingestion.finished", row["id"], None, data)


def _select() -> sa.Select[Any]:
    state = [jobs.c[name].label(name) for name in _JOB]
    return sa.select(ingestions, *state).join(jobs, jobs.c.id == _I.job)
