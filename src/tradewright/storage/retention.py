"""How long rows are kept: one table, which the deletion and the document both read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from tradewright.clock import DAY_US
from tradewright.storage import idempotency as answers
from tradewright.storage.database import Tx
from tradewright.storage.tables import (
    audit_people,
    backtests,
    challenges,
    exports,
    idempotency,
    ingestion_schedules,
    ingestions,
    invitations,
    jobs,
    nonces,
    outbox,
    sessions,
    throttles,
)

Clause = Callable[[], sa.ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows whose `column` lies `after_us` in the past go. what, how_long, why: for the document. only: which of them,
    all when None. The column is the first of an index."""

    column: sa.Column[int]
    after_us: int
    what: str
    how_long: str
    why: str
    only: Clause | None = None

    @property
    def table(self) -> str:
        """The name of the table."""
        return str(self.column.table.name)


def _nobody_refers() -> sa.ColumnElement[bool]:
    named = (sa.exists().where(table.c.job == jobs.c.id) for table in (backtests, exports, ingestions))
    return sa.not_(sa.or_(*named))


def _of_a_schedule() -> sa.ColumnElement[bool]:
    going_on = sa.exists().where(jobs.c.id == ingestions.c.job, jobs.c.status.in_(("queued", "running")))
    shown = sa.exists().where(ingestion_schedules.c.ingestion == ingestions.c.id)
    return sa.and_(ingestions.c.schedule.is_not(None), ~going_on, ~shown)


RULES = (
    Rule(
        idempotency.c.created_at, answers.KEPT_US, "answers kept for replays", "24 hours after the request",
        "a client that repeats a request gets the first answer",
    ),
    Rule(
        nonces.c.expires_at, 0, "nonces of signed requests", "until nobody can replay them, 6 seconds after signing",
        "a signed request counts once",
    ),
    Rule(
        sessions.c.expires_at, 30 * DAY_US, "sessions with address and browser", "30 days after they expire",
        "a person can look up who was logged in",
    ),
    Rule(
        challenges.c.expires_at, 0, "questions to a person who logs in", "until they expire, minutes after they began",
        "the answer must fit the question",
    ),
    Rule(
        throttles.c.arrives_at, 0, "counts of tries to log in", "until the tries are allowed again",
        "passwords and codes cannot be guessed",
    ),
    Rule(
        invitations.c.expires_at, 30 * DAY_US, "invitations with the address invited", "30 days after they expire",
        "an administrator can see who was invited",
    ),
    Rule(
        exports.c.expires_at, 0, "exports of data", "until they expire, 7 days after they were asked for",
        "whoever asked can fetch them",
    ),
    Rule(
        audit_people.c.created_at, 400 * DAY_US, "network address and program of who did what in the audit log",
        "400 days", "an incident can be looked into for a year",
    ),
    Rule(
        outbox.c.created_at, 30 * DAY_US, "events that have their number", "30 days",
        "readers that were away catch up", lambda: outbox.c.sequence.is_not(None),
    ),
    Rule(
        ingestions.c.created_at, 90 * DAY_US, "ingestions of schedules that ended and are not the last of theirs",
        "90 days", "what went wrong can be looked into", _of_a_schedule,
    ),
    Rule(
        jobs.c.finished_at, 90 * DAY_US, "jobs that ended and that no backtest, export or ingestion refers to",
        "90 days", "what went wrong can be looked into", _nobody_refers,
    ),
)  # fmt: skip
"""Everything that goes by itself."""


def delete_batch(tx: Tx, rule: Rule, now_us: int, limit: int) -> int:
    """Delete at most `limit` rows of a rule, the oldest first; return how many."""
    table = rule.column.table
    assert isinstance(table, sa.Table)
    key = sa.tuple_(*table.primary_key.columns) if len(table.primary_key.columns) > 1 else table.primary_key.columns[0]
    old = sa.select(*table.primary_key.columns).where(rule.column <= now_us - rule.after_us)
    if rule.only is not None:
        old = old.where(rule.only())
    done = tx.execute(table.delete().where(key.in_(old.order_by(rule.column).limit(limit))))
    return done.rowcount
