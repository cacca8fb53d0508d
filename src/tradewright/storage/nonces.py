"""Nonces of signed requests: each of a key once, whichever process it reaches."""

from __future__ import annotations

from sqlalchemy.dialects import postgresql, sqlite

from tradewright.storage.database import Tx
from tradewright.storage.tables import nonces


def take(tx: Tx, key: str, nonce: str, expires_at: int) -> bool:
    """Remember a nonce of a key; return False when it was used before. expires_at: when nobody can replay it more."""
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    statement = insert(nonces).values(key=key, nonce=nonce, expires_at=expires_at).on_conflict_do_nothing()
    return tx.execute(statement).rowcount == 1
