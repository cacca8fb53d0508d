"""Out of quarantine: which rows can become bars, and the work of storing them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from tradewright import ids
from tradewright.clock import format_us
from tradewright.ids import Owner
from tradewright.market.catalog import Catalog
from tradewright.market.frames import SCHEMA, VALUES
from tradewright.market.ingest import Ingestion
from tradewright.market.instruments import Interval
from tradewright.market.records import instrument_from_row
from tradewright.storage import quarantine
from tradewright.storage import series as store


def hindrance(row: Mapping[str, Any], now_us: int) -> str:
    """Return why a row of table `quarantine` can be no bar, "" when it can."""
    if row["interval"] not in list(Interval):
        return "only bars can be released, and this is none"
    if row["time"] is None:
        return "it has no time that could be read"
    if row["time"] > now_us:
        return "it ends in the future"
    values = {name: row["row"].get(name) for name in VALUES}
    prices = [value for name, value in values.items() if name != "volume" and value is not None]
    if values["close"] is None or not all(_usable(price) and price > 0 for price in prices):
        return "a bar needs a close, and prices that are above 0 and finite"
    if values["volume"] is not None and not (_usable(values["volume"]) and values["volume"] >= 0):
        return "a volume must be finite and not below 0"
    return ""


def _usable(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def overtaken(row: Mapping[str, Any], stored: pl.DataFrame) -> str:
    """Return why a row of table `quarantine` must not take the place of the bar of its time, "" when it may: another
    bar came later than the row, and the release would undo that. stored: canonical bars of its series that count."""
    bars = stored.filter(pl.col("time") == row["time"], pl.col("observed_at") > row["created_at"])
    if not bars.height or list(bars.select(VALUES).row(0)) == [row["row"].get(name) for name in VALUES]:
        return ""
    bar = bars.row(0, named=True)
    return (
        f"another bar of that time, closing at {bar['close']:g}, came later, on {format_us(bar['observed_at'])[:19]}Z, "
        "and counts; discard the row"
    )


def release(catalog: Catalog, owner: Owner, source: str, instrument: str, interval: str, now_us: int) -> int:
    """Store the rows of a series that are on their way out of quarantine; return how many.

    They were observed now, and known at their end at the earliest. One in whose place a bar came meanwhile is held
    again. The verdict of the series is made anew. It can stop anywhere and be begun again. Raises StorageFailed.
    """
    database, key = catalog.database, (source, instrument, interval)
    row = database.read(store.get_series, owner, *key)
    known = database.read(store.get_instrument, instrument)
    assert row is not None, "a row is released into a series that is there"
    assert known is not None, "a series has an instrument"
    waiting = database.read(quarantine.releasing, owner, *key)
    times = [each["time"] for each in waiting]
    stored = catalog.read(owner, source, [instrument], interval, min(times, default=0), max(times, default=0))
    late = [each["id"] for each in waiting if overtaken(each, stored)]
    waiting = [each for each in waiting if each["id"] not in late]
    ingestion = Ingestion(
        catalog, database, owner, [instrument_from_row(known)], interval=interval, source=source, now_us=now_us,
        ingestion_id=ids.derive("rel", *(each["id"] for each in waiting)), close_only=row["close_only"],
        pre_adjusted=row["pre_adjusted"], lag_us=row["lag_us"], revised=row["revised"],
    )  # fmt: skip
    ingestion.admit(pl.DataFrame([_bar(each, now_us) for each in waiting], schema=SCHEMA, orient="row"))
    database.write(quarantine.mark, [each["id"] for each in waiting], quarantine.RELEASED, quarantine.RELEASING)
    database.write(quarantine.mark, late, quarantine.HELD, quarantine.RELEASING)
    ingestion.judge(instrument)
    return len(waiting)


def _bar(row: Mapping[str, Any], now_us: int) -> dict[str, Any]:
    known_at = row["row"].get("known_at") or row["time"]
    key = {name: row[name] for name in ("source", "instrument", "interval", "time")}
    values = {name: row["row"].get(name) for name in VALUES}
    return {**key, "known_at": max(known_at, row["time"]), "observed_at": now_us, **values}
