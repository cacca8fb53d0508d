"""What is due at the end of a series, at any moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tradewright.clock import parse_us
from tradewright.market import currency_week
from tradewright.market.calendars import expected_times
from tradewright.market.freshness import Freshness, expected_until, freshness
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.verdicts import Verdict

SHARE = Instrument("equity:AAPL", calendar="XNYS")
COIN = Instrument("crypto:BTC-USD")
PAIR = Instrument("fx:EUR-USD", calendar="24/5")
KNOWN = {each.id: each for each in (SHARE, COIN, PAIR)}
HOUR = Interval.HOUR.us


def _row(instrument: Instrument, interval: str, last: str | None, first: str = "2024-01-02", **rest: Any) -> dict[str, Any]:  # fmt: skip # noqa: E501
    return {
        "owner": "system", "source": "s", "instrument": instrument.id, "interval": interval, "lag_us": 0, "rows": 10,
        "first_time": parse_us(first), "last_time": None if last is None else parse_us(last), "findings": [],
    } | rest  # fmt: skip


def _at(now: str, *args: Any, **rest: Any) -> Freshness:
    (one,) = freshness([_row(*args, **rest)], KNOWN, parse_us(now))
    return one


def test_a_daily_series_is_fresh_over_the_weekend_and_stale_an_hour_after_the_next_close() -> None:
    friday = (SHARE, "1d", "2024-07-05T20:00:00Z")
    assert _at("2024-07-08T20:59:00Z", *friday).due == 0
    late = _at("2024-07-08T21:00:00Z", *friday)
    assert late.due == 1
    assert late.finding is not None
    assert (late.finding.code, late.finding.severity, late.finding.count) == ("stale_series", Verdict.USABLE, 1)
    assert late.age_us == 73 * HOUR
    week = _at("2024-07-12T21:00:00Z", *friday)
    assert (week.due, week.finding and week.finding.severity) == (5, Verdict.SUSPECT)


def test_the_lag_of_the_source_and_the_end_of_the_instrument_are_respected() -> None:
    friday = (SHARE, "1d", "2024-07-05T20:00:00Z")
    assert _at("2024-07-08T21:00:00Z", *friday, lag_us=HOUR).due == 0
    assert _at("2024-07-08T22:00:00Z", *friday, lag_us=HOUR).due == 1
    gone = Instrument("equity:AAPL", calendar="XNYS", delisted_us=parse_us("2024-07-05T20:00:00Z"))
    (one,) = freshness([_row(*friday)], {gone.id: gone}, parse_us("2026-01-01"))
    assert (one.due, one.finding) == (0, None)


def test_a_series_without_bars_has_no_age() -> None:
    assert _at("2024-07-08", COIN, "1m", None, rows=0, first_time=None) == Freshness(
        "system", "s", COIN.id, "1m", newest_us=None, age_us=None, due=0, coverage=None, finding=None
    )


def test_coverage_is_the_share_of_the_expected_bars_that_the_checks_did_not_miss() -> None:
    missing = {"findings": [{"code": "missing_rows", "count": 6}, {"code": "stale_run", "count": 9}]}
    one = _at("2024-01-03", COIN, "1h", "2024-01-03", first="2024-01-02T01:00:00Z", **missing)
    assert (one.coverage, one.due) == (0.75, 0)
    assert _at("2024-01-03", COIN, "1h", "2024-01-03").coverage == 1.0


@pytest.mark.parametrize("calendar", ["24/7", "XNYS", "24/5", "XHKG"])
@pytest.mark.parametrize("interval", list(Interval))
def test_counts_equal_those_of_the_listed_grid(calendar: str, interval: Interval) -> None:
    draw = np.random.default_rng(1)
    start, end = parse_us("2023-12-20"), parse_us("2024-04-10")
    grid = expected_times(calendar, interval, start + 1, end)
    if calendar == "24/5":
        grid = grid[~currency_week.may_be_absent(interval, grid)]
    asked = np.concatenate([draw.integers(start, end, 300), grid[:200], grid[-200:] - 1])
    counted = expected_until(calendar, interval, asked) - expected_until(calendar, interval, np.array([start]))
    assert counted.tolist() == np.searchsorted(grid, asked, side="right").tolist()


def test_many_series_stand_as_each_of_them_alone() -> None:
    rows = [_row(each, step, "2024-07-05T20:00:00Z") for each in (SHARE, COIN, PAIR) for step in ("1m", "1h", "1d")]
    now = parse_us("2024-09-01")
    alone = [freshness([row], KNOWN, now)[0] for row in rows]
    assert freshness(rows * 3, KNOWN, now) == alone * 3
    assert freshness([], KNOWN, now) == []
