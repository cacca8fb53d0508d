"""The durable queue: rows, leases, progress."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from tradewright import ids
from tradewright.storage.database import Tx, one_statement
from tradewright.storage.tables import jobs

KINDS = ("backtest", "export", "forget_bars", "ingestion", "release")
ENDED = ("succeeded", "failed", "cancelled")


def enqueue(
    tx: Tx,
    organization: str,
    environment: str,
    kind: str,
    payload: dict[str, Any],
    now_us: int,
    lane: str | None = None,
) -> str:
    """Store a queued job and return its id. lane: a process does the jobs of one lane one after the other."""
    job = ids.new("job")
    tx.execute(
        jobs.insert().values(
            id=job,
            organization=organization,
            environment=environment,
            kind=kind,
            payload=payload,
            status="queued",
            progress=0.0,
            message="",
            cancel_requested=False,
            created_at=now_us,
            lane=lane,
        )
    )
    return job


def claim(
    tx: Tx, worker: str, now_us: int, lease_us: int, kinds: Sequence[str], busy: Collection[str] = ()
) -> dict[str, Any] | None:
    """Take a job of one of these kinds and return it, None when there is nothing to do.

    First a running one whose lease ran out. Then the oldest queued one of the organization with the fewest running;
    of several, of the one served longest ago. `attempts` counts this time too. busy: lanes whose jobs are left alone.
    """
    free = sa.or_(jobs.c.lane.is_(None), jobs.c.lane.not_in(busy)) if busy else sa.true()
    lost = sa.select(jobs).where(jobs.c.status == "running", jobs.c.lease_until < now_us, jobs.c.kind.in_(kinds), free)
    row = _first(tx, lost.order_by(jobs.c.lease_until, jobs.c.id))
    turns = [] if row is not None else [turn for kind in kinds for turn in tx.execute(_TURNS, {"kind": kind})]
    for turn in sorted(turns, key=lambda turn: (turn.running, turn.served, turn.oldest)):
        mine = (jobs.c.status == "queued", jobs.c.kind == turn.kind, jobs.c.organization == turn.organization)
        row = _first(tx, sa.select(jobs).where(*mine, free).order_by(jobs.c.created_at, jobs.c.id))
        if row is not None:  # else other workers hold all of them, or their lanes are busy
            break
    if row is None:
        return None
    taken = {"status": "running", "worker": worker, "lease_until": now_us + lease_us, "started_at": now_us}
    taken["attempts"] = row["attempts"] + 1
    tx.execute(jobs.update().where(jobs.c.id == row["id"]).values(taken))
    return {**row, **taken}


def claim_one(tx: Tx, job: str, worker: str, now_us: int, lease_us: int) -> bool:
    """Take this job for a worker of its own; return False when somebody else has it or it has succeeded.

    One that failed or was cancelled is begun again.
    """
    lost = sa.and_(jobs.c.status == "running", jobs.c.lease_until < now_us)
    free = sa.or_(jobs.c.status.in_(("queued", "failed", "cancelled")), lost)
    values = {"status": "running", "worker": worker, "lease_until": now_us + lease_us, "started_at": now_us}
    again = {"error": None, "finished_at": None, "cancel_requested": False, "attempts": jobs.c.attempts + 1}
    done = tx.execute(jobs.update().where(jobs.c.id == job, free).values(**values, **again))
    return done.rowcount == 1


@one_statement
def at_work(tx: Tx, organization: str, environment: str) -> dict[str, tuple[int, int]]:
    """Return for `queued` and `running`, where there are any: how many jobs, and when the oldest was made."""
    mine = (jobs.c.kind.in_(KINDS), jobs.c.organization == organization, jobs.c.environment == environment)
    query = sa.select(jobs.c.status, sa.func.count(), sa.func.min(jobs.c.created_at)).group_by(jobs.c.status)
    found = tx.execute(query.where(jobs.c.status.in_(("queued", "running")), *mine)).all()
    return {status: (count, oldest) for status, count, oldest in found}


def holder(tx: Tx, job: str) -> str | None:
    """Return the worker that has a running job, None when nobody has it."""
    query = sa.select(jobs.c.worker).where(jobs.c.id == job, jobs.c.status == "running")
    return tx.execute(query).scalar_one_or_none()


def give_back(tx: Tx, job: str) -> None:
    """Put a running job back into the queue, for a worker that is known to be gone."""
    back = {"status": "queued", "worker": None, "lease_until": None}
    tx.execute(jobs.update().where(jobs.c.id == job, jobs.c.status == "running").values(back))


def _first(tx: Tx, query: sa.Select[Any]) -> sa.RowMapping | None:
    return tx.execute(query.limit(1).with_for_update(skip_locked=True)).mappings().first()


def _turns() -> sa.Select[Any]:
    # one step in an index for each organization that waits, however many jobs it has there
    kind = sa.bindparam("kind", type_=sa.Text)
    queued = sa.and_(jobs.c.status == "queued", jobs.c.kind == kind)
    first = sa.select(sa.func.min(jobs.c.organization).label("organization")).where(queued)
    waiting = first.cte("waiting", recursive=True)
    after = sa.select(sa.func.min(jobs.c.organization)).where(queued, jobs.c.organization > waiting.c.organization)
    waiting = waiting.union_all(sa.select(after.scalar_subquery()).where(waiting.c.organization.is_not(None)))
    of_it = jobs.c.organization == waiting.c.organization
    running = sa.select(sa.func.count()).where(jobs.c.status == "running", jobs.c.kind == kind, of_it)
    served = sa.select(sa.func.max(jobs.c.started_at)).where(of_it).scalar_subquery()
    oldest = sa.select(sa.func.min(jobs.c.created_at)).where(queued, of_it).scalar_subquery()
    return sa.select(
        waiting.c.organization,
        sa.cast(kind, sa.Text).label("kind"),
        running.scalar_subquery().label("running"),
        sa.func.coalesce(served, 0).label("served"),
        oldest.label("oldest"),
    ).where(waiting.c.organization.is_not(None))


_TURNS = _turns()


def report(tx: Tx, job: str, progress: float, message: str, lease_until: int) -> bool:
    """Store progress and renew the lease; return True when somebody asked for the job to be cancelled."""
    tx.execute(
        jobs.update()
        .where(jobs.c.id == job, jobs.c.status == "running")
        .values(progress=progress, message=message, lease_until=lease_until)
    )
    return bool(tx.execute(sa.select(jobs.c.cancel_requested).where(jobs.c.id == job)).scalar_one_or_none())


def finish(tx: Tx, job: str, status: str, now_us: int, result: Any = None, error: dict[str, Any] | None = None) -> bool:
    """End a job that has not ended; return False when it had."""
    values: dict[str, Any] = {"status": status, "finished_at": now_us, "result": result, "error": error}
    values |= {"progress": 1.0} if status == "succeeded" else {"message": ""}  # what it was at is over
    done = tx.execute(jobs.update().where(jobs.c.id == job, jobs.c.status.not_in(ENDED)).values(values))
    return done.rowcount == 1


def release(tx: Tx, worker: str, counted: bool = False) -> None:
    """Put the jobs of a worker that is gone back into the queue. counted: whether that was an attempt of theirs."""
    back = {"status": "queued", "worker": None, "lease_until": None}
    begun = jobs.c.attempts if counted else jobs.c.attempts - 1
    tx.execute(jobs.update().where(jobs.c.worker == worker, jobs.c.status == "running").values(**back, attempts=begun))


def request_cancel(tx: Tx, organization: str, environment: str, job: str, now_us: int) -> None:
    """Ask for a job to end: a queued one ends at once, a running one at its next report."""
    mine = (jobs.c.id == job, jobs.c.organization == organization, jobs.c.environment == environment)
    tx.execute(jobs.update().where(*mine, jobs.c.status == "queued").values(status="cancelled", finished_at=now_us))
    tx.execute(jobs.update().where(*mine, jobs.c.status == "running").values(cancel_requested=True))


def get(tx: Tx, organization: str, environment: str, job: str) -> dict[str, Any] | None:
    """Return one job of this organization and environment, or None."""
    query = sa.select(jobs).where(
        jobs.c.id == job, jobs.c.organization == organization, jobs.c.environment == environment
    )
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)
