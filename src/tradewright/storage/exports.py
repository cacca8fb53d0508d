"""Copies of all that is known of a person or an organization, made on request and kept for seven days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.erasure import column_of, tables_of_organizations
from tradewright.storage.tables import (
    api_keys,
    audit_log,
    audit_people,
    authenticators,
    exports,
    invitations,
    jobs,
    members,
    metadata,
    organizations,
    passkeys,
    recovery_codes,
    sessions,
    users,
)

KEPT_US = 7 * 86_400 * 1_000_000
_ROWS, _LARGE_ROWS = 1_000, 20  # of one read
_LARGE = ("backtests", "jobs", "models")  # tables whose rows may have a MiB and more
_BYTES = {"backtests": ("arrays", "report"), "models": ("artifact",)}  # the only columns of bytes that are no secret
_SECRET_TEXTS = {"users": ("password_hash",)}
_LEFT_OUT = ("exports", "idempotency", "nonces")  # copies of what stands elsewhere, and what only guards the door


def add(tx: Tx, organization: str, environment: str, export: str, user: str, kind: str, job: str, now_us: int) -> None:
    """Store an export that was asked for. organization and environment are empty for one of a person."""
    row = {"id": export, "organization": organization, "environment": environment, "user": user, "kind": kind}
    tx.execute(exports.insert().values(**row, job=job, created_at=now_us, expires_at=now_us + KEPT_US))


def get(tx: Tx, user: str, export: str, now_us: int) -> dict[str, Any] | None:
    """Return an export that a person asked for, with the state of its job, None when there is none any more."""
    row = tx.execute(_query(user, now_us).where(exports.c.id == export)).mappings().first()
    return None if row is None else dict(row)


def list_page(
    tx: Tx, user: str, now_us: int, limit: int, newest_first: bool, after: str | None
) -> list[dict[str, Any]]:
    """Return the exports a person asked for, in the order in which they were."""
    query = _query(user, now_us)
    if after is not None:
        query = query.where(exports.c.id < after if newest_first else exports.c.id > after)
    query = query.order_by(exports.c.id.desc() if newest_first else exports.c.id).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def count_unfinished(tx: Tx, user: str) -> int:
    """Return how many exports of a person wait or run."""
    query = (
        sa.select(sa.func.count())
        .select_from(exports.join(jobs, jobs.c.id == exports.c.job))
        .where(exports.c.user == user, jobs.c.status.in_(("queued", "running")))
    )
    return int(tx.execute(query).scalar_one())


def content(tx: Tx, user: str, export: str, now_us: int) -> bytes | None:
    """Return the archive, None when there is none (yet)."""
    query = sa.select(exports.c.content).where(
        exports.c.user == user, exports.c.id == export, exports.c.expires_at > now_us
    )
    found = tx.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def save_content(tx: Tx, export: str, archive: bytes) -> bool:
    """Keep the archive; return False when the export is gone."""
    return tx.execute(exports.update().where(exports.c.id == export).values(content=archive)).rowcount == 1


def tables_of(kind: str) -> list[str]:
    """Return the names of the tables that an export of this kind holds."""
    if kind == "person":
        return ["users", *(table.name for table in _OF_A_PERSON)]
    names = [table.name for table in tables_of_organizations() if table.name not in _LEFT_OUT]
    return ["organizations", "users", *names, "audit_log"]


def rows(
    tx: Tx, kind: str, owner: str, table_name: str, after: Sequence[Any] | None
) -> tuple[list[dict[str, Any]], list[Any] | None]:
    """Return rows of one table, without secrets, and where the next ones begin (None: there are no more).

    At most 1,000, or 20 where they may be large. owner: the id of the person or the organization.
    """
    table = metadata.tables[table_name]
    key = list(table.primary_key.columns)
    query = sa.select(*_columns(table), *(column.label(f"key_{n}") for n, column in enumerate(key)))
    most = _LARGE_ROWS if table_name in _LARGE else _ROWS
    query = query.where(_belonging(kind, owner, table)).order_by(*key).limit(most)
    if after is not None:
        query = query.where(
            sa.tuple_(*key) > sa.tuple_(*(sa.literal(v, c.type) for v, c in zip(after, key, strict=True)))
        )
    found = [dict(row) for row in tx.execute(query).mappings()]
    more = [found[-1][f"key_{n}"] for n in range(len(key))] if len(found) == most else None
    return [{name: value for name, value in row.items() if not name.startswith("key_")} for row in found], more


def _columns(table: sa.Table) -> list[sa.Column[Any]]:
    shown = _BYTES.get(table.name, ())
    hidden = _SECRET_TEXTS.get(table.name, ())
    return [
        column
        for column in table.c
        if column.name not in hidden and (not isinstance(column.type, sa.LargeBinary) or column.name in shown)
    ]


_OF_A_PERSON = (
    members,
    sessions,
    authenticators,
    recovery_codes,
    passkeys,
    invitations,
    api_keys,
    audit_people,
    audit_log,
)


def _belonging(kind: str, owner: str, table: sa.Table) -> sa.ColumnElement[bool]:
    if kind == "person":
        if table is users:
            return users.c.id == owner
        if table is invitations:
            return invitations.c.email == sa.select(users.c.email).where(users.c.id == owner).scalar_subquery()
        if table is api_keys:
            return api_keys.c.created_by == owner
        if table is audit_log:
            return audit_log.c.id.in_(sa.select(audit_people.c.entry).where(audit_people.c.user == owner))
        return table.c["user"] == owner
    if table is organizations:
        return organizations.c.id == owner
    if table is users:
        return users.c.id.in_(sa.select(members.c.user).where(members.c.organization == owner))
    if table is audit_log:
        return audit_log.c.organization == owner
    return column_of(table) == owner


def _query(user: str, now_us: int) -> sa.Select[Any]:
    columns = [column for column in exports.c if column.name != "content"]
    return (
        sa.select(*columns, jobs.c.status, jobs.c.progress, jobs.c.message, jobs.c.error, jobs.c.finished_at)
        .join(jobs, jobs.c.id == exports.c.job)
        .where(exports.c.user == user, exports.c.expires_at > now_us)
    )
