"""A verdict that changes is told once, to whom the series concerns, on SQLite and PostgreSQL."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tradewright.clock import DAY_US
from tradewright.events.types import TYPES
from tradewright.ids import ENVIRONMENTS, SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument
from tradewright.storage import outbox
from tradewright.storage.database import Database

START = 1_600_041_600_000_000
COIN = Instrument("crypto:AAA-USD")


def bars(first: int, closes: list[float]) -> pl.DataFrame:
    time = [START + (first + n) * DAY_US for n in range(len(closes))]
    high, low = [close * 1.02 for close in closes], [close * 0.97 for close in closes]
    rows = {"time": time, "open": closes, "high": high, "low": low, "close": closes, "volume": closes}
    return pl.DataFrame({**rows, "instrument": COIN.id})


def ingest(catalog: Catalog, owner: Owner, name: str, frame: pl.DataFrame) -> str:
    report = ingest_frame(
        catalog, catalog.database, owner, frame, [COIN], interval="1d", source="s", now_us=START + 900 * DAY_US,
        ingestion_id=name,
    )  # fmt: skip
    return report.verdict.verdict.label


def told(database: Database, organization: str | None) -> list[tuple[str | None, dict[str, Any]]]:
    database.write(outbox.sequence)
    return [
        (row["environment"], row["data"])
        for environment in ENVIRONMENTS
        for row in database.read(
            outbox.page, organization or "nobody", environment, outbox.Wanted(), 50, False, (None, None)
        )
        if row["organization"] == organization
    ]


@pytest.mark.parametrize("owner", [SYSTEM, Owner("org_a")])
def test_another_verdict_is_told_once_to_whom_it_concerns(database: Database, tmp_path: Path, owner: Owner) -> None:
    catalog = Catalog(tmp_path, database)
    draw = random.Random(1)
    good, more, later = ([100.0 + draw.random() for _ in range(60)] for _ in range(3))
    before = ingest(catalog, owner, "one", bars(0, good))
    assert ingest(catalog, owner, "two", bars(60, more)) == before
    assert told(database, None) == told(database, "org_a") == []
    for _ in range(2):  # a repeated ingestion says nothing new
        after = ingest(catalog, owner, "three", bars(150, later))  # a hole of a month
        assert after != before
    data = {"source": "s", "instrument": COIN.id, "interval": "1d", "verdict": after, "before": before}
    mine, shared = told(database, "org_a"), told(database, None)
    if owner == SYSTEM:
        assert mine == []
        assert shared == [(None, data)] * len(ENVIRONMENTS)  # seen from each of them, stored once
    else:
        assert shared == []
        assert mine == [(environment, data) for environment in ENVIRONMENTS]
    assert set(data) == set(TYPES["verdict.changed"].example)
