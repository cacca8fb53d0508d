"""Bars on their way in: what is kept aside, and what is stored, once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from tradewright import ids
from tradewright.ids import Owner
from tradewright.market.catalog import Catalog
from tradewright.market.checks.sifting import Sifted
from tradewright.market.frames import VALUES, same_values
from tradewright.market.instruments import Interval
from tradewright.market.rewriting import differs
from tradewright.market.verdicts import Finding
from tradewright.storage import series as store
from tradewright.storage.database import Database

_QUARANTINE_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """What comes in: bars of one source and interval, for an owner. known: what is known of them beforehand. The rest
    is as in `Ingestion`."""

    catalog: Catalog
    database: Database
    owner: Owner
    source: str
    interval: Interval
    ingestion: str
    now_us: int
    close_only: bool
    pre_adjusted: bool
    lag_us: int
    revised: bool
    known: tuple[Finding, ...]
    paged: bool
    elsewhere: str


def store_new(arrival: Arrival, checked: Mapping[str, Sifted], present: set[str]) -> tuple[int, int]:
    """Store what can be used and is not there with the same values; return how many rows that were, and how many of
    them replace other values. present: the instruments that have a series. Raises StorageFailed."""
    accepted = [result.accepted for result in checked.values() if result.accepted.height]
    if not accepted:
        return 0, 0
    rows, revised = pl.concat(accepted), 0
    if present:
        rows, revised = without_stored(arrival, rows, present)
    return append(arrival, rows), revised


def append(arrival: Arrival, rows: pl.DataFrame) -> int:
    """Store rows as they are, once; return how many there are. Raises StorageFailed."""
    if not rows.height:
        return 0
    content = rows.drop("observed_at").hash_rows(seed=0).to_numpy().tobytes()
    batch = ids.derive(
        "bat", arrival.ingestion, arrival.source, arrival.interval.value, hashlib.sha256(content).hexdigest()
    )
    arrival.catalog.append(arrival.owner, rows, batch)
    return rows.height


def without_stored(arrival: Arrival, rows: pl.DataFrame, present: set[str]) -> tuple[pl.DataFrame, int]:
    """Return the rows that are not stored with the same values, and how many of them replace others. present: the
    instruments that have a series.

    What replaces another value was known when it came, and no earlier: no source says of a bar since when its value
    could be known, so the `known_at` of a row is what was assumed of its first value.
    """
    first, last = rows.select(pl.col("time").min().alias("first"), pl.col("time").max().alias("last")).row(0)
    stored = arrival.catalog.read(arrival.owner, arrival.source, sorted(present), arrival.interval, first, last)
    if not stored.height:
        return rows, 0
    several = pl.len().over("instrument", "time") > 1  # revisions within this frame are all new
    there = stored.select("instrument", "time", *VALUES, pl.lit(True).alias("there"))
    joined = rows.with_columns(several.alias("several")).join(
        there, on=["instrument", "time"], how="left", suffix="_stored", maintain_order="left"
    )
    there_is, same = pl.col("there").is_not_null(), same_values()
    came = pl.when(there_is & ~same).then(pl.max_horizontal("known_at", "observed_at")).otherwise("known_at")
    fresh = joined.filter(~(there_is & same & ~pl.col("several"))).with_columns(came.alias("known_at"))
    return fresh.select(rows.columns), fresh.filter(there_is & differs("_stored")).height


def keep_rejected(arrival: Arrival, rejected: pl.DataFrame) -> None:
    """Keep rows that the checks refused aside. Raises StorageFailed."""
    for start in range(0, rejected.height, _QUARANTINE_CHUNK):
        rows = [
            _quarantine_row(
                arrival,
                row["instrument"],
                _content(row) if arrival.paged else row["position"],
                row["time"],
                row["code"],
                row["detail"],
                values,
            )
            for row in rejected.slice(start, _QUARANTINE_CHUNK).iter_rows(named=True)
            for values in [{name: _plain(row[name]) for name in ("known_at", "observed_at", *VALUES)}]
        ]
        arrival.database.write(store.quarantine_rows, rows)


def _content(row: Mapping[str, Any]) -> str:
    return "/".join(str(row[name]) for name in ("time", "code", *VALUES))


def keep_unreadable(arrival: Arrival, unreadable: pl.DataFrame) -> None:
    """Keep what could not even be read aside: position, instrument, detail, row (JSON text). Raises StorageFailed."""
    for start in range(0, unreadable.height, _QUARANTINE_CHUNK):
        rows = [
            _quarantine_row(
                arrival,
                row["instrument"],
                f"line {row['position']}",
                None,
                "unparseable",
                f"line {row['position']}: {row['detail']}",
                json.loads(row["row"]),
            )
            for row in unreadable.slice(start, _QUARANTINE_CHUNK).iter_rows(named=True)
        ]
        arrival.database.write(store.quarantine_rows, rows)


def _quarantine_row(
    arrival: Arrival, instrument: str, position: object, time_us: int | None, code: str, detail: str, values: object
) -> dict[str, Any]:
    key = (arrival.owner, arrival.source, instrument, arrival.interval.value)
    return {  # what comes in pages comes again in later ingestions, and is kept aside once
        "id": ids.derive("qua", "" if arrival.paged else arrival.ingestion, *key, position),
        "owner": arrival.owner,
        "source": arrival.source,
        "instrument": instrument,
        "interval": arrival.interval.value,
        "time": time_us,
        "code": code,
        "detail": detail,
        "row": values,
        "ingestion": arrival.ingestion,
        "status": "held",
        "created_at": arrival.now_us,
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
