"""Every column that holds a sealed secret, and its sealing anew under another main key."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import api_keys, authenticators, broker_accounts, source_credentials
from tradewright.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of secrets; the place of each is `table/<key>`."""

    key: sa.Column[str]
    secret: sa.Column[bytes]

    @property
    def table(self) -> sa.Table:
        """Where it stands."""
        table = self.key.table
        assert isinstance(table, sa.Table)
        return table

    def place(self, key: str) -> str:
        """Return the place of one secret in the vault."""
        return f"{self.table.name}/{key}"


SEALED = (
    Sealed(authenticators.c.user, authenticators.c.secret),
    Sealed(api_keys.c.id, api_keys.c.signing_secret),
    Sealed(broker_accounts.c.id, broker_accounts.c.credentials),
    Sealed(source_credentials.c.id, source_credentials.c.secret),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch did. last: the key it came to, None when there was nothing more."""

    last: str | None
    seen: int
    resealed: int


def reseal(tx: Tx, column: Sealed, vault: Vault, after: str, limit: int) -> Batch:
    """Seal secrets whose keys come after `after` with the first main key, where another one sealed them.

    A secret that somebody replaces meanwhile is left as that one sealed it. Raises StorageFailed for one that no main
    key of the vault opens.
    """
    query = sa.select(column.key, column.secret).where(column.key > after, column.secret.is_not(None))
    rows = tx.execute(query.order_by(column.key).limit(limit)).all()
    resealed = 0
    for key, secret in rows:
        if vault.is_current(secret):
            continue
        place = column.place(key)
        fresh = vault.seal(vault.open(secret, place), place)
        same = (column.key == key, column.secret == secret)
        resealed += tx.execute(column.table.update().where(*same).values({column.secret: fresh})).rowcount
    return Batch(rows[-1][0] if rows else None, len(rows), resealed)


def count_old(tx: Tx, vault: Vault) -> int:
    """Return how many secrets another main key than the first one sealed."""
    old = 0
    for column in SEALED:
        secrets = tx.execute(sa.select(column.secret).where(column.secret.is_not(None))).scalars()
        old += sum(not vault.is_current(secret) for secret in secrets)
    return old


def opened(tx: Tx, column: Sealed, vault: Vault) -> int:
    """Return how many secrets the column holds. Raises StorageFailed, naming one that the vault does not open."""
    query = sa.select(column.key, column.secret).where(column.secret.is_not(None))
    count = 0
    for key, secret in tx.execute(query):
        vault.open(secret, column.place(key))
        count += 1
    return count
