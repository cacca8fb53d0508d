"""Live bars on their way into the catalog: what was known when, also where they replace what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tradewright.clock import parse_us
from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.live_intake import LiveIntake
from tradewright.storage import series as store
from tradewright.storage.database import Database

START = parse_us("2024-01-02")
MINUTE = Interval.MINUTE.us
COIN = Instrument("crypto:BTC-USD")
MINE = Owner("org_a")


@pytest.fixture
def catalog(tmp_path: Path, database: Database) -> Catalog:
    return Catalog(tmp_path / "catalog", database)


def bar(minute: int, close: float, later_us: int = 0) -> dict[str, Any]:
    """As a stream hands it on that does not know what is stored: known at its end."""
    time = START + minute * MINUTE
    prices = {"open": close, "high": close + 1.0, "low": close - 1.0, "close": close, "volume": 5.0}
    when = {"time": time, "known_at": time, "observed_at": time + later_us}
    return {"source": "s", "instrument": COIN.id, "interval": "1m", **when, **prices}


def intake(catalog: Catalog, owner: Owner = SYSTEM) -> LiveIntake:
    return LiveIntake(
        catalog, catalog.database, owner, [COIN], interval=Interval.MINUTE, source="s", now_us=START, ingestion_id="i"
    )


def back_fill(catalog: Catalog, closes: list[float], owner: Owner = SYSTEM) -> None:
    rows = [bar(n + 1, close, 1) for n, close in enumerate(closes)]
    ingest_frame(
        catalog, catalog.database, owner, pl.DataFrame(rows), [COIN], interval="1m", source="s",
        now_us=START + 60 * MINUTE, ingestion_id="ing_1",
    )  # fmt: skip


def closes(catalog: Catalog, as_of_us: int | None = None, owner: Owner = SYSTEM) -> list[float]:
    found = catalog.read(owner, "s", [COIN.id], "1m", as_of_us=as_of_us)["close"]
    return found.to_list()  # type: ignore[no-any-return]


def test_a_live_bar_in_the_place_of_a_stored_one_is_not_seen_before_it_came(catalog: Catalog) -> None:
    back_fill(catalog, [10.0, 11.0, 12.0])
    later = 7 * MINUTE
    live = intake(catalog)
    (kept,) = live.take([bar(2, 19.0, later)], START + 9 * MINUTE)
    assert kept["known_at"] == START + 2 * MINUTE + later
    for _ in range(2):  # from the tail, and from the tables
        assert closes(catalog) == [10.0, 19.0, 12.0]
        assert closes(catalog, START + 2 * MINUTE) == [10.0, 11.0]
        assert closes(catalog, START + 2 * MINUTE + later - 1) == [10.0, 11.0, 12.0]
        assert closes(catalog, START + 2 * MINUTE + later) == [10.0, 19.0, 12.0]
        live.settle(START + 10 * MINUTE)
    row = catalog.database.read(store.get_series, SYSTEM, "s", COIN.id, "1m")
    assert row is not None
    assert "rewritten_rows" in [finding["code"] for finding in row["findings"]]


def test_a_live_bar_of_an_earlier_passage_is_compared_with_as_well(catalog: Catalog) -> None:
    intake(catalog).take([bar(1, 10.0)], START + MINUTE)  # and the process ended before it was judged
    again = intake(catalog)
    assert [row["close"] for row in again.take([bar(1, 11.0, MINUTE), bar(2, 12.0)], START + 2 * MINUTE)] == [
        11.0,
        12.0,
    ]
    assert closes(catalog, START + MINUTE) == [10.0]
    assert closes(catalog, START + 2 * MINUTE) == [11.0, 12.0]
    again.take([bar(2, 13.0, MINUTE)], START + 3 * MINUTE)
    assert closes(catalog, START + 2 * MINUTE) == [11.0, 12.0]


def test_a_bar_that_was_missing_was_known_at_its_end_and_one_that_is_the_same_is_stored_once(catalog: Catalog) -> None:
    back_fill(catalog, [10.0, 11.0])
    live = intake(catalog)
    taken = live.take([bar(1, 10.0, 9 * MINUTE), bar(3, 12.0, 7 * MINUTE)], START + 10 * MINUTE)
    assert [row["close"] for row in taken] == [10.0, 12.0], "who follows the feed gets both"
    assert live.stored == 1
    assert closes(catalog, START + 3 * MINUTE) == [10.0, 11.0, 12.0]
    assert catalog.revisions(SYSTEM, "s", COIN.id, "1m", START + MINUTE).height == 1


def test_what_everybody_has_is_no_bar_of_an_organization(catalog: Catalog) -> None:
    back_fill(catalog, [10.0, 11.0])
    live = intake(catalog, MINE)
    live.take([bar(1, 10.0, 9 * MINUTE)], START + 10 * MINUTE)
    assert live.stored == 1
    assert closes(catalog, START + MINUTE, MINE) == [10.0]


def test_a_row_that_is_kept_aside_says_when_it_came_and_not_when_the_stream_began(catalog: Catalog) -> None:
    live = intake(catalog)
    live.take([{**bar(30, 10.0), "low": -1.0}], START + 31 * MINUTE)
    (row,) = catalog.database.read(store.list_quarantine, SYSTEM)
    assert row["created_at"] == START + 31 * MINUTE


def test_the_verdict_of_a_stream_is_of_when_it_is_judged(catalog: Catalog) -> None:
    live = intake(catalog)
    live.take([bar(1, 10.0)], START + MINUTE)
    live.settle(START + 31 * MINUTE)
    row = catalog.database.read(store.get_series, SYSTEM, "s", COIN.id, "1m")
    assert row is not None
    assert row["checked_at"] == START + 31 * MINUTE
