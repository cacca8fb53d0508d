"""Organizations and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from tradewright.storage.changes import UNREMEMBERED, reads
from tradewright.storage.database import Tx, one_statement
from tradewright.storage.reading import Reading
from tradewright.storage.tables import api_keys, members, organizations

_KEYS = 64  # of one read
_SECRETS = ("secret_hash", "signing_secret")


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


@reads("api_keys", "members")
@one_statement
def api_keys_by_public_id(tx: Tx, public_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the keys with these public parts that exist, revoked and expired ones too, in no order; 64 in a statement.

    creator_role: what who made the key is in its organization now, None when no member is.
    """
    found: list[dict[str, Any]] = []
    for start in range(0, len(public_ids), _KEYS):
        part = public_ids[start : start + _KEYS]
        count = 1 if len(part) == 1 else _KEYS  # two statements do for all; the places that are left take the last one
        values = {f"key_{n}": part[min(n, len(part) - 1)] for n in range(count)}
        found += _keys(count).dicts(tx, values)
    return found


@lru_cache(2)
def _keys(count: int) -> Reading:
    wanted: list[Any] = [sa.bindparam(f"key_{n}") for n in range(count)]
    return Reading(_with_creator_role().where(api_keys.c.public_id.in_(wanted)))


def _with_creator_role(*columns: sa.Column[Any]) -> sa.Select[Any]:
    role = sa.and_(members.c.organization == api_keys.c.organization, members.c.user == api_keys.c.created_by)
    shown = columns or tuple(api_keys.c)
    return sa.select(*shown, members.c.role.label("creator_role")).join_from(api_keys, members, role, isouter=True)


@one_statement
def api_key_with_role(tx: Tx, key: str) -> dict[str, Any] | None:
    """Return the key of this id as `api_keys_by_public_id` does, None when there is none."""
    return _key_by_id().first(tx, {"key": key})


@lru_cache(1)
def _key_by_id() -> Reading:
    return Reading(_with_creator_role().where(api_keys.c.id == sa.bindparam("key")))


def list_api_keys(tx: Tx, organization: str) -> list[dict[str, Any]]:
    """Return every key of the organization, oldest first, without the hashes."""
    columns = [c for c in api_keys.c if c.name not in _SECRETS]
    query = sa.select(*columns).where(api_keys.c.organization == organization).order_by(api_keys.c.created_at)
    return [dict(row) for row in tx.execute(query).mappings()]


def list_api_keys_page(
    tx: Tx, organization: str, environment: str, limit: int, descending: bool, after: str | None
) -> list[dict[str, Any]]:
    """Return keys without their hashes, by id, beginning after the id `after`. creator_role: as of
    `api_keys_by_public_id`."""
    query = _shown(organization, environment)
    if after is not None:
        query = query.where(api_keys.c.id < after if descending else api_keys.c.id > after)
    query = query.order_by(api_keys.c.id.desc() if descending else api_keys.c.id).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def api_key(tx: Tx, organization: str, environment: str, key: str) -> dict[str, Any] | None:
    """Return one key without its hash, None when there is none. creator_role: as of `api_keys_by_public_id`."""
    row = tx.execute(_shown(organization, environment).where(api_keys.c.id == key)).mappings().first()
    return None if row is None else dict(row)


def environment_of_key(tx: Tx, organization: str, key: str) -> str:
    """Return the environment of a key that the organization has."""
    query = sa.select(api_keys.c.environment).where(api_keys.c.organization == organization, api_keys.c.id == key)
    return str(tx.execute(query).scalar_one())


def count_api_keys(tx: Tx, organization: str, now_us: int) -> int:
    """Return how many keys of the organization are valid."""
    valid = (
        api_keys.c.organization == organization,
        api_keys.c.revoked_at.is_(None),
        sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now_us),
    )
    return int(tx.execute(sa.select(sa.func.count()).select_from(api_keys).where(*valid)).scalar_one())


def change_api_key(tx: Tx, organization: str, environment: str, key: str, values: dict[str, Any]) -> None:
    """Set these columns of a key."""
    tx.execute(_key(organization, key).where(api_keys.c.environment == environment).values(values))


def note_uses(tx: Tx, uses: Sequence[tuple[str, int, str, str]], apart_us: int) -> int:
    """Store when and from where keys were used: (key, time, address, agent); return how many rows that changed.

    A key whose last stored use is less than `apart_us` older is left as it is: another process has written it.
    """
    last = api_keys.c.last_used_at
    statement = (
        api_keys.update()
        .where(
            api_keys.c.id == sa.bindparam("used"),
            api_keys.c.revoked_at.is_(None),
            sa.or_(last.is_(None), last <= sa.bindparam("time") - sa.literal(apart_us, sa.BigInteger)),
        )
        .values(
            last_used_at=sa.bindparam("time"),
            last_used_address=sa.bindparam("address"),
            last_used_agent=sa.bindparam("agent"),
        )
        .execution_options(**{UNREMEMBERED: True})
    )
    rows = [{"used": key, "time": time, "address": address, "agent": agent} for key, time, address, agent in uses]
    return sum(tx.execute(statement, row).rowcount for row in sorted(rows, key=lambda row: str(row["used"])))


def mark_key_shown(tx: Tx, organization: str, key: str, now_us: int) -> None:
    """Remember that a person has seen the secret."""
    tx.execute(_key(organization, key).values(shown_at=now_us))


def revoke_api_key(tx: Tx, organization: str, key: str, now_us: int, reason: str | None = None) -> bool:
    """Revoke a key; return False when the organization has no such key that is still valid."""
    values = {"revoked_at": now_us, "revoked_reason": reason}
    done = tx.execute(_key(organization, key).where(api_keys.c.revoked_at.is_(None)).values(values))
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


def _shown(organization: str, environment: str) -> sa.Select[*tuple[Any, ...]]:
    keys = _with_creator_role(*(c for c in api_keys.c if c.name not in _SECRETS))
    return keys.where(api_keys.c.organization == organization, api_keys.c.environment == environment)
