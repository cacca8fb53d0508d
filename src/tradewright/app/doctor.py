"""`tradewright doctor`: is this installation sound, and if not, what to do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import Any

from tradewright.app import house
from tradewright.errors import TradewrightError
from tradewright.settings import Settings

_LEAST_FREE = 1_000_000_000


def examine(settings: Settings) -> list[dict[str, Any]]:
    """Return one row for each thing looked at: what, ok, detail (how to mend it when not ok)."""
    looks: list[tuple[str, Callable[[Settings], str]]] = [
        ("Python", _python),
        ("LightGBM", _lightgbm),
        ("compiler cache", _numba),
        ("disk space", _disk),
        ("database", _database),
    ]
    return [_look(what, look, settings) for what, look in looks]


def _look(what: str, look: Callable[[Settings], str], settings: Settings) -> dict[str, Any]:
    try:
        return {"what": what, "ok": True, "detail": look(settings)}
    except TradewrightError as error:
        return {"what": what, "ok": False, "detail": error.message}


def _python(_: Settings) -> str:
    return sys.version.split()[0]


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
        raise TradewrightError(
            f"only {free / 1e6:.0f} MB are free at {place}; free at least {_LEAST_FREE / 1e9:.0f} GB"
        )
    return f"{free / 1e9:.0f} GB free at {place}"


def _database(settings: Settings) -> str:
    if not settings.database_url and not settings.data_folder.exists():
        return f"not made yet; `tradewright up` makes it in {settings.data_folder}"
    with house.open_database(settings) as database:
        return f"{database.dialect}, migrated"
