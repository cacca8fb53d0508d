"""What one installation consists of: its folder, its lock, its organization and first key."""

from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tradewright import ids
from tradewright.accounts import keys
from tradewright.accounts.keys import Terms
from tradewright.accounts.scopes import SCOPES
from tradewright.app import main_key
from tradewright.clock import Clock, WallClock
from tradewright.errors import FolderInUse, NotFound, StorageFailed
from tradewright.market.catalog import Catalog
from tradewright.settings import Settings
from tradewright.storage import accounts, people
from tradewright.storage.audit import Actor
from tradewright.storage.database import Database, Tx
from tradewright.storage.migrations import upgrade
from tradewright.storage.vault import Vault

VERSION = version("tradewright")
OPERATOR = Actor("system", "command line")
"""Whoever can run commands beside the database."""
_COLLECT_AFTER = 10_000


def settings_from(payload: dict[str, Any]) -> Settings:
    """Return settings that came over a pipe."""
    return Settings(**{**payload, "data_folder": Path(payload["data_folder"])})


def settings_to(settings: Settings) -> dict[str, Any]:
    """Return settings as they go over a pipe."""
    names = [name for name in settings.__dataclass_fields__ if name != "origins"]
    return {name: getattr(settings, name) for name in names} | {"data_folder": str(settings.data_folder)}


def open_database(settings: Settings, within: str = "") -> Database:
    """Make the data folder and the embedded database, their owner's only, where they are missing, and return the
    database, migrated.

    within: an organization; once it is deleted, a write of this database raises NotFound. Raises StorageFailed.
    """
    try:
        settings.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not settings.database_url:  # what the database keeps beside its file gets the mode of the file
            os.close(os.open(settings.embedded_file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StorageFailed(f"cannot use the data folder {settings.data_folder}: {error.strerror}") from error
    first = partial(_stay_within, within) if within else None
    database = Database(settings.resolved_database_url, settings.database_replica_url, first)
    try:
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def _stay_within(organization: str, tx: Tx) -> None:
    if not people.hold_organization(tx, organization):
        raise NotFound(f"the organization {organization} was deleted meanwhile; nothing more is written into it")


def open_vault(settings: Settings) -> Vault:
    """Return the vault under the keys of the settings, or under `main.key` of the data folder, made when missing.

    Raises SettingsInvalid and StorageFailed.
    """
    if settings.main_keys:
        return Vault([text.strip() for text in settings.main_keys.split(",") if text.strip()])
    path = main_key.path_in(settings.data_folder)
    main_key.ensure(path)
    return Vault(main_key.read(path), lambda: main_key.read(path))


def open_catalog(settings: Settings, database: Database) -> Catalog:
    """Return the catalog of the data folder."""
    return Catalog(settings.data_folder, database)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the data folder for this process; the lock goes when the process does. Raises FolderInUse."""
    path = folder / "lock"
    with open(path, "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise FolderInUse(
                f"the data folder {folder} is in use by process {holder}; stop it first, or name another folder with "
                "--data-folder",
                folder=str(folder),
                process=holder,
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def ensure_organization(tx: Tx, now_us: int) -> str:
    """Return the organization of this installation, made on the first call."""
    known = accounts.first_organization(tx)
    if known is not None:
        return known
    organization = ids.new("org")
    accounts.add_organization(tx, organization, "My organization", now_us)
    return organization


def owner(database: Database) -> ids.Owner:
    """Return the organization of this installation as the owner of rows."""
    return ids.Owner(database.write(ensure_organization, WallClock().now_us()))


def first_key(database: Database, clock: Clock, organization: str, environment: str) -> tuple[str, str] | None:
    """Return id and text of a first API key, None when one was shown before.

    A key whose printing was cut off by the end of the process is revoked and made anew.
    """
    now_us = clock.now_us()

    def make(tx: Tx) -> tuple[str, str] | None:
        if accounts.has_shown_key(tx, organization, environment):
            return None
        accounts.revoke_keys_never_shown(tx, organization, environment, now_us)
        key, text = keys.create(tx, organization, environment, "first key", list(SCOPES), now_us, shown=False)
        keys.tell_made(tx, (organization, environment), OPERATOR, key, Terms("first key", SCOPES), now_us)
        return key, text

    return database.write(make)


def settle() -> None:
    """Tell the collector that what was loaded so far stays, and to look at the rest less often: a page of answers is
    some hundred objects without cycles. A full collection then takes less than a millisecond."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)
