"""Organizations and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.reading import Reading
from tradewright.storage.tables import api_keys, organizations

_KEYS = 64  # of one read


def add_organization(tx: Tx, organization: str, name: str, now_us: int) -> None:
    """Store a new organization."""
    tx.execute(organizations.insert().values(id=organization, name=name, created_at=now_us))


def first_organization(tx: Tx) -> str | None:
    """Return the id of the oldest organization, None when there is none."""
    query = sa.select(organizations.c.id).order_by(organizations.c.created_at, organizations.c.id).limit(1)
    return tx.execute(query).scalar_one_or_none()


def add_api_key(tx: Tx, row: dict[str, Any]) -> None:
    """Store a key; the row holds the hash of its secret, never the secret."""
    tx.execute(api_keys.insert().values(row))


def api_keys_by_public_id(tx: Tx, public_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the keys with these public parts that exist, revoked and expired ones too, in no order."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(public_ids), _KEYS):
        part = public_ids[start : start + _KEYS]
        count = 1 if len(part) == 1 else _KEYS  # two statements do for all; the places that are left take the last one
        values = {f"key_{n}": part[min(n, len(part) - 1)] for n in range(count)}
        found += _keys(count).dicts(tx, values)
    return found


@lru_cache(2)
def _keys(count: int) -> Reading:
    return Reading(
        sa.select(api_keys).where(api_keys.c.public_id.in_([sa.bindparam(f"key_{n}") for n in range(count)]))
    )


def list_api_keys(tx: Tx, organization: str) -> list[dict[str, Any]]:
    """Return every key of the organization, oldest first, without the hashes."""
    columns = [c for c in api_keys.c if c.name != "secret_hash"]
    query = sa.select(*columns).where(api_keys.c.organization == organization).order_by(api_keys.c.created_at)
    return [dict(row) for row in tx.execute(query).mappings()]


def mark_key_shown(tx: Tx, organization: str, key: str, now_us: int) -> None:
    """Remember that a person has seen the secret."""
    tx.execute(_key(organization, key).values(shown_at=now_us))


def revoke_api_key(tx: Tx, organization: str, key: str, now_us: int) -> bool:
    """Revoke a key; return False when the organization has no such key that is still valid."""
    done = tx.execute(_key(organization, key).where(api_keys.c.revoked_at.is_(None)).values(revoked_at=now_us))
    return done.rowcount == 1


def revoke_keys_never_shown(tx: Tx, organization: str, environment: str, now_us: int) -> int:
    """Revoke keys whose secret nobody saw (the process ended before printing it); return how many."""
    done = tx.execute(
        api_keys.update()
        .where(
            api_keys.c.organization == organization,
            api_keys.c.environment == environment,
            api_keys.c.shown_at.is_(None),
            api_keys.c.revoked_at.is_(None),
        )
        .values(revoked_at=now_us)
    )
    return done.rowcount


def has_shown_key(tx: Tx, organization: str, environment: str) -> bool:
    """Return whether anybody was ever shown a key of this environment."""
    query = sa.select(api_keys.c.id).where(
        api_keys.c.organization == organization,
        api_keys.c.environment == environment,
        api_keys.c.shown_at.is_not(None),
    )
    return tx.execute(query.limit(1)).first() is not None


def _key(organization: str, key: str) -> sa.Update:
    return api_keys.update().where(api_keys.c.organization == organization, api_keys.c.id == key)
