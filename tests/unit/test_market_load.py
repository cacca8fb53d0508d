"""Panels from frames: the same numbers whatever library holds them, and clear refusals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tradewright.clock import format_us, parse_us
from tradewright.errors import InvalidInput, TooFewRows, UnknownName
from tradewright.market.instruments import Instrument
from tradewright.market.load import load_panel
from tradewright.market.panel import Panel
from tradewright.market.verdicts import Verdict

N = 50


def _columns() -> dict[str, Any]:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(1).standard_normal(N) * 0.01))
    opened = np.append(100.0, close[:-1])
    return {
        "open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close,
        "volume": np.ones(N),
    }  # fmt: skip


STAMPS = pd.date_range("2024-01-01", periods=N, freq="min")
STARTS_US = STAMPS.to_numpy().astype("datetime64[us]").astype(np.int64)

TOKYO = STAMPS.tz_localize("UTC").tz_convert("Asia/Tokyo")


def _pandas(stamps: Any) -> pd.DataFrame:
    return pd.DataFrame({"timestamp": stamps, **_columns()})


def _polars(stamps: Any, kind: Any = pl.Int64, name: str = "timestamp") -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(stamps).cast(kind), **_columns()})


FRAMES: dict[str, Any] = {
    "pandas, naive": lambda: _pandas(STAMPS),
    "pandas, zone": lambda: _pandas(TOKYO),
    "pandas, index": lambda: pd.DataFrame(_columns(), index=pd.Index(STAMPS, name="timestamp")),
    "pandas, text": lambda: _pandas(STAMPS.strftime("%Y-%m-%dT%H:%M:%SZ")),
    "pandas, capitals": lambda: _pandas(STAMPS).rename(columns=str.title),
    "polars, naive": lambda: _polars(STARTS_US, pl.Datetime("us")),
    "polars, zone": lambda: _polars(STARTS_US, pl.Datetime("us", "UTC")),
    "polars, ms": lambda: _polars(STARTS_US // 1000, pl.Datetime("ms")),
    "polars, integers": lambda: _polars(STARTS_US),
    "polars, ends": lambda: _polars(STARTS_US + 60_000_000, name="time"),
    "polars, lazy": lambda: _polars(STARTS_US + 60_000_000, name="time").lazy(),
}


@pytest.mark.parametrize("kind", sorted(FRAMES))
def test_every_kind_of_frame_gives_the_same_panel(kind: str) -> None:
    panel = Panel.from_frame(FRAMES[kind](), instrument="crypto:BTC-USD", interval="1m")
    assert panel.shape == (N, 1)
    assert format_us(int(panel.times[0])) == "2024-01-01T00:01:00Z"
    assert (
        panel.data_version
        == Panel.from_frame(FRAMES["polars, ends"](), instrument="crypto:BTC-USD", interval="1m").data_version
    )
    assert np.array_equal(panel.close[:, 0], _columns()["close"])
    assert panel.verdict.verdict is Verdict.CLEAN
    assert bool(panel.tradable.all())


def test_days_given_by_their_start_are_complete_at_the_close_of_the_session() -> None:
    days = pd.to_datetime(["2019-07-02", "2019-07-03", "2019-07-05"])
    frame = pd.DataFrame({"timestamp": days, "close": [1.0, 2.0, 3.0]})
    panel = Panel.from_frame(frame, instrument="equity:AAPL", interval="1d")
    closes = [format_us(int(t)) for t in panel.times]
    assert closes == ["2019-07-02T20:00:00Z", "2019-07-03T17:00:00Z", "2019-07-05T20:00:00Z"]
    assert panel.close_only
    assert np.isnan(panel.open).all()


def test_rows_that_cannot_be_used_are_left_out_and_named() -> None:
    frame = pl.DataFrame({"time": STARTS_US, **_columns()})
    bad = frame.with_columns(close=pl.when(pl.int_range(N) == 7).then(-1.0).otherwise("close"))
    panel = Panel.from_frame(pl.concat([bad[30:], bad[:30]]), instrument="crypto:BTC-USD", interval="1m")
    assert len(panel) == N - 1
    found = {finding.code: finding for finding in panel.verdict.findings}
    assert found["non_positive_price"].rows == (int(STARTS_US[7]),)
    assert {"unordered_rows", "missing_rows"} <= set(found)


def test_a_bar_without_an_open_is_there_and_cannot_be_filled_in() -> None:
    frame = pl.DataFrame({"time": STARTS_US, **_columns()})
    frame = frame.with_columns(open=pl.when(pl.int_range(N) == 7).then(None).otherwise("open"))
    panel = Panel.from_frame(frame, instrument="crypto:BTC-USD", interval="1m")
    assert np.flatnonzero(~panel.tradable[:, 0]).tolist() == [7]
    assert bool(panel.present.all())


def test_several_instruments_in_one_frame_become_columns() -> None:
    one = pl.DataFrame({"time": STARTS_US, **_columns()})
    frame = pl.concat([one.with_columns(instrument=pl.lit(f"crypto:{c}-USD")) for c in "BA"])
    panel = Panel.from_frame(frame, interval="1m")
    assert panel.ids == ("crypto:B-USD", "crypto:A-USD")
    assert panel.shape == (N, 2)


@pytest.mark.parametrize(
    ("frame", "given", "says"),
    [
        (pl.DataFrame({"close": [1.0]}), {"instrument": "crypto:A-USD"}, "no column `time`"),
        (pl.DataFrame({"time": [1], "open": [1.0]}), {"instrument": "crypto:A-USD"}, "no column close, high, low"),
        (pl.DataFrame({"time": [1], "close": [1.0]}), {}, "hand in instrument="),
        (pl.DataFrame({"time": [1], "close": [1.0]}), {"instrument": "BTC"}, "is not an instrument id"),
        (pl.DataFrame({"time": [1.5], "close": [1.0]}), {"instrument": "crypto:A-USD"}, "column time holds Float64"),
        (pl.DataFrame({"time": ["soon"], "close": [1.0]}), {"instrument": "crypto:A-USD"}, "'soon' is not a time"),
        (pl.DataFrame({"time": [1], "close": ["x"]}), {"instrument": "crypto:A-USD"}, "cannot be read"),
        ({"time": [1]}, {"instrument": "crypto:A-USD"}, "expected a polars or pandas frame, got dict"),
    ],
)
def test_a_frame_that_is_no_bar_frame_is_refused_with_what_to_do(frame: Any, given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Panel.from_frame(frame, interval="1m", **given)


def test_no_usable_row_is_said() -> None:
    with pytest.raises(TooFewRows):
        Panel.from_frame(pl.DataFrame({"time": [1], "close": [-1.0]}), instrument="crypto:A-USD", interval="1m")


def test_an_instrument_can_bring_its_own_currency_and_calendar() -> None:
    share = Instrument("equity:BP.XLON", currency="GBP", calendar="XLON")
    panel = Panel.from_frame(pl.DataFrame({"time": STARTS_US, **_columns()}), instrument=share, interval="1m")
    assert panel.instruments == (share,)


def test_packaged_data_needs_no_folder_and_obeys_as_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    whole, early = load_panel("us-indices"), load_panel("us-indices", as_of="2000-01-01")
    assert whole.shape == (5_031, 2)
    assert whole.sources == ("arch", "arch")
    assert len(early) == 252
    assert int(early.times[-1]) < parse_us("2000-01-01")
    with pytest.raises(UnknownName, match="did you mean us-stocks"):
        load_panel("us-stokcs")
    with pytest.raises(InvalidInput, match="no data folder"):
        load_panel(instruments=["equity:AAPL"])
    with pytest.raises(UnknownName, match="no Tradewright data"):
        load_panel("us-stocks", data_folder=tmp_path / "nowhere")


def test_reading_a_catalog_brings_no_heavy_library() -> None:
    heavy = "{'pandas', 'sklearn', 'scipy', 'lightgbm', 'exchange_calendars', 'arch', 'skfolio', 'pyarrow'}"
    code = f"import sys; import tradewright.market.catalog, tradewright.market.load, tradewright.sources.registry, tradewright.transport.http; print(sorted(set(sys.modules) & {heavy}))"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
