"""Facts to be told: written in the transaction of the change, numbered gaplessly once committed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge
from itertools import islice
from typing import Any

import sqlalchemy as sa

from tradewright import ids
from tradewright.storage.database import Tx
from tradewright.storage.reading import Reading
from tradewright.storage.tables import outbox, outbox_heads
from tradewright.storage.writing import add, alone, change, insert

_LOCK = 0x7477_6F75_7462_6F78  # of PostgreSQL, for whoever numbers


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
    insert(tx, outbox, rows)


def sequence(tx: Tx, limit: int = 1000) -> int:
    """Number committed events that have no number yet, gapless per (organization, environment); return how many.

    While another process does, return 0: it would pass over the events that the other has in hand, and number later
    ones before them.
    """
    if not alone(tx, _LOCK):
        return 0
    waiting = _unnumbered().tuples(tx, {"limit": limit})
    heads: dict[str, int] = {}
    numbers = []
    for event, organization, environment in waiting:
        scope = f"{organization or ''}/{environment or ''}"
        if scope not in heads:
            heads[scope] = _head(tx, scope)
        heads[scope] += 1
        numbers.append((event, heads[scope]))
    change(tx, outbox, (({"id": event}, {"sequence": number}) for event, number in numbers))
    change(tx, outbox_heads, (({"scope": scope}, {"sequence": number}) for scope, number in heads.items()))
    return len(numbers)


def waiting(tx: Tx) -> bool:
    """Return whether an event has no number yet."""
    return bool(_waiting().tuples(tx, {}))


@lru_cache(1)
def _waiting() -> Reading:
    return Reading(sa.select(outbox.c.id).where(outbox.c.sequence.is_(None)).limit(1))


@lru_cache(1)
def _unnumbered() -> Reading:
    query = sa.select(outbox.c.id, outbox.c.organization, outbox.c.environment).where(outbox.c.sequence.is_(None))
    query = query.order_by(outbox.c.created_at, outbox.c.position, outbox.c.id).limit(sa.bindparam("limit"))
    return Reading(query.with_for_update(skip_locked=True))


def _head(tx: Tx, scope: str) -> int:
    add(tx, outbox_heads, [{"scope": scope, "sequence": 0}])
    return int(_number_of().tuples(tx, {"scope": scope})[0][0])


@lru_cache(1)
def _number_of() -> Reading:
    query = sa.select(outbox_heads.c.sequence).where(outbox_heads.c.scope == sa.bindparam("scope"))
    return Reading(query.with_for_update())


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events. types: None for all. start, end: of the moment they were written, end excluded."""

    types: tuple[str, ...] | None = None
    subject: str | None = None
    start_us: int | None = None
    end_us: int | None = None


def page(
    tx: Tx,
    organization: str,
    environment: str,
    wanted: Wanted,
    limit: int,
    descending: bool,
    after: tuple[int | None, int | None],
) -> list[dict[str, Any]]:
    """Return numbered public events of this organization and environment and of all, in the order they were written.

    Each of the two has numbers of its own; `after` holds the last number seen of each. Going on from the last number
    of each gives every event once.
    """
    own = _numbered(tx, organization, environment, wanted, limit, descending, after[0])
    shared = _numbered(tx, None, None, wanted, limit, descending, after[1])
    return list(islice(merge(own, shared, key=lambda row: (row["created_at"], row["id"]), reverse=descending), limit))


def _numbered(
    tx: Tx,
    organization: str | None,
    environment: str | None,
    wanted: Wanted,
    limit: int,
    descending: bool,
    after: int | None,
) -> list[dict[str, Any]]:
    o = outbox.c
    query = sa.select(outbox).where(*_scope(organization, environment), o.sequence.is_not(None))
    query = query.where(o.visibility == "public")
    if wanted.types is not None:
        query = query.where(o.type.in_(wanted.types))
    if wanted.subject is not None:
        query = query.where(o.subject == wanted.subject)
    if wanted.start_us is not None:
        query = query.where(o.created_at >= wanted.start_us)
    if wanted.end_us is not None:
        query = query.where(o.created_at < wanted.end_us)
    if after is not None:
        query = query.where(o.sequence < after if descending else o.sequence > after)
    query = query.order_by(o.sequence.desc() if descending else o.sequence).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def get(tx: Tx, organization: str, environment: str, event: str) -> dict[str, Any] | None:
    """Return one numbered public event of this organization and environment or of all, or None."""
    o = outbox.c
    mine = sa.or_(sa.and_(*_scope(organization, environment)), sa.and_(*_scope(None, None)))
    query = sa.select(outbox).where(o.id == event, mine, o.sequence.is_not(None), o.visibility == "public")
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def _scope(organization: str | None, environment: str | None) -> tuple[sa.ColumnElement[bool], ...]:
    if organization is None:
        return outbox.c.organization.is_(None), outbox.c.environment.is_(None)
    return outbox.c.organization == organization, outbox.c.environment == environment
