"""Replays of requests: the answer is stored in the transaction of the effect."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tradewright.errors import StillRunning
from tradewright.storage.database import Tx
from tradewright.storage.tables import idempotency
from tradewright.storage.writing import alone

KEPT_US = 24 * 3600 * 1_000_000
_WAIT = "1s"  # for the first request of a key that is still running


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered the first time."""

    fingerprint: bytes
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Scope:
    """What an idempotency key is unique within, and the key.

    For what is a person's, organization is the person's id, and environment what the person called as, both parts.
    """

    organization: str
    environment: str
    operation: str
    key: str


def find(tx: Tx, scope: Scope, now_us: int) -> StoredAnswer | None:
    """Return the answer of a request that has ended, None when there is none younger than 24 hours."""
    query = sa.select(idempotency).where(*_where(scope), idempotency.c.created_at > now_us - KEPT_US)
    found = tx.execute(query).first()
    return None if found is None else StoredAnswer(found.fingerprint, found.status, found.headers, found.body)


def hold(tx: Tx, scope: Scope) -> None:
    """Keep the key from every other request until this transaction ends; wait for one that has it. No row is locked: an
    erasure locks them in an order of its own. Raises StillRunning when the wait takes too long."""
    if tx.dialect.name != "postgresql":
        return  # it has one writer
    turn = int.from_bytes(hashlib.blake2b(repr(scope).encode(), digest_size=8).digest(), signed=True)
    if alone(tx, turn):
        return
    try:
        tx.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT}'")
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(turn)))
        tx.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")  # the effect waits as long as any other
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == "55P03":
            raise StillRunning from error
        raise


def claim(tx: Tx, scope: Scope, fingerprint: bytes, now_us: int) -> StoredAnswer | None:
    """Return the stored answer; or None, and then the key is the caller's until its transaction ends.

    Comes after `hold`, and after what locks the organization or person. An answer older than 24 hours is forgotten.
    """
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    row = {
        "organization": scope.organization,
        "environment": scope.environment,
        "operation": scope.operation,
        "key": scope.key,
        "fingerprint": fingerprint,
        "created_at": now_us,
    }
    old = idempotency.c.created_at <= now_us - KEPT_US
    statement = insert(idempotency).values(row)
    fresh = {name: row.get(name) for name in ("fingerprint", "created_at", "status", "headers", "body")}
    statement = statement.on_conflict_do_update(index_elements=_PLACE, set_=fresh, where=old)
    if tx.execute(statement).rowcount == 1:
        return None
    found = tx.execute(sa.select(idempotency).where(*_where(scope))).one()
    return StoredAnswer(found.fingerprint, found.status, found.headers, found.body)


def store(tx: Tx, scope: Scope, answer: StoredAnswer) -> None:
    """Keep the answer of a claimed key."""
    values = {"status": answer.status, "headers": answer.headers, "body": answer.body}
    tx.execute(idempotency.update().where(*_where(scope)).values(values))


_PLACE = ["organization", "environment", "operation", "key"]


def _where(scope: Scope) -> list[sa.ColumnElement[bool]]:
    return [idempotency.c[name] == getattr(scope, name) for name in _PLACE]
