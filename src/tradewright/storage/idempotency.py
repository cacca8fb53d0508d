"""Replays of requests: the answer is stored in the transaction of the effect."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import idempotency

KEPT_US = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered the first time."""

    fingerprint: bytes
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Scope:
    """What an idempotency key is unique within, and the key."""

    organization: str
    environment: str
    operation: str
    key: str


def find(tx: Tx, scope: Scope, now_us: int) -> StoredAnswer | None:
    """Return the stored answer, None when there is none or it is older than 24 hours."""
    table = idempotency.c
    row = tx.execute(sa.select(idempotency).where(*_where(scope), table.created_at > now_us - KEPT_US)).first()
    return None if row is None else StoredAnswer(row.fingerprint, row.status, row.headers, row.body)


def store(tx: Tx, scope: Scope, answer: StoredAnswer, now_us: int) -> None:
    """Keep an answer, replacing one that is older than 24 hours. A concurrent second store of the same key fails."""
    tx.execute(idempotency.delete().where(*_where(scope), idempotency.c.created_at <= now_us - KEPT_US))
    tx.execute(
        idempotency.insert().values(
            organization=scope.organization,
            environment=scope.environment,
            operation=scope.operation,
            key=scope.key,
            fingerprint=answer.fingerprint,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            created_at=now_us,
        )
    )


def _where(scope: Scope) -> list[sa.ColumnElement[bool]]:
    table = idempotency.c
    return [
        table.organization == scope.organization,
        table.environment == scope.environment,
        table.operation == scope.operation,
        table.key == scope.key,
    ]
