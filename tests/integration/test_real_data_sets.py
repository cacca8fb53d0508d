"""The checks over every real file of bars: no good one is rejected, every known defect is named, alarms are few.

The counts are pinned in docs/quality.md; a check that says more or less than before fails here, and the page is then
written anew after the difference was looked at row by row.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tradewright.clock import format_us, parse_us
from tradewright.market.checks import Checked, check_bars
from tradewright.market.consensus import consensus
from tradewright.market.frames import VALUES, canonical
from tradewright.market.freshness import freshness
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.intake import bar_times
from tradewright.market.verdicts import Finding, Verdict

PAGE = Path(__file__).parents[2] / "docs" / "quality.md"
CALENDARS = {"equity": "XNYS", "index": "XNYS", "future": "CMES", "fx": "24/5", "commodity": "24/5", "crypto": "24/7"}
KINDS = {"future": "index", "commodity": "fx"}  # kinds that have no word of their own yet
VENUES = re.compile(r"^(binance|bybit|coinbase|oanda|fxcm)_(future_)?")


@dataclass(frozen=True, slots=True)
class File:
    name: str
    checked: Checked
    rows: int
    faulty: bool

    @property
    def folder(self) -> str:
        return self.name.partition("/")[0]

    def finding(self, code: str) -> Finding:
        (found,) = (f for f in self.checked.verdict.findings if f.code == code)
        return found


def _instrument(entry: dict[str, Any]) -> Instrument:
    kind = entry["asset_class"]
    symbol = VENUES.sub("", entry["symbol"])
    if kind in ("equity", "index"):
        symbol = symbol.split("_")[0]
    elif kind in ("fx", "commodity"):
        symbol = f"{symbol[:3]}-{symbol[3:6]}"
    return Instrument(f"{KINDS.get(kind, kind)}:{re.sub('[^A-Z0-9.-]', '', symbol)}", calendar=CALENDARS[kind])


def _checked(folder: Path, entry: dict[str, Any]) -> File:
    path = folder / entry["file"]
    table = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, try_parse_dates=True)
    instrument, interval = _instrument(entry), Interval.parse(entry["interval"])
    times = bar_times({"timestamp": table["timestamp"]}, interval, instrument.calendar)
    bars = table.select(name for name in VALUES if name in table.columns).with_columns(times.alias("time"))
    frame = canonical(bars, source="file", instrument=instrument.id, interval=interval.value)
    adjusted = instrument.id.startswith("equity:") and not str(entry.get("adjusted", "splits")).startswith("none")
    checked = check_bars(frame, instrument, interval, close_only=False, pre_adjusted=adjusted)
    return File(entry["file"], checked, frame.height, "real_defect" in entry)


@pytest.fixture(scope="module")
def files(shared: Path) -> list[File]:
    folder = shared / "data"
    if not (folder / "manifest.json").is_file():
        pytest.skip(f"no real data sets: {folder / 'manifest.json'} is missing (set TRADEWRIGHT_SHARED)")
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    return [_checked(folder, entry) for entry in entries if entry["kind"] == "bars"]


def _named(files: list[File], name: str) -> File:
    (found,) = (each for each in files if each.name == name)
    return found


def test_every_row_is_accounted_for_and_no_file_is_rejected(files: list[File]) -> None:
    assert (len(files), sum(each.rows for each in files)) == (491, 1_220_082)
    for each in files:
        checked = each.checked
        assert checked.accepted.height + checked.rejected.height + checked.duplicates == each.rows
        assert each.faulty or checked.verdict.verdict is not Verdict.REJECTED, each.name


def test_the_known_defects_are_named(files: list[File]) -> None:
    def at(file: str, code: str) -> list[str]:
        return [format_us(time) for time in _named(files, f"nasty/{file}").finding(code).rows]

    assert at("AAPL_unadjusted_7_for_1_split_1d.csv", "split_like_jump") == ["2014-06-09T20:00:00Z"]
    assert at("DIS_missing_prices_1d.csv", "missing_prices") == ["2012-08-01T20:00:00Z"]
    assert at("DIS_missing_prices_1d.csv", "zero_volume") == ["2012-08-01T20:00:00Z"]
    assert _named(files, "nasty/XRP_ETH_zero_volume_1m.csv").finding("flat_bars").count == 567
    assert sum(each.faulty for each in files) == 4


def test_minutes_that_break_off_are_due_at_the_end_of_their_day_and_a_hole_in_them_is_a_gap(files: list[File]) -> None:
    cut = _named(files, "nasty/binance_ADABTC-2021-11-27_1m.csv").checked.accepted
    assert cut.height == 10  # the first ten minutes of a day: nothing is missing between them
    coin = Instrument("crypto:ADA-BTC")
    row = {
        "owner": "system", "source": "file", "instrument": coin.id, "interval": "1m", "lag_us": 0, "rows": 10,
        "first_time": cut["time"][0], "last_time": cut["time"][-1], "findings": [],
    }  # fmt: skip
    (late,) = freshness([row], {coin.id: coin}, parse_us("2021-11-28T00:01:00Z"))
    assert (late.due, late.finding and late.finding.code) == (1_430, "stale_series")
    holed = check_bars(cut.filter(pl.col("time") != cut["time"][4]), coin, Interval.MINUTE, close_only=False, pre_adjusted=False)  # fmt: skip # noqa: E501
    assert [(f.code, f.rows) for f in holed.verdict.findings] == [("missing_rows", (cut["time"][4],))]


def test_every_split_of_the_unadjusted_shares_is_found(files: list[File], shared: Path) -> None:
    known = {  # from the factor files that come with them, the day after; GOOG and BNO have theirs under other names
        "AAPL": ["2000-06-21", "2005-02-28", "2014-06-09", "2020-08-31"], "BAC": ["2004-08-30"], "IBM": ["1999-05-27"],
        "IWM": ["2005-06-09"], "QQQ": ["2000-03-20"], "GOOG": ["2014-04-03"], "BNO": ["2013-08-29"],
    }  # fmt: skip
    for symbol, days in known.items():
        daily = _named(files, f"us_equities_unadjusted/{symbol}_1d.parquet")
        assert [format_us(time)[:10] for time in daily.finding("split_like_jump").rows] == days
    hourly = _named(files, "us_equities_unadjusted/AAPL_1h.parquet")
    assert [format_us(time)[:10] for time in hourly.finding("split_like_jump").rows] == known["AAPL"]


def test_sources_of_the_same_share_agree_but_for_scale_and_bad_prints(files: list[File]) -> None:
    def compared(a: str, b: str) -> dict[str, tuple[str, int]]:
        frames = {name: _named(files, name).checked.accepted for name in (a, b)}
        one, other = consensus(frames, Interval.DAY).values()
        assert [(f.code, f.count) for f in one] == [(f.code, f.count) for f in other]
        return {f.code: (f.severity.label, f.count) for f in one}

    newer, raw = "us_equities_daily_2018_2023", "us_equities_unadjusted"
    assert compared(f"{newer}/TSLA_1d.parquet", "us_equities_daily_yahoo/TSLA_1d.parquet") == {}
    # 670 days before the split of 2020-08-31; the lows and highs of single prints; no close differs
    assert compared(f"{newer}/AAPL_1d.parquet", f"{raw}/AAPL_1d.parquet") == {
        "scaled_differently": ("usable", 670), "sources_disagree": ("suspect", 10),
    }  # fmt: skip
    assert compared(f"{newer}/BAC_1d.parquet", f"{raw}/BAC_1d.parquet") == {"sources_disagree": ("usable", 4)}


def test_coins_and_their_future_agree_on_three_venues(files: list[File]) -> None:
    names = ("binance_BTCBUSD", "bybit_BTCUSDT", "bybit_future_BTCUSDT")
    frames = {n: _named(files, f"crypto_minute_samples/{n}_1m.parquet").checked.accepted for n in names}
    assert not any(consensus(frames, Interval.MINUTE).values())


def test_a_holiday_that_repeats_the_day_before_is_found_in_every_share(files: list[File]) -> None:
    shares = [each for each in files if each.folder == "us_equities_daily_2018_2023"]
    off = [f for each in shares for f in each.checked.verdict.findings if f.code == "off_calendar"]
    assert len(off) == 396
    assert {format_us(time)[:10] for finding in off for time in finding.rows} == {"2022-06-20"}
    for each in shares:
        bars = each.checked.accepted
        row = bars["time"].search_sorted(parse_us("2022-06-20T20:00:00Z"))
        if format_us(bars["time"][row])[:10] == "2022-06-20":
            assert bars.select(VALUES).row(row) == bars.select(VALUES).row(row - 1), each.name


def test_hours_of_the_clock_and_the_week_of_currencies_raise_no_alarm(files: list[File]) -> None:
    hours = _named(files, "us_equities_unadjusted/SPY_1h.parquet")
    assert hours.finding("missing_rows").count == 2
    for each in files:
        if each.folder in ("fx", "metals", "fx_reference_daily"):
            assert "off_calendar" not in {f.code for f in each.checked.verdict.findings}, each.name


def test_the_counts_are_those_of_the_page(files: list[File]) -> None:
    series: Counter[tuple[str, str]] = Counter()
    rows: Counter[tuple[str, str]] = Counter()
    for each in files:
        for finding in each.checked.verdict.findings:
            series[finding.code, finding.severity.label] += 1
            rows[finding.code, finding.severity.label] += finding.count
    measured = [f"| {code} | {severity} | {series[code, severity]:,} | {rows[code, severity]:,} |" for code, severity in sorted(series)]  # fmt: skip # noqa: E501
    page = PAGE.read_text(encoding="utf-8")
    written = re.findall(r"(?m)^\| [a-z_]+ \| (?:usable|suspect|rejected) \| [\d,]+ \| [\d,]+ \|$", page)
    assert written == measured, "look at the difference row by row, then write these lines:\n" + "\n".join(measured)
    verdicts = Counter(each.checked.verdict.verdict.label for each in files)
    told = ", ".join(f"{verdicts[v.label]} {v.label}" for v in Verdict if v.label in verdicts)
    assert told in page, told
