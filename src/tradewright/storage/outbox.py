"""Facts to be told: written in the transaction of the change, numbered gaplessly once committed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tradewright import ids
from tradewright.storage.database import Tx
from tradewright.storage.tables import outbox, outbox_heads


def append(
    tx: Tx,
    organization: str | None,
    environment: str | None,
    events: Iterable[tuple[str, str, int | None, dict[str, Any]]],
    now_us: int,
    *,
    version: int = 1,
    visibility: str = "public",
) -> None:
    """Write events (type, subject, bar time or None, data) in the caller's transaction.

    organization and environment are None for facts that everybody shares.
    """
    rows = [
        {
            "id": ids.new("evt"),
            "organization": organization,
            "environment": environment,
            "sequence": None,
            "type": kind,
            "version": version,
            "subject": subject,
            "bar_time": bar_time,
            "visibility": visibility,
            "data": data,
            "position": index,
            "created_at": now_us,
        }
        for index, (kind, subject, bar_time, data) in enumerate(events)
    ]
    if rows:
        tx.execute(outbox.insert(), rows)


def sequence(tx: Tx, limit: int = 1000) -> int:
    """Number committed events that have no number yet, gapless per (organization, environment); return how many.

    Called in a loop by one process at a time; the heads are locked, so two callers wait for each other.
    """
    query = (
        sa.select(outbox.c.id, outbox.c.organization, outbox.c.environment)
        .where(outbox.c.sequence.is_(None))
        .order_by(outbox.c.created_at, outbox.c.position, outbox.c.id)
        .limit(limit)
    )
    waiting = tx.execute(query.with_for_update(skip_locked=True)).all()
    heads: dict[str, int] = {}
    updates = []
    for event, organization, environment in waiting:
        scope = f"{organization or ''}/{environment or ''}"
        if scope not in heads:
            heads[scope] = _head(tx, scope)
        heads[scope] += 1
        updates.append({"event": event, "number": heads[scope]})
    if updates:
        statement = outbox.update().where(outbox.c.id == sa.bindparam("event")).values(sequence=sa.bindparam("number"))
        tx.execute(statement, updates)
    for scope, number in heads.items():
        tx.execute(outbox_heads.update().where(outbox_heads.c.scope == scope).values(sequence=number))
    return len(updates)


def waiting(tx: Tx) -> bool:
    """Return whether an event has no number yet."""
    return tx.execute(sa.select(outbox.c.id).where(outbox.c.sequence.is_(None)).limit(1)).first() is not None


def _head(tx: Tx, scope: str) -> int:
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    tx.execute(insert(outbox_heads).values(scope=scope, sequence=0).on_conflict_do_nothing())
    query = sa.select(outbox_heads.c.sequence).where(outbox_heads.c.scope == scope).with_for_update()
    return int(tx.execute(query).scalar_one())


def list_events(tx: Tx, organization: str, environment: str, after: int = 0, limit: int = 500) -> list[dict[str, Any]]:
    """Return numbered public events after `after`, ascending."""
    query = (
        sa.select(outbox)
        .where(
            outbox.c.organization == organization,
            outbox.c.environment == environment,
            outbox.c.sequence > after,
            outbox.c.visibility == "public",
        )
        .order_by(outbox.c.sequence)
        .limit(limit)
    )
    return [dict(row) for row in tx.execute(query).mappings()]
