"""A stream of a local venue ends in the catalog: durable at once, judged at the end, the same bars as happened."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from market_server import PRODUCT, Market, serving
from tradewright.app import house
from tradewright.app.follow import follow
from tradewright.app.texts import follow_text
from tradewright.errors import InvalidInput, SourceRefused, UnknownName
from tradewright.ids import SYSTEM
from tradewright.market.frames import VALUES
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument, Interval
from tradewright.settings import Settings
from tradewright.storage import series, third_parties


def test_bars_of_a_stream_are_in_the_catalog_with_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market, said = Market(), []
    settings = Settings(data_folder=tmp_path / "data")

    def say(text: str) -> None:
        said.append(text)
        if sum("closed at" in each for each in said) == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with serving(market) as (history, stream):
        monkeypatch.setenv("TRADEWRIGHT_COINBASE_URL", history)
        monkeypatch.setenv("TRADEWRIGHT_COINBASE_STREAM_URL", stream)
        counts = follow(settings, "coinbase", [PRODUCT], "1m", say, market.clock)
    assert counts["bars"] >= 5
    assert counts["rejected"] == counts["lost"] == counts["refused"] == 0
    truth = market.bars(60)
    with house.open_database(settings) as database:
        catalog = house.open_catalog(settings, database)
        stored = catalog.read(SYSTEM, "coinbase", ["crypto:BTC-USD"], Interval.MINUTE)
        assert stored.height == counts["bars"] - counts["revisions"]
        for row in stored.iter_rows(named=True):
            values = tuple(row[name] for name in ("open", "high", "low", "close", "volume"))
            assert values == pytest.approx(truth[row["time"] // 1_000_000 - 60])
            assert row["known_at"] == row["time"]
            assert row["observed_at"] >= row["time"]
        (judged,) = database.read(series.list_series, SYSTEM)
        assert (judged["rows"], judged["verdict"]) == (stored.height, "usable")
        hosts = " and ".join(dict.fromkeys(url.split("/")[2] for url in (history, stream)))
        (told,) = judged["findings"]
        assert (told["code"], f"rows came from {hosts}, " in told["detail"]) == ("other_address", True), told
        assert database.read(third_parties.health, SYSTEM) == {}, "a stream that never was degraded is no news"


def test_a_stream_is_compared_with_what_another_source_has_when_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, said = Market(), []
    settings = Settings(data_folder=tmp_path / "data")
    time = market.clock.now_us() // 60_000_000 * 60_000_000 + 60_000_000 * np.arange(50)
    frame = pl.DataFrame({"time": time, **dict.fromkeys(VALUES, 50.0 + np.arange(50) % 2 / 100)})
    frame = frame.with_columns(instrument=pl.lit("crypto:BTC-USD"))

    def say(text: str) -> None:
        said.append(text)
        if sum("closed at" in each for each in said) == 12:
            os.kill(os.getpid(), signal.SIGINT)

    with serving(market) as (history, stream):
        monkeypatch.setenv("TRADEWRIGHT_COINBASE_URL", history)
        monkeypatch.setenv("TRADEWRIGHT_COINBASE_STREAM_URL", stream)
        with house.open_database(settings) as database:
            ingest_frame(
                house.open_catalog(settings, database), database, SYSTEM, frame, [Instrument("crypto:BTC-USD")],
                interval="1m", source="kraken", now_us=2**52, ingestion_id="ing_k",
            )  # fmt: skip
        counts = follow(settings, "coinbase", [PRODUCT], "1m", say, market.clock)
    (compared,) = counts["compared"]
    assert {each["code"] for each in compared["findings"]} == {"another_level"}
    assert "compared between coinbase, kraken" in follow_text(counts)
    with house.open_database(settings) as database:
        rows = database.read(series.list_series, SYSTEM)
    for row in rows:
        assert "another_level" in [each["code"] for each in row["findings"]], row["source"]


def test_what_cannot_be_followed_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "data")
    for name, kind in (("kucoin", InvalidInput), ("finnhub", SourceRefused), ("binanec", UnknownName)):
        with pytest.raises(kind):
            follow(settings, name, ["crypto:BTC-USDT" if name != "finnhub" else "equity:AAPL"], "1m", print)
