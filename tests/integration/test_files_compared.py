"""A file is compared with what sources have of the same bars when it is brought in, and only its owner is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from tradewright.app import house
from tradewright.app.ingest_commands import ingest
from tradewright.clock import DAY_US, format_us, parse_us
from tradewright.ids import SYSTEM
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument
from tradewright.settings import Settings
from tradewright.storage import series

COIN = Instrument("crypto:BTC-USDT")
START, ROWS = parse_us("2024-01-01"), 200


def _bars(factor: float = 1.0) -> pl.DataFrame:
    close = factor * 100.0 * np.exp(np.random.default_rng(3).normal(0.0, 0.01, ROWS).cumsum())
    columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
    return pl.DataFrame({"time": START + DAY_US * np.arange(ROWS), **columns, "volume": np.ones(ROWS)})


def _file(path: Path, frame: pl.DataFrame) -> str:
    opened = [format_us(time - DAY_US) for time in frame["time"]]
    frame.drop("time").insert_column(0, pl.Series("timestamp", opened)).write_csv(path)
    return str(path)


def _shared(settings: Settings, name: str) -> None:
    with house.open_database(settings) as database:
        ingest_frame(
            house.open_catalog(settings, database), database, SYSTEM,
            _bars().with_columns(pl.lit(COIN.id).alias("instrument")), [COIN], interval="1d", source=name,
            now_us=parse_us("2025-01-01"), ingestion_id=f"ing_{name}",
        )  # fmt: skip


def _stored(settings: Settings) -> dict[str, tuple[str, set[str]]]:
    with house.open_database(settings) as database:
        rows = database.read(series.list_series, house.owner(database))
        return {row["source"]: (row["verdict"], {each["code"] for each in row["findings"]}) for row in rows}


def _ingest(settings: Settings, file: str) -> dict[str, object]:
    return ingest(settings, file, [COIN.id], "1d", None, None, lambda fraction, message: None)


def test_a_file_at_twice_the_price_is_suspect_when_it_comes_in(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "data")
    _shared(settings, "binance")
    report = _ingest(settings, _file(tmp_path / "double.csv", _bars(2.0)))
    (compared,) = report["compared"]  # type: ignore[misc,var-annotated] # a list
    assert compared["sources"] == ["binance", "file"]
    assert {each["code"] for each in compared["findings"]} == {"another_level"}
    assert report["verdict"] == "suspect"
    assert _stored(settings) == {"binance": ("clean", set()), "file": ("suspect", {"another_level"})}


def test_a_file_that_agrees_is_as_good_as_before(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "data")
    _shared(settings, "binance")
    report = _ingest(settings, _file(tmp_path / "same.csv", _bars()))
    assert report["compared"] == [{"instrument": COIN.id, "sources": ["binance", "file"], "findings": []}]
    assert _stored(settings)["file"] == ("clean", set())


def test_shared_bars_that_come_later_are_compared_when_the_file_comes_again(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "data")
    file = _file(tmp_path / "double.csv", _bars(2.0))
    assert _ingest(settings, file)["compared"] == []
    _shared(settings, "binance")
    assert _stored(settings)["file"] == ("clean", set())
    _ingest(settings, file)
    assert _stored(settings) == {"binance": ("clean", set()), "file": ("suspect", {"another_level"})}
