"""`tradewright doctor`: is this installation sound, and if not, what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

from tradewright.api import rules
from tradewright.app import house
from tradewright.app.variables import unread
from tradewright.errors import SettingsInvalid, StorageFailed, TradewrightError
from tradewright.settings import Settings
from tradewright.storage.cache import Cache, SharedBucket

_LEAST_FREE = 1_000_000_000


def examine(settings: Settings) -> list[dict[str, Any]]:
    """Return one row for each thing looked at: what, ok, detail (how to mend it when not ok)."""
    looks: list[tuple[str, Callable[[Settings], str]]] = [
        ("Python", _python),
        ("settings", _settings),
        ("LightGBM", _lightgbm),
        ("compiler cache", _numba),
        ("disk space", _disk),
        ("database", _database),
        ("main keys", _main_keys),
        ("shared limits", _cache),
    ]
    return [_look(what, look, settings) for what, look in looks]


def _look(what: str, look: Callable[[Settings], str], settings: Settings) -> dict[str, Any]:
    try:
        return {"what": what, "ok": True, "detail": look(settings)}
    except TradewrightError as error:
        return {"what": what, "ok": False, "detail": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever is broken is told, and the other looks go on
        return {"what": what, "ok": False, "detail": f"{type(error).__name__}: {error}"}


def _python(_: Settings) -> str:
    return sys.version.split()[0]


def _settings(settings: Settings) -> str:
    unknown = unread(os.environ)
    if unknown:
        raise SettingsInvalid("; ".join(unknown))
    rules.of_settings(settings)
    changed = [name for name, origin in settings.origins.items() if origin != "default"]
    return f"{len(changed)} differ from the defaults; `tradewright doctor --settings` shows them"


def _lightgbm(_: Settings) -> str:
    from tradewright.learning.learners import import_lightgbm

    return str(import_lightgbm().__version__)


def _numba(_: Settings) -> str:
    import numba

    from tradewright.features.catalogue import FEATURES

    return f"numba {numba.__version__}, {len(FEATURES)} features"


def _disk(settings: Settings) -> str:
    place = settings.data_folder
    while not place.exists():
        place = place.resolve().parent
    free = shutil.disk_usage(place).free
    if free < _LEAST_FREE:
        raise StorageFailed(f"only {free / 1e6:.0f} MB are free at {place}; free at least {_LEAST_FREE / 1e9:.0f} GB")
    return f"{free / 1e9:.0f} GB free at {place}"


def _database(settings: Settings) -> str:
    if not settings.database_url and not settings.data_folder.exists():
        return f"not made yet; `tradewright up` makes it in {settings.data_folder}"
    with house.open_database(settings) as database:
        return f"{database.dialect}, migrated"


def _main_keys(settings: Settings) -> str:
    from tradewright.storage.sealed import SEALED, opened

    if not settings.database_url and not settings.data_folder.exists():
        return f"not made yet; `tradewright up` makes one in {settings.data_folder}"
    vault = house.open_vault(settings)
    with house.open_database(settings) as database:
        count = sum(database.read(opened, column, vault) for column in SEALED)
    return f"they open all of the {count} sealed secrets"


def _cache(settings: Settings) -> str:
    if not settings.cache_url:
        return "none: each process keeps its own"

    async def ask() -> None:
        cache = Cache(settings.cache_url, timeout_s=2.0)
        try:
            await cache.take([SharedBucket("doctor", 1, 1, 1)], 0)
        finally:
            await cache.close()

    asyncio.run(ask())
    return "the cache answers"
