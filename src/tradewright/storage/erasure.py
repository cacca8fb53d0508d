"""Forgetting: a person, whose id stays, or an organization with all it has. The audit log names nobody and stays."""

from __future__ import annotations

import json
from collections.abc import Iterable

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.idempotency import KEPT_US
from tradewright.storage.tables import (
    api_keys,
    audit_log,
    audit_people,
    authenticators,
    challenges,
    exports,
    feed_sessions,
    idempotency,
    invitations,
    jobs,
    members,
    metadata,
    nonces,
    organizations,
    outbox_heads,
    passkeys,
    recovery_codes,
    runs,
    sessions,
    trial_returns,
    trials,
    users,
)

_KEPT = ("audit_log", "audit_seals")
_MAKING_KEYS = ("create_api_key", "roll_api_key")
_REPLAYED = tuple(idempotency.primary_key)
_OF_A_PERSON = (authenticators, recovery_codes, passkeys, sessions, challenges, members, exports, audit_people)


def erase_person(tx: Tx, user: str, email: str, organizations_left: Iterable[str], now_us: int) -> None:
    """Empty everything that names a person; the id stays, as what the audit log and the books refer to.

    organizations_left: where the person was a member until now. What they, those of before, and those that invited
    the person exported holds the person too, and goes.
    """
    once = sa.exists().where(
        audit_log.c.organization == exports.c.organization,
        sa.or_(audit_log.c.actor == user, audit_log.c.object == user),
    )
    inviting = sa.select(invitations.c.organization).where(invitations.c.email == email)
    named = sa.or_(exports.c.organization.in_([*organizations_left]), exports.c.organization.in_(inviting), once)
    tx.execute(exports.delete().where(exports.c.kind == "organization", named))
    about = sa.select(audit_log.c.id).where(audit_log.c.organization == "", audit_log.c.object == user)
    tx.execute(audit_people.delete().where(audit_people.c.user.is_(None), audit_people.c.entry.in_(about)))
    for table in _OF_A_PERSON:
        tx.execute(table.delete().where(table.c.user == user))
    invited = sa.and_(idempotency.c.operation == "create_invitation", idempotency.c.organization.in_(inviting))
    tx.execute(idempotency.delete().where(sa.or_(idempotency.c.organization == user, invited)))
    tx.execute(invitations.delete().where(invitations.c.email == email))
    _forget_answers_with_keys(tx, user, now_us)
    trace = {"name": "", "last_used_address": None, "last_used_agent": None}
    tx.execute(api_keys.update().where(api_keys.c.created_by == user).values(trace))
    emptied = {"email": None, "name": "", "password_hash": None, "erased_at": now_us}
    tx.execute(users.update().where(users.c.id == user).values(emptied))


def _forget_answers_with_keys(tx: Tx, user: str, now_us: int) -> None:
    # what is kept for replays holds the name of the key that was made; answers to others stay
    fresh = sa.and_(api_keys.c.created_by == user, api_keys.c.created_at > now_us - KEPT_US)
    rows = tx.execute(sa.select(api_keys.c.id, api_keys.c.organization).where(fresh)).all()
    made, where = {row.id for row in rows}, {row.organization for row in rows}
    kept = sa.and_(idempotency.c.organization.in_(where), idempotency.c.operation.in_(_MAKING_KEYS))
    for row in tx.execute(sa.select(idempotency).where(kept)).all():
        if row.body is not None and json.loads(row.body)["id"] in made:
            tx.execute(idempotency.delete().where(*(column == getattr(row, column.name) for column in _REPLAYED)))


def tables_of_organizations() -> list[sa.Table]:
    """Return every table whose rows belong to an organization, by column `organization` or `owner`, but the audit log
    and its seals."""
    return [table for table in metadata.sorted_tables if table.name not in _KEPT and _belongs(table) is not None]


def column_of(table: sa.Table) -> sa.Column[str]:
    """Return the column that says whose a row is, of one of `tables_of_organizations`."""
    column = _belongs(table)
    assert column is not None
    return column


def trades(tx: Tx, organization: str, since_us: int) -> bool:
    """Return whether a run of the organization moved since then."""
    query = sa.select(runs.c.id).join(feed_sessions, feed_sessions.c.id == runs.c.feed_session)
    query = query.where(
        runs.c.organization == organization, runs.c.status == "running", feed_sessions.c.updated_at > since_us
    )
    return tx.execute(query.limit(1)).first() is not None


def erase_organization(tx: Tx, organization: str) -> int:
    """Delete an organization and every row it has; return how many rows. Its audit log stays."""
    keys = sa.select(api_keys.c.id).where(api_keys.c.organization == organization)
    deleted = tx.execute(nonces.delete().where(nonces.c.key.in_(keys))).rowcount
    mine = sa.select(trials.c.returns_hash).where(trials.c.organization == organization)
    deleted += tx.execute(
        trial_returns.delete().where(trial_returns.c.hash.in_(mine), *_needed_nowhere_else(organization))
    ).rowcount
    for table in sorted(tables_of_organizations(), key=lambda each: each is not jobs):  # a job that ends locks it first
        deleted += tx.execute(table.delete().where(column_of(table) == organization)).rowcount
    heads = outbox_heads.c.scope.startswith(f"{organization}/", autoescape=True)
    deleted += tx.execute(outbox_heads.delete().where(heads)).rowcount
    return deleted + tx.execute(organizations.delete().where(organizations.c.id == organization)).rowcount


def _needed_nowhere_else(organization: str) -> list[sa.ColumnElement[bool]]:
    # two questions: to one with `or` the database finds no other answer than to look at every trial for each
    others = trials.c.organization != organization
    return [
        ~sa.exists().where(others, column == trial_returns.c.hash)
        for column in (trials.c.returns_hash, trials.c.same_as)
    ]


def _belongs(table: sa.Table) -> sa.Column[str] | None:
    return next((table.c[name] for name in ("organization", "owner") if name in table.c), None)
