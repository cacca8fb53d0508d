"""Where an ingestion begins when nobody says."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from recorded import bars_query
from tradewright.clock import DAY_US
from tradewright.market.instruments import Interval, Kind
from tradewright.sources import alpha_vantage, kraken, polygon, yahoo
from tradewright.sources.continuing import begin
from tradewright.sources.scales import closes_changed

NOW = 1_700_000_000_000_000


def test_a_series_is_gone_on_with_a_few_bars_before_its_end() -> None:
    for interval in Interval:
        assert begin(NOW - 7, interval, NOW, None, NOW, Kind.EQUITY) == NOW - 7 - 5 * interval.us


def test_a_series_that_is_not_there_or_ends_later_begins_500_days_before_the_end() -> None:
    for last in (None, NOW + 1):
        assert begin(last, Interval.HOUR, NOW, None, NOW, Kind.EQUITY) == NOW - 500 * DAY_US


@pytest.mark.parametrize("last", [None, NOW - 400 * DAY_US])
def test_what_a_source_no_longer_has_is_left_out(last: int | None) -> None:
    assert kraken.SOURCE.bars is not None
    reach_us = 720 * Interval.HOUR.us
    assert begin(last, Interval.HOUR, NOW, kraken.SOURCE.bars, NOW, Kind.EQUITY) == NOW - reach_us + reach_us // 20


def test_a_reach_may_be_another_for_each_interval() -> None:
    for interval, days in ((Interval.MINUTE, 30), (Interval.MINUTES_5, 60), (Interval.MINUTES_15, 60)):
        assert begin(None, interval, NOW, yahoo.SOURCE.bars, NOW, Kind.EQUITY) == NOW - days * DAY_US * 19 // 20
    for interval in (Interval.HOUR, Interval.DAY):
        assert begin(None, interval, NOW, yahoo.SOURCE.bars, NOW, Kind.EQUITY) == NOW - 500 * DAY_US
    assert polygon.SOURCE.bars is not None
    assert polygon.SOURCE.bars.oldest_us(Interval.DAY, NOW, Kind.EQUITY) > NOW - 730 * DAY_US
    assert yahoo.SOURCE.bars is not None
    assert yahoo.SOURCE.bars.oldest_us(Interval.DAY, NOW, Kind.EQUITY) == 0
    assert [yahoo.SOURCE.bars.reach(each, Kind.EQUITY) for each in (Interval.MINUTE, Interval.DAY)] == ["30 days", ""]


def test_what_nobody_named_a_start_for_is_in_the_free_plan_of_alpha_vantage() -> None:
    for name in ("IBM", "EUR/USD"):
        query = bars_query(alpha_vantage.SOURCE, name)
        start_us = begin(None, Interval.DAY, NOW, alpha_vantage.SOURCE.bars, NOW, query.instrument.kind)
        assert ("outputsize", "compact") in alpha_vantage.bars_request(query.at(start_us, NOW)).query


def test_days_of_coins_at_alpha_vantage_are_asked_for_like_those_of_any_source() -> None:
    bars = alpha_vantage.SOURCE.bars
    assert bars is not None
    assert begin(None, Interval.DAY, NOW, bars, NOW, Kind.CRYPTO) == NOW - 500 * DAY_US
    assert (bars.reach(Interval.DAY, Kind.CRYPTO), bars.reach(Interval.DAY, Kind.EQUITY)) == ("", "140 days")


def test_a_beginning_never_lies_after_the_end() -> None:
    bars = replace(kraken.SOURCE.bars, reach_us=DAY_US) if kraken.SOURCE.bars else None
    end = NOW - 90 * DAY_US
    assert begin(None, Interval.MINUTE, end, bars, NOW, Kind.EQUITY) == end


def test_adjusted_prices_are_compared_over_a_week() -> None:
    assert begin(NOW, Interval.MINUTE, NOW, yahoo.SOURCE.bars, NOW, Kind.EQUITY) == NOW - 7 * DAY_US
    assert begin(NOW, Interval.DAY, NOW, yahoo.SOURCE.bars, NOW, Kind.EQUITY) == NOW - 7 * DAY_US


def test_closes_are_compared_bar_by_bar() -> None:
    def bars(*closes: float | None) -> pl.DataFrame:
        return pl.DataFrame({"time": range(len(closes)), "close": closes}, schema={"time": pl.Int64, "close": float})

    stored = bars(100.0, 101.0, 102.0)
    assert closes_changed(stored, stored) == [False, False, False]
    assert closes_changed(stored, bars(100.000001, 101.0)) == [False, False]
    assert closes_changed(stored, bars(99.5, 101.0)) == [True, False]
    assert closes_changed(bars(), stored) == []
    assert closes_changed(stored, bars(None)) == []
