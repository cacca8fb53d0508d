"""What comparing sources says reaches the stored verdicts and the panels made of the series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import tradewright as tw
from recorded import bars_query, recorded
from tradewright.clock import DAY_US, parse_us
from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.comparing import compare_sources
from tradewright.market.consensus import consensus
from tradewright.market.frames import canonical
from tradewright.market.freshness import read_freshness
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.market.verdicts import Verdict
from tradewright.sources import fmp, intrinio, polygon
from tradewright.sources.registry import SOURCES, market_of
from tradewright.storage import series as store
from tradewright.storage.database import Database

NOW = parse_us("2025-01-01")
COIN = Instrument("crypto:BTC-USD")
START = parse_us("2024-01-01")
ROWS = 120
MINE = Owner("org_a")


@pytest.fixture
def catalog(tmp_path: Path, database: Database) -> Catalog:
    return Catalog(tmp_path / "catalog", database)


def _frame(**wrong: dict[int, float]) -> pl.DataFrame:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).standard_normal(ROWS) * 0.01))
    for row, factor in wrong.get("close", {}).items():
        close[row] *= factor
    time = START + DAY_US * np.arange(ROWS)
    columns = {"time": time, "open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
    return pl.DataFrame(columns).with_columns(volume=pl.lit(5.0), instrument=pl.lit(COIN.id))


def _store(catalog: Catalog, source: str, frame: pl.DataFrame, owner: Owner = SYSTEM, **rest: Any) -> None:
    given = {"interval": "1d", "now_us": NOW, "ingestion_id": f"ing_{source}_{owner}", **rest}
    ingest_frame(catalog, catalog.database, owner, frame, [COIN], source=source, **given)


def _codes(catalog: Catalog, source: str, owner: Owner = SYSTEM) -> dict[str, Any]:
    row = catalog.database.read(store.get_series, owner, source, COIN.id, "1d")
    assert row is not None
    return {each["code"]: each for each in row["findings"]} | {"": row["verdict"]}


def _recordings(shared: Path) -> dict[str, pl.DataFrame]:
    frames = {}
    for name, source in (("polygon", polygon), ("fmp", fmp), ("intrinio", intrinio)):
        answer = recorded(shared, name, "bars_daily__AAPL-2023-01")
        bars = source.parse_bars(answer, bars_query(source.SOURCE, "AAPL")).bars
        frames[name] = canonical(bars, source=name, instrument="equity:AAPL", interval="1d")
    return frames


def test_three_recorded_sources_do_not_deviate(shared: Path) -> None:
    assert consensus(_recordings(shared), Interval.DAY) == {"polygon": (), "fmp": (), "intrinio": ()}


@pytest.mark.parametrize("source", ["polygon", "fmp", "intrinio"])
@pytest.mark.parametrize(("column", "factor"), [("close", 1.01), ("high", 1.3), ("low", 0.9), ("open", 0.98)])
def test_a_wrong_row_in_one_of_three_recordings_is_found(shared: Path, source: str, column: str, factor: float) -> None:
    frames = _recordings(shared)
    day = parse_us("2023-01-05T21:00:00Z")
    at = pl.col("time") == day
    frames[source] = frames[source].with_columns(pl.when(at).then(pl.col(column) * factor).otherwise(column))
    found = consensus(frames, Interval.DAY)
    (only,) = found.pop(source)
    assert (only.code, only.rows, only.count) == ("source_deviates", (day,), 1)
    assert not any(found.values())


def test_findings_reach_the_verdicts_and_the_panel(catalog: Catalog) -> None:
    _store(catalog, "a", _frame())
    _store(catalog, "b", _frame(close={7: 1.1, 60: 0.9}))
    _store(catalog, "c", _frame())
    found = compare_sources(catalog, SYSTEM, NOW)
    assert {key[0]: [f.code for f in findings] for key, findings in found.items()} == {
        "a": [], "b": ["source_deviates"], "c": [],
    }  # fmt: skip
    assert _codes(catalog, "b")["source_deviates"]["rows"] == [START + 7 * DAY_US, START + 60 * DAY_US]
    assert "source_deviates" not in _codes(catalog, "a")
    panel = catalog.panel(instruments=[COIN.id], source="b")
    assert ("source_deviates", COIN.id) in [(f.code, f.instrument) for f in panel.verdict.findings]
    assert panel.verdict.verdict is Verdict.SUSPECT
    assert catalog.panel(instruments=[COIN.id], source="a").verdict.verdict is Verdict.CLEAN


def test_a_new_check_keeps_them_and_a_new_comparison_replaces_them(catalog: Catalog) -> None:
    _store(catalog, "a", _frame())
    _store(catalog, "b", _frame(close={7: 1.1}))
    compare_sources(catalog, SYSTEM, NOW)
    _store(catalog, "b", _frame(close={7: 1.1}), ingestion_id="ing_2")
    assert _codes(catalog, "b")["sources_disagree"]["count"] == 1
    _store(catalog, "b", _frame(), ingestion_id="ing_3", now_us=NOW + 1)
    assert "sources_disagree" in _codes(catalog, "b")
    compare_sources(catalog, SYSTEM, NOW + 2)
    assert _codes(catalog, "a") == {"": "clean"}
    assert set(_codes(catalog, "b")) == {"", "rewritten_rows"}, "it has been another value"


def test_what_an_organization_has_is_compared_with_what_is_shared_and_only_its_own_is_marked(catalog: Catalog) -> None:
    _store(catalog, "a", _frame())
    _store(catalog, "b", _frame(close={7: 1.1}), owner=MINE)
    _store(catalog, "a", _frame(close={9: 1.1}), owner=Owner("org_b"))
    assert set(compare_sources(catalog, MINE, NOW)) == {("a", COIN.id, "1d"), ("b", COIN.id, "1d")}
    assert _codes(catalog, "b", MINE)["sources_disagree"]["rows"] == [START + 7 * DAY_US]
    assert _codes(catalog, "a") == {"": "clean"}
    assert compare_sources(catalog, SYSTEM, NOW) == {("a", COIN.id, "1d"): ()}


def test_flags_of_the_source_reach_the_panel(catalog: Catalog) -> None:
    _store(catalog, "a", _frame(), revised=True, pre_adjusted=True)
    panel = catalog.panel(instruments=[COIN.id])
    assert {f.code: f.instrument for f in panel.verdict.findings} == {"revised": COIN.id, "pre_adjusted": COIN.id}
    assert panel.verdict.verdict is Verdict.USABLE


def test_freshness_is_read_for_all_series_at_once(catalog: Catalog) -> None:
    _store(catalog, "a", _frame())
    _store(catalog, "b", _frame().filter(pl.col("time") != START + 3 * DAY_US), owner=MINE)
    now = START + (ROWS + 1) * DAY_US
    shared, mine = catalog.database.read(read_freshness, MINE, now)
    assert (shared.source, shared.due, shared.coverage) == ("a", 1, 1.0)
    assert (mine.source, mine.owner, mine.coverage) == ("b", MINE, pytest.approx(1 - 1 / ROWS))
    assert [each.source for each in catalog.database.read(read_freshness, SYSTEM, now)] == ["a"]


def test_what_was_found_stands_on_a_backtest(catalog: Catalog) -> None:
    _store(catalog, "a", _frame())
    _store(catalog, "b", _frame(close={7: 1.1, 60: 0.9}), revised=True, pre_adjusted=True)
    _store(catalog, "c", _frame())
    compare_sources(catalog, SYSTEM, NOW)
    panel = catalog.panel(instruments=[COIN.id], source="b")
    result = tw.backtest(tw.strategies.MovingAverageCross(fast=5, slow=20, units=1), panel, cash=100_000)
    assert {"source_deviates", "revised", "pre_adjusted"} <= {f.code for f in result.data_verdict.findings}
    assert result.data_verdict.verdict is Verdict.SUSPECT


def test_two_doors_to_one_market_have_one_vote(catalog: Catalog) -> None:
    wrong = dict.fromkeys(range(5, ROWS, 9), 1.1)
    _store(catalog, "coinbase", _frame(close=wrong))
    _store(catalog, "coinbase_advanced", _frame(close=wrong))
    _store(catalog, "kraken", _frame())
    compare_sources(catalog, SYSTEM, NOW, market_of=market_of)
    for source in ("coinbase", "coinbase_advanced", "kraken"):
        found = _codes(catalog, source)
        assert "source_deviates" not in found, "two votes of one market outvoted another"
        assert "3 sources of 2 markets" in found["sources_disagree"]["detail"]
    _store(catalog, "bitstamp", _frame())
    compare_sources(catalog, SYSTEM, NOW, market_of=market_of)
    for source in ("coinbase", "coinbase_advanced"):
        assert _codes(catalog, source)["source_deviates"]["count"] == len(wrong)
    assert _codes(catalog, "kraken")[""] == _codes(catalog, "bitstamp")[""] == "clean"


def test_one_door_that_differs_from_the_other_is_found(catalog: Catalog) -> None:
    wrong = dict.fromkeys(range(5, ROWS, 9), 1.1)
    _store(catalog, "coinbase", _frame())
    _store(catalog, "coinbase_advanced", _frame(close=wrong))
    compare_sources(catalog, SYSTEM, NOW, market_of=market_of)
    assert _codes(catalog, "coinbase")["sources_disagree"]["count"] == len(wrong)
    for source in ("kraken", "bitstamp"):
        _store(catalog, source, _frame())
    compare_sources(catalog, SYSTEM, NOW, market_of=market_of)
    assert _codes(catalog, "coinbase_advanced")["source_deviates"]["count"] == len(wrong)
    assert _codes(catalog, "coinbase") == {"": "clean"}


def test_which_sources_share_a_market() -> None:
    coin = {name: market_of(name, Kind.CRYPTO) for name in ("ccxt_binance", "ccxt_coinbaseexchange", "finnhub", "file")}
    assert coin == {
        "ccxt_binance": "binance", "ccxt_coinbaseexchange": "coinbase", "finnhub": "binance", "file": "file",
    }  # fmt: skip
    assert market_of("finnhub", Kind.EQUITY) == "finnhub"
    assert market_of("ccxt_binanceus", Kind.CRYPTO) != "binance"
    for source in SOURCES.values():
        assert set(source.markets) <= set(source.kinds)
        assert set(source.markets.values()) <= set(SOURCES) - {source.name}


def test_a_coin_on_another_level_is_no_split(catalog: Catalog) -> None:
    _store(catalog, "a", _frame())
    _store(catalog, "b", _frame())
    _store(catalog, "c", _frame(close=dict.fromkeys(range(ROWS), 0.92)))
    compare_sources(catalog, SYSTEM, NOW)
    found = _codes(catalog, "c")
    assert (found[""], found["another_level"]["count"], "scaled_differently" in found) == ("suspect", ROWS, False)
    assert "0.92 times" in found["another_level"]["detail"]
    assert "another currency, or another market" in found["another_level"]["detail"]
    assert _codes(catalog, "a") == _codes(catalog, "b") == {"": "clean"}
    _store(catalog, "c", _frame(close=dict.fromkeys(range(ROWS), 1.006)), ingestion_id="ing_2")
    compare_sources(catalog, SYSTEM, NOW)
    assert _codes(catalog, "c")["another_level"]["severity"] == "usable", "venues differ by so much"
