"""People, the organizations they belong to, and who is asked to join. What counts tries stands here too."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tradewright.storage.database import Tx
from tradewright.storage.tables import api_keys, invitations, members, organizations, throttles, users

# --- people -----------------------------------------------------------------------------------------------------------


def add_user(tx: Tx, row: dict[str, Any]) -> bool:
    """Store a new person; return False when the address is taken, and then nothing is stored."""
    return tx.execute(_insert(tx, users).values(row).on_conflict_do_nothing(index_elements=["email"])).rowcount == 1


def has_users(tx: Tx) -> bool:
    """Return whether anybody ever registered, erased persons included."""
    return tx.execute(sa.select(users.c.id).limit(1)).first() is not None


def user_by_email(tx: Tx, email: str) -> dict[str, Any] | None:
    """Return the person with this address, in its stored spelling, None when there is none."""
    row = tx.execute(sa.select(users).where(users.c.email == email)).mappings().first()
    return None if row is None else dict(row)


def get_user(tx: Tx, user: str, lock: bool = False) -> dict[str, Any] | None:
    """Return a person who was not erased, None when there is none. lock: until the transaction ends."""
    query = sa.select(users).where(users.c.id == user, users.c.erased_at.is_(None))
    row = tx.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else dict(row)


def hold_user(tx: Tx, user: str | None) -> None:
    """See to it that nobody ends a session of a person, or erases them, until this transaction ends.

    Whoever does locks the person (`get_user`).
    """
    if user is not None:
        tx.execute(sa.select(users.c.id).where(users.c.id == user).with_for_update(read=True, key_share=True))


def list_users(tx: Tx) -> list[dict[str, Any]]:
    """Return every person who was not erased, oldest first, without the hashes of passwords."""
    columns = [column for column in users.c if column.name != "password_hash"]
    query = sa.select(*columns).where(users.c.erased_at.is_(None)).order_by(users.c.created_at, users.c.id)
    return [dict(row) for row in tx.execute(query).mappings()]


def rename_user(tx: Tx, user: str, name: str) -> None:
    """Set the name of a person."""
    tx.execute(users.update().where(users.c.id == user).values(name=name))


def set_password(tx: Tx, user: str, password_hash: str, now_us: int) -> None:
    """Replace the password of a person."""
    tx.execute(users.update().where(users.c.id == user).values(password_hash=password_hash, password_changed_at=now_us))


def rehash_password(tx: Tx, user: str, password_hash: str) -> None:
    """Keep the same password under another hash of it."""
    tx.execute(users.update().where(users.c.id == user).values(password_hash=password_hash))


# --- organizations and their members ----------------------------------------------------------------------------------


def get_organization(tx: Tx, organization: str, lock: bool = False) -> dict[str, Any] | None:
    """Return an organization, None when there is none. lock: whoever changes its members takes turns."""
    query = sa.select(organizations).where(organizations.c.id == organization)
    row = tx.execute(query.with_for_update(key_share=True) if lock else query).mappings().first()
    return None if row is None else dict(row)


def rename_organization(tx: Tx, organization: str, name: str) -> None:
    """Set the name of an organization."""
    tx.execute(organizations.update().where(organizations.c.id == organization).values(name=name))


def hold_organization(tx: Tx, organization: str) -> bool:
    """See to it that nobody deletes the organization, or changes anything of it as its member, until this transaction
    ends: that locks it whole. Others may hold it, too, and change its members (`get_organization`). Return whether it
    is there."""
    query = sa.select(organizations.c.id).where(organizations.c.id == organization)
    return tx.execute(query.with_for_update(read=True, key_share=True)).first() is not None


def lock_whole_organization(tx: Tx, organization: str) -> None:
    """Wait for everybody who changes anything of an organization; nobody does until this transaction ends."""
    tx.execute(sa.select(organizations.c.id).where(organizations.c.id == organization).with_for_update())


def only_organization(tx: Tx) -> str | None:
    """Return the id of the organization of this installation, locked; None when there is none, or several."""
    query = sa.select(organizations.c.id).order_by(organizations.c.id).limit(2).with_for_update()
    found = tx.execute(query).scalars().all()
    return str(found[0]) if len(found) == 1 else None


def add_member(tx: Tx, organization: str, user: str, role: str, now_us: int) -> bool:
    """Make a person a member; return False when they are one already."""
    row = {"organization": organization, "user": user, "role": role, "created_at": now_us}
    return tx.execute(_insert(tx, members).values(row).on_conflict_do_nothing()).rowcount == 1


def role_of(tx: Tx, organization: str, user: str) -> str | None:
    """Return the role of a member, None for one who is not."""
    query = sa.select(members.c.role).where(members.c.organization == organization, members.c.user == user)
    return tx.execute(query).scalar_one_or_none()


def set_role(tx: Tx, organization: str, user: str, role: str) -> None:
    """Replace the role of a member."""
    tx.execute(members.update().where(members.c.organization == organization, members.c.user == user).values(role=role))


def remove_member(tx: Tx, organization: str, user: str) -> None:
    """End a membership."""
    tx.execute(members.delete().where(members.c.organization == organization, members.c.user == user))


def count_owners(tx: Tx, organization: str) -> int:
    """Return how many owners there are."""
    query = sa.select(sa.func.count()).where(members.c.organization == organization, members.c.role == "owner")
    return int(tx.execute(query).scalar_one())


def count_members(tx: Tx, organization: str) -> int:
    """Return how many members there are."""
    return int(tx.execute(sa.select(sa.func.count()).where(members.c.organization == organization)).scalar_one())


def get_member(tx: Tx, organization: str, user: str) -> dict[str, Any] | None:
    """Return one member with address and name, None when there is none."""
    row = tx.execute(_members(organization).where(members.c.user == user)).mappings().first()
    return None if row is None else dict(row)


def list_members(tx: Tx, organization: str, limit: int, newest_first: bool, after: str | None) -> list[dict[str, Any]]:
    """Return members with address and name, in the order of their ids. after: the id of the last one seen."""
    query = _members(organization)
    return _page(tx, query, members.c.user, limit, newest_first, after)


def list_organizations(tx: Tx, user: str, limit: int, newest_first: bool, after: str | None) -> list[dict[str, Any]]:
    """Return the organizations of a person, each with the role, in the order of their ids."""
    query = (
        sa.select(organizations, members.c.role)
        .join(members, members.c.organization == organizations.c.id)
        .where(members.c.user == user)
    )
    return _page(tx, query, members.c.organization, limit, newest_first, after)


def organizations_of(tx: Tx, user: str) -> list[tuple[str, str]]:
    """Return (organization, role) of every membership of a person, in the order of ids."""
    query = sa.select(members.c.organization, members.c.role).where(members.c.user == user)
    return [(row[0], row[1]) for row in tx.execute(query.order_by(members.c.organization))]


def revoke_keys_of(tx: Tx, organization: str, user: str, now_us: int) -> list[tuple[str, str]]:
    """Revoke every API key that a person made in an organization and that is still valid; return (id, environment)."""
    query = api_keys.update().where(
        api_keys.c.organization == organization,
        api_keys.c.created_by == user,
        api_keys.c.revoked_at.is_(None),
        sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now_us),
    )
    values = {"revoked_at": now_us, "revoked_reason": "its maker is no member any more"}
    done = tx.execute(query.values(values).returning(api_keys.c.id, api_keys.c.environment))
    return sorted((row[0], row[1]) for row in done)


def _members(organization: str) -> sa.Select[Any]:
    return (
        sa.select(members, users.c.email, users.c.name)
        .join(users, users.c.id == members.c.user)
        .where(members.c.organization == organization)
    )


# --- invitations ------------------------------------------------------------------------------------------------------


def add_invitation(tx: Tx, row: dict[str, Any]) -> None:
    """Store an invitation; the row holds the hash of its token."""
    tx.execute(invitations.insert().values(row))


def invitation_by_token(tx: Tx, token_hash: bytes, now_us: int) -> dict[str, Any] | None:
    """Return the invitation that this token opens, None when it was used, ended, or never made."""
    query = sa.select(invitations).where(invitations.c.token_hash == token_hash, *_open_invitation(now_us))
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def accept_invitation(tx: Tx, invitation: str, now_us: int) -> bool:
    """Use an invitation up; return False when it was used or ended meanwhile."""
    query = invitations.update().where(invitations.c.id == invitation, *_open_invitation(now_us))
    return tx.execute(query.values(accepted_at=now_us)).rowcount == 1


def revoke_invitation(tx: Tx, organization: str, invitation: str, now_us: int) -> bool:
    """End an invitation; return False when there is none that is open."""
    query = invitations.update().where(
        invitations.c.organization == organization, invitations.c.id == invitation, *_open_invitation(now_us)
    )
    return tx.execute(query.values(revoked_at=now_us)).rowcount == 1


def count_open_invitations(tx: Tx, organization: str, now_us: int) -> int:
    """Return how many invitations can still be accepted."""
    query = sa.select(sa.func.count()).where(invitations.c.organization == organization, *_open_invitation(now_us))
    return int(tx.execute(query).scalar_one())


def list_invitations(
    tx: Tx, organization: str, limit: int, newest_first: bool, after: str | None
) -> list[dict[str, Any]]:
    """Return invitations without the hashes, in the order in which they were made."""
    columns = [column for column in invitations.c if column.name != "token_hash"]
    query = sa.select(*columns).where(invitations.c.organization == organization)
    return _page(tx, query, invitations.c.id, limit, newest_first, after)


def _open_invitation(now_us: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        invitations.c.accepted_at.is_(None),
        invitations.c.revoked_at.is_(None),
        invitations.c.expires_at > now_us,
    )


# --- counted tries ----------------------------------------------------------------------------------------------------


def arrival(tx: Tx, bucket: str) -> int:
    """Return the arrival time of a bucket, 0 for a new one, locked until the transaction ends."""
    query = _insert(tx, throttles).values(bucket=bucket, arrives_at=0)
    same = {"arrives_at": throttles.c.arrives_at}  # one statement, so that a bucket cannot be forgotten in between
    query = query.on_conflict_do_update(index_elements=["bucket"], set_=same).returning(throttles.c.arrives_at)
    return int(tx.execute(query).scalar_one())


def set_arrival(tx: Tx, bucket: str, arrives_at: int) -> None:
    """Keep the arrival time of a bucket."""
    tx.execute(throttles.update().where(throttles.c.bucket == bucket).values(arrives_at=arrives_at))


def forget_bucket(tx: Tx, bucket: str) -> None:
    """Let a bucket be full again."""
    tx.execute(throttles.delete().where(throttles.c.bucket == bucket))


# ----------------------------------------------------------------------------------------------------------------------


def _insert(tx: Tx, table: sa.Table) -> Any:
    return (postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert)(table)


def _page(
    tx: Tx, query: sa.Select[Any], key: sa.Column[str], limit: int, newest_first: bool, after: str | None
) -> list[dict[str, Any]]:
    if after is not None:
        query = query.where(key < after if newest_first else key > after)
    query = query.order_by(key.desc() if newest_first else key).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]
