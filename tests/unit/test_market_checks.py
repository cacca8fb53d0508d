"""Each check finds what it is for, says so by code, and leaves clean data alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tradewright.clock import DAY_US, parse_us
from tradewright.market.calendars import expected_times
from tradewright.market.checks import Checked, check_bars
from tradewright.market.csvfile import read_csv
from tradewright.market.frames import canonical
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.verdicts import Verdict

COIN = Instrument("crypto:BTC-USD")
SHARE = Instrument("equity:XYZ", calendar="24/7")  # around the clock, so that only the prices differ
START = parse_us("2024-01-01")


def _bars(n: int = 200, **changes: dict[int, float]) -> pl.DataFrame:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).standard_normal(n) * 0.01))
    opened = np.append(100.0, close[:-1])
    columns: dict[str, Any] = {
        "time": START + DAY_US * np.arange(n),
        "open": opened,
        "high": np.maximum(opened, close) * 1.001,
        "low": np.minimum(opened, close) * 0.999,
        "close": close,
        "volume": np.full(n, 10.0),
    }
    columns["known_at"] = columns["time"].copy()
    for name, cells in changes.items():
        for row, value in cells.items():
            columns[name][row] = value
    frame = pl.DataFrame(columns).with_columns(pl.when(pl.col("time") >= 0).then("time").alias("time"))
    return canonical(frame, source="s", instrument=COIN.id, interval="1d", observed_at_us=START + 10_000 * DAY_US)


def _check(frame: pl.DataFrame, instrument: Instrument = COIN, **flags: bool) -> Checked:
    given = {"close_only": False, "pre_adjusted": False, **flags}
    return check_bars(frame, instrument, Interval.DAY, **given)


def _codes(checked: Checked) -> dict[str, Verdict]:
    return {finding.code: finding.severity for finding in checked.verdict.findings}


def test_good_bars_are_clean_and_all_accepted() -> None:
    checked = _check(_bars())
    assert checked.verdict.verdict is Verdict.CLEAN
    assert (checked.accepted.height, checked.rejected.height, checked.duplicates) == (200, 0, 0)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("missing_close", {"close": {5: np.nan}}),
        ("non_positive_price", {"close": {5: 0.0}}),
        ("non_positive_price", {"low": {5: -1.0}}),
        ("not_finite", {"high": {5: np.inf}}),
        ("not_finite", {"low": {5: -np.inf}}),
        ("high_below_low", {"high": {5: 50.0}}),
        ("negative_volume", {"volume": {5: -1.0}}),
        ("not_finite", {"volume": {5: np.inf}}),
        ("future_time", {"time": {199: START + 20_000 * DAY_US}}),
        ("missing_time", {"time": {199: -1}}),
        ("known_too_early", {"known_at": {199: 0}}),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_by_name(code: str, changes: dict[str, dict[int, float]]) -> None:
    frame = _bars(**changes)
    checked = _check(frame)
    assert checked.rejected["code"].to_list() == [code]
    assert checked.rejected["position"].to_list() == [next(iter(next(iter(changes.values()))))]
    assert checked.accepted.height == 199
    assert _codes(checked)[code] is Verdict.USABLE  # one of 200 rows


def test_the_share_of_rejected_rows_decides_how_bad_it_is() -> None:
    shares = {1: Verdict.USABLE, 10: Verdict.SUSPECT, 60: Verdict.REJECTED}
    for count, severity in shares.items():
        assert _codes(_check(_bars(close=dict.fromkeys(range(count), np.nan))))["missing_close"] is severity


def test_equal_rows_are_counted_and_conflicting_ones_are_all_rejected() -> None:
    frame = _bars()
    other = frame[7:8].with_columns(close=pl.lit(101.0), high=pl.lit(200.0), low=pl.lit(50.0))
    checked = _check(pl.concat([frame, frame[3:5], other]))
    assert checked.duplicates == 2
    assert checked.rejected["code"].to_list() == ["conflicting_rows"] * 2
    assert checked.accepted.height + checked.rejected.height + checked.duplicates == 203
    assert {"duplicate_rows", "conflicting_rows"} <= set(_codes(checked))


def test_rows_of_another_observation_are_revisions_and_stay() -> None:
    frame = _bars()
    later = frame[7:8].with_columns(close=pl.col("close") * 1.001, observed_at=pl.col("observed_at") + 1)
    checked = _check(pl.concat([frame, later]))
    assert checked.accepted.height == 201
    assert checked.rejected.height == 0


def test_unordered_rows_are_sorted_and_reported() -> None:
    frame = _bars()
    checked = _check(pl.concat([frame[50:], frame[:50]]))
    assert _codes(checked)["unordered_rows"] is Verdict.USABLE
    assert checked.accepted["time"].is_sorted()


def test_gaps_against_the_calendar_are_named_with_their_times() -> None:
    frame = _bars()
    finding = _check(pl.concat([frame[:50], frame[53:]])).verdict.findings[0]
    assert (finding.code, finding.count, finding.severity) == ("missing_rows", 3, Verdict.USABLE)
    assert finding.rows == tuple(START + DAY_US * d for d in (50, 51, 52))
    assert _codes(_check(pl.concat([frame[:50], frame[100:]])))["missing_rows"] is Verdict.SUSPECT


def test_a_daily_bar_at_a_time_without_a_session_is_suspect() -> None:
    frame = _bars().with_columns(time=pl.col("time") - (pl.col("time") == START + DAY_US).cast(pl.Int64))
    assert _codes(_check(frame))["off_calendar"] is Verdict.SUSPECT


def test_minutes_of_a_closed_day_are_suspect_and_those_beside_a_session_are_not() -> None:
    share = Instrument("equity:ACME", calendar="XNYS")
    session = expected_times(
        "XNYS", Interval.MINUTE, parse_us("2024-03-28T13:30:00Z"), parse_us("2024-03-28T20:00:00Z")
    )

    def off(*more: str) -> list[tuple[Verdict, int, str]]:
        times = sorted([*session.tolist(), *map(parse_us, more)])
        closes = [100.0 + 0.1 * (n % 7) for n in range(len(times))]
        rows = pl.DataFrame({"time": times, "open": closes, "high": closes, "low": closes, "close": closes})
        frame = canonical(rows, source="s", instrument=share.id, interval="1m", observed_at_us=parse_us("2025-01-01"))
        checked = check_bars(frame, share, Interval.MINUTE, close_only=False, pre_adjusted=False)
        return [(f.severity, f.count, f.detail) for f in checked.verdict.findings if f.code == "off_calendar"]

    assert off() == []
    ((severity, count, _),) = off("2024-03-28T12:00:00Z", "2024-03-29T00:00:00Z")  # before, and until 20:00 in New York
    assert (severity, count) == (Verdict.USABLE, 2)
    closed, beside = off(
        "2024-03-28T12:00:00Z", "2024-03-29T15:00:00Z", "2024-03-30T15:00:00Z"
    )  # Good Friday, Saturday
    assert closed[:2] == (Verdict.SUSPECT, 2)
    assert "on days on which calendar XNYS has no session" in closed[2]
    assert beside[:2] == (Verdict.USABLE, 1)


def test_prices_outside_the_range_are_rounding_or_suspect() -> None:
    rounding = _bars()
    rounding = rounding.with_columns(high=pl.when(pl.col("time") == START).then(pl.max_horizontal("open", "close") * 0.9995).otherwise("high"))  # fmt: skip # noqa: E501
    assert _codes(_check(rounding))["price_outside_range"] is Verdict.USABLE
    far = rounding.with_columns(high=pl.when(pl.col("time") == START).then(pl.col("low") * 1.0001).otherwise("high"))
    far = far.with_columns(close=pl.when(pl.col("time") == START).then(pl.col("high") * 1.05).otherwise("close"))
    assert _codes(_check(far))["price_outside_range"] is Verdict.SUSPECT


def test_a_jump_like_a_split_is_suspect_in_raw_share_prices_only() -> None:
    frame = _bars()
    after = pl.col("time") >= START + 100 * DAY_US
    split = frame.with_columns(
        pl.when(after).then(pl.col(name) / 4).otherwise(name).alias(name) for name in ("open", "high", "low", "close")
    )
    assert _codes(_check(split, SHARE))["split_like_jump"] is Verdict.SUSPECT
    assert "split_like_jump" not in _codes(_check(split, SHARE, pre_adjusted=True))
    assert "split_like_jump" not in _codes(_check(split, COIN))
    assert "split_like_jump" not in _codes(_check(frame, SHARE))


def test_a_crash_is_no_split_and_a_split_on_a_day_that_moves_is_one() -> None:
    def opened_and_closed(opened: float, closed: float) -> dict[str, Verdict]:
        frame = _bars()
        after = pl.col("time") > START + 100 * DAY_US
        at = pl.col("time") == START + 100 * DAY_US
        before = frame["close"][99]
        prices = frame.with_columns(
            pl.when(after).then(pl.col(n) * closed).otherwise(n).alias(n) for n in ("open", "high", "low", "close")
        )
        values = {"open": opened * before, "close": closed * before, "low": 0.1 * before, "high": 2.1 * before}
        return _codes(_check(prices.with_columns(pl.when(at).then(v).otherwise(n).alias(n) for n, v in values.items()), SHARE))  # fmt: skip # noqa: E501

    assert "split_like_jump" not in opened_and_closed(0.526, 0.4835)  # Apple, 2000-09-29: half the value in a day
    assert "split_like_jump" in opened_and_closed(0.5, 0.55)  # Apple, 2000-06-21: two for one, then up a tenth
    assert "split_like_jump" not in opened_and_closed(2.0, 1.008)  # IBM, 2002-12-23: only the open is wrong
    assert "split_like_jump" in opened_and_closed(1.0, 0.1431)  # Apple, 2014-06-09: a first print on the old terms


def test_closes_alone_show_a_split_with_the_move_of_its_day() -> None:
    frame = _bars().with_columns(pl.lit(None, pl.Float64).alias(n) for n in ("open", "high", "low", "volume"))
    after = pl.col("time") >= START + 100 * DAY_US
    split = frame.with_columns(close=pl.when(after).then(pl.col("close") / 2.08).otherwise("close"))
    assert "split_like_jump" in _codes(_check(split, SHARE, close_only=True))


def test_a_move_from_which_the_market_trades_on_is_no_spike() -> None:
    prices = {"close": {100: 116.0}, "high": {100: 117.0, 101: 117.0}}
    frame = _bars(open={101: 116.0}, **prices)
    at = START + 99 * DAY_US
    level = pl.when(pl.col("time") > at).then(pl.col("close") * 0 + 100.0)
    calm = frame.with_columns(close=pl.when(pl.col("time") == START + 100 * DAY_US).then(116.0).otherwise(level))
    calm = calm.with_columns(close=pl.col("close").fill_null(100.0) * (1 + 1e-4 * (pl.col("time") // DAY_US % 3)))
    calm = calm.with_columns(
        low=pl.min_horizontal("open", "close", "low"), high=pl.max_horizontal("open", "close", "high")
    )
    assert "price_spike" not in _codes(_check(calm))
    taken_back = calm.with_columns(open=pl.when(pl.col("time") == START + 101 * DAY_US).then(100.0).otherwise("open"))
    assert "price_spike" in _codes(_check(taken_back))
    gross = calm.with_columns(close=pl.when(pl.col("time") == START + 100 * DAY_US).then(150.0).otherwise("close"), high=pl.lit(200.0))  # fmt: skip # noqa: E501
    gross = gross.with_columns(open=pl.when(pl.col("time") == START + 101 * DAY_US).then(150.0).otherwise("open"))
    assert "price_spike" in _codes(_check(gross))


def test_a_large_move_is_an_outlier_only_beside_small_ones() -> None:
    draw = np.random.default_rng(5).standard_normal(400)
    draw[200:300] *= 30  # a quarter of wild days
    moves = draw * 0.002
    calm, wild = moves.copy(), moves.copy()
    calm[50], wild[250] = 0.3, 0.3
    for given, told in ((calm, True), (wild, False)):
        close = 100.0 * np.exp(np.cumsum(given))
        opened = np.append(100.0, close[:-1])
        frame = _bars(400).with_columns(
            close=close, open=opened, high=np.maximum(opened, close), low=np.minimum(opened, close)
        )
        assert ("outlier_return" in _codes(_check(frame))) is told


def test_the_smallest_step_of_a_price_is_no_outlier() -> None:
    steps = np.zeros(300)
    steps[[40, 41, 150, 151]] = 1.0, -1.0, 1.0, -1.0
    close = 5.0 + np.cumsum(steps)
    frame = _bars(300).with_columns(close=close, open=close, high=close, low=close)
    assert not {"outlier_return", "price_spike"} & set(_codes(_check(frame)))


def test_flat_bars_are_told_by_their_share() -> None:
    def flat(n: int, **rest: dict[int, float]) -> dict[str, Verdict]:
        closes = dict(enumerate(_bars()["close"].to_list()[:n]))
        return _codes(_check(_bars(open=closes, high=closes, low=closes, **rest)))

    assert "flat_bars" not in flat(2)
    assert flat(3)["flat_bars"] is Verdict.USABLE
    assert flat(41)["flat_bars"] is Verdict.SUSPECT
    assert "flat_bars" not in flat(41, volume=dict.fromkeys(range(41), 0.0))  # told as zero_volume
    assert flat(200, volume=dict.fromkeys(range(200), 0.0))["flat_bars"] is Verdict.USABLE  # one price a day


def test_an_outlier_that_is_taken_back_is_a_spike_and_one_that_stays_is_not() -> None:
    spike = _codes(_check(_bars(close={100: 300.0}, high={100: 301.0}, open={101: 100.0})))
    assert spike["price_spike"] is Verdict.SUSPECT
    assert "outlier_return" not in spike
    frame = _bars()
    up = [pl.when(pl.col("time") >= START + 100 * DAY_US).then(pl.col(n) * 1.9).otherwise(n).alias(n) for n in ("open", "high", "low", "close")]  # fmt: skip # noqa: E501
    assert _codes(_check(frame.with_columns(up)))["outlier_return"] is Verdict.USABLE


def _changed(rows: np.ndarray | slice, **factors: float) -> pl.DataFrame:
    frame = _bars(500).to_dict(as_series=False)
    for name, factor in factors.items():
        column = np.array(frame[name], dtype=np.float64)
        column[rows] *= factor
        frame[name] = column
    return pl.DataFrame(frame, schema=_bars(2).schema)


def test_a_range_out_of_all_proportion_is_named_and_suspect_when_it_is_not_alone() -> None:
    for changes in ({"high": 10.0}, {"low": 0.05}, {"high": 2.0, "open": 2.0}):
        found = _check(_changed(slice(5, None, 50), **changes)).verdict.findings
        assert [(f.code, f.severity, f.count) for f in found] == [("range_outlier", Verdict.SUSPECT, 10)]
        (found,) = _check(_changed(slice(250, 251), **changes)).verdict.findings
        assert (found.code, found.severity) == ("range_outlier", Verdict.USABLE)
        assert found.rows == (START + 250 * DAY_US,)


def test_a_wild_week_has_ranges_of_its_own() -> None:
    assert _codes(_check(_changed(slice(250, 300), high=1.3))) == {}


def test_many_outliers_are_suspect_and_a_few_are_not() -> None:
    frame = _bars(500)
    prices = ("open", "high", "low", "close")
    every = pl.int_range(pl.len()) % 12 < 2
    many = frame.with_columns(pl.when(every).then(pl.col(name) * 1.6).otherwise(pl.col(name)) for name in prices)
    assert _codes(_check(many)) == {"outlier_return": Verdict.SUSPECT}


@pytest.mark.parametrize("ratio", [1.25, 12.0, 40.0, 1 / 12])
def test_splits_that_are_less_usual_are_seen(ratio: float) -> None:
    prices = dict.fromkeys(("open", "high", "low", "close"), 1 / ratio)
    frame = _changed(slice(300, None), **prices, volume=ratio)
    assert _codes(_check(frame, SHARE))["split_like_jump"] is Verdict.SUSPECT


@pytest.mark.parametrize("news", [{"volume": 4.0}, {"high": 1.2}])
def test_a_fall_by_a_fifth_with_much_volume_or_range_is_news_and_no_split(news: dict[str, float]) -> None:
    frame = _changed(slice(300, None), **dict.fromkeys(("open", "high", "low", "close"), 0.8))
    ((column, factor),) = news.items()
    frame = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 300).then(pl.col(column) * factor).otherwise(pl.col(column)).alias(column)
    )
    assert "split_like_jump" not in _codes(_check(frame, SHARE))


def test_rows_that_are_copied_from_an_earlier_time_are_suspect() -> None:
    frame = _bars(500, volume=dict(enumerate(np.random.default_rng(5).uniform(1, 9, 500))))
    again = frame[140:200].with_columns(frame[200:260]["time"], frame[200:260]["known_at"])
    copied = pl.concat([frame[:200], again, frame[260:]])
    (found,) = (f for f in _check(copied).verdict.findings if f.code == "repeated_block")
    assert (found.severity, found.count, found.rows[0]) == (Verdict.SUSPECT, 60, START + 200 * DAY_US)
    assert "repeated_block" not in _codes(_check(frame))


def test_a_copy_is_found_in_a_long_series_and_repeated_flat_prices_are_none() -> None:
    draw = np.random.default_rng(6)
    close = 100.0 + np.cumsum(draw.integers(-1, 2, 60_000)) * 0.01
    columns = {"time": START + 60_000_000 * np.arange(60_000), "close": close}
    columns["volume"] = draw.integers(0, 3, 60_000) * 1.0
    columns |= dict.fromkeys(("open", "high", "low"), close)

    def codes(frame: pl.DataFrame) -> dict[str, int]:
        bars = canonical(frame, source="s", instrument=COIN.id, interval="1m", observed_at_us=START + 10_000 * DAY_US)
        checked = check_bars(bars, COIN, Interval.MINUTE, close_only=True, pre_adjusted=False)
        return {finding.code: finding.count for finding in checked.verdict.findings}

    assert "repeated_block" not in codes(pl.DataFrame(columns))
    for name in ("close", "volume", "open", "high", "low"):
        columns[name] = np.concatenate([columns[name][:50_000], columns[name][10_000:10_040], columns[name][50_040:]])
    assert codes(pl.DataFrame(columns))["repeated_block"] in range(40, 44)


def test_a_missing_volume_and_one_in_another_unit_are_told() -> None:
    half = _changed(slice(0, 0)).with_columns(
        pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("volume")).alias("volume")
    )
    assert _codes(_check(half)) == {"missing_volume": Verdict.SUSPECT}
    one = half.with_columns(pl.when(pl.int_range(pl.len()) != 7).then(10.0).alias("volume"))
    assert _codes(_check(one)) == {"missing_volume": Verdict.USABLE}
    (found,) = _check(_changed(slice(300, None), volume=1_000.0)).verdict.findings
    assert (found.code, found.severity) == ("volume_level", Verdict.USABLE)
    assert found.rows[0] == pytest.approx(START + 300 * DAY_US, abs=20 * DAY_US)
    assert _codes(_check(_changed(slice(300, 350), volume=1_000.0))) == {}, "it does not stay"


def test_a_stale_run_needs_enough_equal_closes() -> None:
    def stale(n: int) -> pl.DataFrame:
        cells = dict.fromkeys(range(50, 50 + n), 100.0)
        return _bars(open=cells, high=cells, low=cells, close=cells)

    assert "stale_run" not in _codes(_check(stale(9)))
    assert _codes(_check(stale(10)))["stale_run"] is Verdict.USABLE
    assert _codes(_check(stale(40)))["stale_run"] is Verdict.SUSPECT


def test_zero_volume_is_reported_and_no_volume_at_all_is_another_thing() -> None:
    assert _codes(_check(_bars(volume={3: 0.0})))["zero_volume"] is Verdict.USABLE
    assert set(_codes(_check(_bars(volume=dict.fromkeys(range(200), 0.0))))) == {"no_volume"}


def test_flags_of_the_source_are_findings_and_close_only_rows_need_no_other_price() -> None:
    frame = _bars().with_columns(pl.lit(None, pl.Float64).alias(n) for n in ("open", "high", "low", "volume"))
    assert _codes(_check(frame, close_only=True, pre_adjusted=True)) == {
        "close_only": Verdict.USABLE,
        "pre_adjusted": Verdict.USABLE,
    }
    assert _codes(_check(frame))["missing_prices"] is Verdict.SUSPECT


def test_nothing_to_use_is_a_rejected_series() -> None:
    checked = _check(_bars(n=3, close=dict.fromkeys(range(3), np.nan)))
    assert checked.verdict.verdict is Verdict.REJECTED
    assert "no_rows" in _codes(checked)


def _recorded(shared: Path, name: str, instrument: Instrument, interval: Interval) -> Checked:
    read = read_csv(shared / "data" / "nasty" / name, instrument.id, interval, instrument.calendar)
    frame = canonical(read.bars, source="file", instrument=instrument.id, interval=interval.value)
    return check_bars(frame, instrument, interval, close_only=False, pre_adjusted=False)


def test_the_real_seven_for_one_split_is_found_on_its_day(shared: Path) -> None:
    apple = Instrument("equity:AAPL", calendar="XNYS")
    checked = _recorded(shared, "AAPL_unadjusted_7_for_1_split_1d.csv", apple, Interval.DAY)
    found = next(f for f in checked.verdict.findings if f.code == "split_like_jump")
    assert found.rows == (parse_us("2014-06-09T20:00:00Z"),)


def test_the_real_bar_without_open_high_and_low_is_kept_and_reported(shared: Path) -> None:
    checked = _recorded(shared, "DIS_missing_prices_1d.csv", Instrument("equity:DIS", calendar="XNYS"), Interval.DAY)
    assert checked.accepted.height == 44
    found = {f.code: f.rows for f in checked.verdict.findings}
    assert found["missing_prices"] == (parse_us("2012-08-01T20:00:00Z"),)
    assert found["zero_volume"] == found["missing_prices"]


def test_the_real_minutes_of_one_price_are_flat_bars(shared: Path) -> None:
    checked = _recorded(shared, "XRP_ETH_zero_volume_1m.csv", Instrument("crypto:XRP-ETH"), Interval.MINUTE)
    found = {f.code: f for f in checked.verdict.findings}
    assert (found["flat_bars"].count, found["flat_bars"].severity) == (567, Verdict.SUSPECT)
    assert "zero_volume" not in found


def test_the_real_minutes_that_were_cut_off_have_no_hole_between_them(shared: Path) -> None:
    name = "binance_ADABTC-2021-11-27_1m.csv"
    checked = _recorded(shared, name, Instrument("crypto:ADA-BTC"), Interval.MINUTE)
    assert checked.accepted.height == 10
    assert checked.verdict.findings == ()
