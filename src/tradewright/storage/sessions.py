"""Sessions of people, and what they were asked and have yet to answer."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx, one_statement
from tradewright.storage.reading import Reading
from tradewright.storage.tables import challenges, members, sessions

_MEMBER = sa.and_(
    members.c.user == sessions.c.user, members.c.organization == sa.bindparam("organization", type_=sa.Text)
)
_WITH_ROLE = sa.select(
    sessions.c.id,
    sessions.c.user,
    sessions.c.last_seen_at,
    sessions.c.expires_at,
    sessions.c.stepped_up_until,
    sessions.c.ended_at,
    members.c.role,
).select_from(sessions.outerjoin(members, _MEMBER))
_BY_TOKEN = Reading(_WITH_ROLE.where(sessions.c.token_hash == sa.bindparam("token_hash", type_=sa.LargeBinary)))
_BY_ID = Reading(_WITH_ROLE.where(sessions.c.id == sa.bindparam("session", type_=sa.Text)))


def add(tx: Tx, row: dict[str, Any]) -> None:
    """Store a session; the row holds the hash of its token."""
    tx.execute(sessions.insert().values(row))


@one_statement
def by_token(tx: Tx, token_hash: bytes, organization: str) -> dict[str, Any] | None:
    """Return the session of a token, ended ones too, with the role of its person in the organization (None: none)."""
    return _BY_TOKEN.first(tx, {"token_hash": token_hash, "organization": organization})


@one_statement
def with_role(tx: Tx, session: str, organization: str) -> dict[str, Any] | None:
    """Return the session of this id as `by_token` does."""
    return _BY_ID.first(tx, {"session": session, "organization": organization})


def touch(tx: Tx, session: str, now_us: int) -> None:
    """Remember that the session was used."""
    tx.execute(sessions.update().where(sessions.c.id == session).values(last_seen_at=now_us))


def renew(tx: Tx, session: str, token_hash: bytes, stepped_up_until: int | None) -> bool:
    """Give a session another token; return False when it ended meanwhile. stepped_up_until: None to leave it."""
    values: dict[str, Any] = {"token_hash": token_hash}
    if stepped_up_until is not None:
        values["stepped_up_until"] = stepped_up_until
    query = sessions.update().where(sessions.c.id == session, sessions.c.ended_at.is_(None))
    return tx.execute(query.values(values)).rowcount == 1


def end(tx: Tx, user: str, session: str, now_us: int) -> bool:
    """End one session of a person; return False when they have no such session, or it has ended."""
    query = sessions.update().where(sessions.c.user == user, sessions.c.id == session, sessions.c.ended_at.is_(None))
    return tx.execute(query.values(ended_at=now_us)).rowcount == 1


def end_all(tx: Tx, user: str, now_us: int, besides: str = "") -> int:
    """End every session of a person but one; return how many."""
    query = sessions.update().where(sessions.c.user == user, sessions.c.id != besides, sessions.c.ended_at.is_(None))
    return tx.execute(query.values(ended_at=now_us)).rowcount


def list_page(
    tx: Tx, user: str, now_us: int, idle_since: int, limit: int, newest_first: bool, after: str | None
) -> list[dict[str, Any]]:
    """Return the sessions of a person that are alive, without the hashes. idle_since: last used after it."""
    columns = [column for column in sessions.c if column.name != "token_hash"]
    query = sa.select(*columns).where(
        sessions.c.user == user,
        sessions.c.ended_at.is_(None),
        sessions.c.expires_at > now_us,
        sessions.c.last_seen_at > idle_since,
    )
    if after is not None:
        query = query.where(sessions.c.id < after if newest_first else sessions.c.id > after)
    query = query.order_by(sessions.c.id.desc() if newest_first else sessions.c.id).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


# --- challenges -------------------------------------------------------------------------------------------------------


def add_challenge(
    tx: Tx, token_hash: bytes, user: str | None, purpose: str, value: bytes, now_us: int, expires_at: int
) -> None:
    """Store what was asked. purpose: one word, so that an answer counts for nothing else. value: whatever it needs."""
    row = {"token_hash": token_hash, "user": user, "purpose": purpose, "value": value, "tries": 0}
    tx.execute(challenges.insert().values(**row, created_at=now_us, expires_at=expires_at))


def find_challenge(tx: Tx, token_hash: bytes, purpose: str, now_us: int) -> dict[str, Any] | None:
    """Return a challenge that can still be used, and leave it."""
    query = sa.select(challenges).where(*_open(token_hash, purpose, now_us))
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def take_challenge(tx: Tx, token_hash: bytes, purpose: str, now_us: int) -> dict[str, Any] | None:
    """Use a challenge up and return it, None when it was used, has expired, or was never made."""
    query = challenges.delete().where(*_open(token_hash, purpose, now_us))
    row = tx.execute(query.returning(challenges)).mappings().first()
    return None if row is None else dict(row)


def _open(token_hash: bytes, purpose: str, now_us: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (challenges.c.token_hash == token_hash, challenges.c.purpose == purpose, challenges.c.expires_at > now_us)


def drop_challenges(tx: Tx, user: str) -> None:
    """Forget whatever a person was asked."""
    tx.execute(challenges.delete().where(challenges.c.user == user))
