"""Second factors of people: what shows codes, recovery codes, passkeys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import authenticators, passkeys, recovery_codes

# --- codes ------------------------------------------------------------------------------------------------------------


def get_authenticator(tx: Tx, user: str) -> dict[str, Any] | None:
    """Return what shows a person's codes, its secret sealed, None when there is none."""
    row = tx.execute(sa.select(authenticators).where(authenticators.c.user == user)).mappings().first()
    return None if row is None else dict(row)


def put_authenticator(tx: Tx, user: str, sealed: bytes, now_us: int) -> None:
    """Store one that has yet to be confirmed, in place of another such."""
    tx.execute(authenticators.delete().where(authenticators.c.user == user, authenticators.c.confirmed_at.is_(None)))
    tx.execute(authenticators.insert().values(user=user, secret=sealed, last_step=0, created_at=now_us))


def confirm_authenticator(tx: Tx, user: str, now_us: int) -> None:
    """Let its codes count."""
    tx.execute(authenticators.update().where(authenticators.c.user == user).values(confirmed_at=now_us))


def use_step(tx: Tx, user: str, step: int) -> bool:
    """Use up the code of a time step and all before it; return False when it was used already."""
    query = authenticators.update().where(authenticators.c.user == user, authenticators.c.last_step < step)
    return tx.execute(query.values(last_step=step)).rowcount == 1


def remove_authenticator(tx: Tx, user: str) -> bool:
    """Remove it; return False when there was none."""
    return tx.execute(authenticators.delete().where(authenticators.c.user == user)).rowcount == 1


# --- recovery codes ---------------------------------------------------------------------------------------------------


def replace_recovery_codes(tx: Tx, user: str, hashes: Iterable[bytes], now_us: int) -> None:
    """Keep these in place of those there were."""
    remove_recovery_codes(tx, user)
    rows = [{"user": user, "code_hash": digest, "created_at": now_us} for digest in hashes]
    tx.execute(recovery_codes.insert(), rows)


def use_recovery_code(tx: Tx, user: str, code_hash: bytes, now_us: int) -> bool:
    """Use a code up; return False when it is none of theirs, or was used."""
    query = recovery_codes.update().where(
        recovery_codes.c.user == user, recovery_codes.c.code_hash == code_hash, recovery_codes.c.used_at.is_(None)
    )
    return tx.execute(query.values(used_at=now_us)).rowcount == 1


def count_recovery_codes(tx: Tx, user: str) -> int:
    """Return how many are left."""
    query = sa.select(sa.func.count()).where(recovery_codes.c.user == user, recovery_codes.c.used_at.is_(None))
    return int(tx.execute(query).scalar_one())


def remove_recovery_codes(tx: Tx, user: str) -> None:
    """Forget every code of a person."""
    tx.execute(recovery_codes.delete().where(recovery_codes.c.user == user))


# --- passkeys ---------------------------------------------------------------------------------------------------------


def add_passkey(tx: Tx, row: dict[str, Any]) -> None:
    """Store a passkey. Raises IntegrityError when its credential is registered."""
    tx.execute(passkeys.insert().values(row))


def passkey_by_credential(tx: Tx, credential: bytes) -> dict[str, Any] | None:
    """Return the passkey with this credential id, None when there is none."""
    row = tx.execute(sa.select(passkeys).where(passkeys.c.credential == credential)).mappings().first()
    return None if row is None else dict(row)


def use_passkey(tx: Tx, passkey: str, sign_count: int, now_us: int) -> bool:
    """Keep the new count of a passkey; return False when it is not above the last one, or the passkey is gone.

    An authenticator that does not count says 0 for ever.
    """
    query = passkeys.update().where(
        passkeys.c.id == passkey,
        sa.or_(passkeys.c.sign_count < sign_count, sa.and_(passkeys.c.sign_count == 0, sa.literal(sign_count) == 0)),
    )
    return tx.execute(query.values(sign_count=sign_count, last_used_at=now_us)).rowcount == 1


def list_passkeys(tx: Tx, user: str) -> list[dict[str, Any]]:
    """Return the passkeys of a person, oldest first."""
    query = sa.select(passkeys).where(passkeys.c.user == user).order_by(passkeys.c.id)
    return [dict(row) for row in tx.execute(query).mappings()]


def count_passkeys(tx: Tx, user: str) -> int:
    """Return how many passkeys a person has."""
    return int(tx.execute(sa.select(sa.func.count()).where(passkeys.c.user == user)).scalar_one())


def remove_passkeys(tx: Tx, user: str) -> int:
    """Remove every passkey of a person; return how many."""
    return tx.execute(passkeys.delete().where(passkeys.c.user == user)).rowcount


def remove_passkey(tx: Tx, user: str, passkey: str) -> bool:
    """Remove one of a person's passkeys; return False when there is no such."""
    return tx.execute(passkeys.delete().where(passkeys.c.user == user, passkeys.c.id == passkey)).rowcount == 1
