"""Bringing a database to the tables of this version, from whatever version it has."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from tradewright.errors import StorageFailed
from tradewright.storage.database import Database, Tx

_NO_RIGHT = "42501"
_LOCK = 0x7472616465  # any number, the same in all processes


def upgrade(database: Database) -> None:
    """Create or migrate every table; does nothing on a current database. Runs in one transaction.

    Raises StorageFailed for a database whose tables belong to somebody else.
    """
    found = database.read(current)
    if found == head():
        return
    try:
        database.write(_upgrade)
    except sa.exc.ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) != _NO_RIGHT:
            raise
        raise StorageFailed(
            f"the tables are at revision {found or 'none'}, this version needs {head()}, and this role may not change "
            "them; run `tradewright db upgrade` as their owner, then `tradewright db grant` for this role"
        ) from error


def head() -> str:
    """Return the revision of this version of Tradewright."""
    return max(path.stem.split("_")[0] for path in (Path(__file__).parent / "versions").glob("[0-9]*.py"))


def current(tx: Tx) -> str | None:
    """Return the revision of the database, None when it is empty."""
    if not sa.inspect(tx).has_table("alembic_version"):
        return None
    row = tx.execute(sa.text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def _upgrade(tx: Tx) -> None:
    from alembic import command
    from alembic.config import Config

    if tx.dialect.name == "postgresql":  # processes that start together wait for the first one; SQLite does so anyway
        tx.exec_driver_sql("SET LOCAL lock_timeout = 0")  # as long as it takes
        tx.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        tx.exec_driver_sql("SET LOCAL lock_timeout = DEFAULT")
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = tx
    command.upgrade(config, "head")
