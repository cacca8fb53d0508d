"""What an operator does to the database and its secrets: bring it up to date, give rights, replace the main key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tradewright.app import house, main_key
from tradewright.clock import WallClock
from tradewright.errors import Conflict, InvalidInput
from tradewright.settings import Settings
from tradewright.storage import audit, grants, sealed
from tradewright.storage.database import Database
from tradewright.storage.migrations import current
from tradewright.storage.vault import Vault

_BATCH = 100


def upgrade_database(settings: Settings) -> dict[str, Any]:
    """Create or migrate every table; return the revision."""
    with house.open_database(settings) as database:
        return {"revision": database.read(current)}


def grant_role(settings: Settings, role: str) -> dict[str, Any]:
    """Let a PostgreSQL role serve; return what was done. Raises InvalidInput, NotFound, Conflict."""
    with house.open_database(settings) as database:
        return {"role": role, "statements": database.write(grants.grant, role)}


def rotate_main_key(settings: Settings, drop_old: bool) -> dict[str, Any]:
    """Seal every secret under a new main key; return the counts by table. One that was cut off is finished first.

    Where the keys stand in the settings, the new one is put there by hand, first, and this seals. drop_old: instead,
    forget the keys before the newest. Raises Conflict while a secret still needs one of them.
    """
    with house.open_database(settings) as database:
        vault = house.open_vault(settings)
        if drop_old:
            return {"dropped": _drop(settings, database, vault)}
        made = False
        if not settings.main_keys and database.read(sealed.count_old, vault) == 0:
            main_key.add(main_key.path_in(settings.data_folder))
            vault, made = house.open_vault(settings), True
        counts = reseal_all(database, vault)
        database.write(audit.record, "", "", house.OPERATOR, "vault.rotate", "", counts, WallClock().now_us())
        return {"new_key": made, "resealed": counts}


def reseal_all(
    database: Database, vault: Vault, batch: int = _BATCH, after_batch: Callable[[], None] = lambda: None
) -> dict[str, int]:
    """Seal every secret under the first main key, each batch in a transaction; return how many by table."""
    counts: dict[str, int] = {}
    for column in sealed.SEALED:
        counts[column.table.name] = 0
        after: str | None = ""
        while after is not None:
            done = database.write(sealed.reseal, column, vault, after, batch)
            counts[column.table.name] += done.resealed
            after = done.last
            after_batch()
    return counts


def _drop(settings: Settings, database: Database, vault: Vault) -> int:
    if settings.main_keys:
        raise InvalidInput("the main keys stand in the settings; take the old ones out of main_keys there")
    waiting = database.read(sealed.count_old, vault)
    if waiting:
        raise Conflict(f"{waiting} secret(s) are sealed with an old main key; run `tradewright vault rotate` first")
    return main_key.drop_old(main_key.path_in(settings.data_folder))
