"""The release of rows from quarantine as a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tradewright.app import house
from tradewright.app.house import settings_from
from tradewright.clock import WallClock
from tradewright.ids import Owner


def run_release(payload: dict[str, Any], report: Callable[[float, str], None]) -> dict[str, Any]:
    """Store the rows of the series that `payload` names and that are on their way out of quarantine."""
    from tradewright.market.release import release

    settings = settings_from(payload["settings"])
    key = (payload["source"], payload["instrument"], payload["interval"])
    with house.open_database(settings, payload["organization"]) as database:
        report(0.0, f"reading the bars of {payload['instrument']}")
        catalog = house.open_catalog(settings, database)
        return {"rows": release(catalog, Owner(payload["owner"]), *key, WallClock().now_us())}
