"""What several sources share reads archives, tables, sessions and actions without losing or inventing a row."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorded import LATE, json_answer, span_query
from source_checks import actions, times
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed
from tradewright.market.calendars import expected_times
from tradewright.market.checks.sifting import sift
from tradewright.market.dated import LeftOut
from tradewright.market.instruments import Instrument, Interval
from tradewright.sources.registry import SOURCES
from tradewright.sources.rows import bars_frame, wall_times
from tradewright.sources.source import BarsQuery
from tradewright.sources.tables import (
    actions_frame,
    asked_days,
    facts_frame,
    in_sessions,
    merged,
    own_currency,
    table_of,
    unpacked,
)
from tradewright.transport.messages import Response

AAPL = Instrument("equity:AAPL", calendar="XNYS")


def test_an_hour_that_occurs_twice_is_the_first_of_the_two_and_one_that_does_not_occur_fails() -> None:
    autumn = wall_times(["2024-11-03 00:30:00", "2024-11-03 01:30:00", "2024-11-03 02:30:00"], "America/New_York", "x")
    assert autumn == [parse_us(f"2024-11-03T{hour}:30:00Z") for hour in ("04", "05", "07")]
    with pytest.raises(SourceFailed, match="does not exist in the zone America/New_York"):
        wall_times(["2024-03-10 02:30:00"], "America/New_York", "x")


def test_two_bars_of_the_hour_that_occurs_twice_have_one_time_and_are_kept_aside() -> None:
    autumn = wall_times(["2024-11-03 01:00:00", "2024-11-03 01:00:00"], "America/New_York", "x")
    assert autumn[0] == autumn[1]
    prices = {"open": [1.0, 2.0], "high": [1.0, 2.0], "low": [1.0, 2.0], "close": [1.0, 2.0], "volume": [1.0, 1.0]}
    query = BarsQuery(Instrument("crypto:BTC-USD"), "BTC-USD", Interval.HOUR, 0, autumn[0], 10)
    frame = bars_frame("x", query, autumn[0] + 9 * 3_600_000_000, prices, starts_us=autumn)
    assert frame.height == 2
    sifted = sift(frame, query.instrument, close_only=False)
    assert (sifted.accepted.height, [finding.code for finding in sifted.findings]) == (0, ["conflicting_rows"])


def ends(*at_us: int) -> pl.DataFrame:
    return pl.DataFrame({"time": at_us, "known_at": at_us}, schema={"time": pl.Int64, "known_at": pl.Int64})


def test_half_days_end_early() -> None:
    at = [parse_us(f"2024-11-29T{clock}:00Z") for clock in ("14:30", "14:31", "18:00", "18:01")]  # closes at 13:00
    kept = in_sessions(ends(*at), "XNYS", Interval.MINUTE)
    assert times(kept) == ["2024-11-29T14:31:00Z", "2024-11-29T18:00:00Z"]
    hour = in_sessions(ends(parse_us("2024-11-29T18:30:00Z")), "XNYS", Interval.HOUR)
    assert times(hour) == times(hour, "known_at") == ["2024-11-29T18:00:00Z"]


def test_days_and_markets_that_do_not_close_keep_every_bar() -> None:
    bars = ends(parse_us("2024-11-30T03:00:00Z"))
    for calendar, interval in (("XNYS", Interval.DAY), ("24/7", Interval.MINUTE), ("24/5", Interval.HOUR)):
        assert in_sessions(bars, calendar, interval).height == 1
    assert in_sessions(bars, "XNYS", Interval.MINUTE).height == 0


@settings(deadline=None)  # the first example reads the calendar
@given(st.integers(0, 10 * 1440), st.sampled_from([Interval.MINUTE, Interval.MINUTES_5, Interval.MINUTES_15]))
def test_bars_within_sessions_are_those_that_the_calendar_expects(minute: int, interval: Interval) -> None:
    begin = parse_us("2024-11-25")
    end = begin + minute * 60_000_000 // interval.us * interval.us
    kept = in_sessions(ends(end), "XNYS", interval)
    assert kept.height == len(expected_times("XNYS", interval, end, end))


def test_an_archive_holds_one_file_of_a_bearable_size() -> None:
    plain = Response(200, b"Date,USD\n", (), LATE)
    assert unpacked(plain, "Bank") is plain
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * 256_000_001)
    with pytest.raises(SourceFailed, match=r"cannot be read \(256,000,001 bytes\)"):
        unpacked(Response(200, packed.getvalue(), (), LATE), "Bank")


def test_a_table_is_read_by_its_heads() -> None:
    table = table_of(Response(200, b'\xef\xbb\xbfA, B,\r\n1,"2,5",\r\n\r\n', (), LATE), "Bank", ("A", "B"))
    assert table == {"A": ["1"], "B": ["2,5"], "": [""]}


def test_actions_of_one_day_become_one_and_those_before_the_calendar_none() -> None:
    frame = actions_frame(
        AAPL,
        [date(2024, 2, 9), "2024-02-09", "1962-02-07"],
        [4.0, 1.0, 1.0],
        [0, 0.24, 1.0],
        "Bank",
        ["", "2024-02-01", ""],
    )
    assert actions(frame) == [("2024-02-09T21:00:00Z", "2024-02-08T21:00:00Z", 4.0, 0.24)]
    assert merged(frame).equals(frame)
    for split, paid in ((0.0, 0.0), (-1.0, 0.0), (1.0, -0.1), (None, 0.0), (float("inf"), 0.0)):
        with pytest.raises(SourceFailed, match=r"cannot be"):
            actions_frame(AAPL, ["2024-02-09"], [split], [paid], "Bank")


def test_facts_that_count_as_known_only_later_wait() -> None:
    rows = [("", "", None, 5, 5, 1.0), ("", "", None, 5, 5, 1.0), ("", "", None, 5, 9, 2.0), ("", "", None, 5, 5, None)]
    assert facts_frame(AAPL, rows, 8)["value"].to_list() == [1.0]
    assert facts_frame(AAPL, rows, 9)["value"].to_list() == [1.0, 2.0]


def test_facts_without_vintages_are_known_from_when_they_were_received() -> None:
    rows = [("", "", None, 5, 5, 1.0), ("", "", None, 9, 9, 2.0)]
    assert facts_frame(AAPL, rows, 8, vintages=False).select("period_end", "known_at").rows() == [(5, 8)]
    assert facts_frame(AAPL, rows, 9, vintages=False)["known_at"].to_list() == [9, 9]


def test_days_are_asked_for_from_the_one_before() -> None:
    assert asked_days(parse_us("2024-03-08T21:00:00Z"), parse_us("2024-03-09")) == ("2024-03-07", "2024-03-09")


PAID_IN_YEN: dict[str, tuple[str, Any]] = {
    "polygon": (
        "/v3/reference/dividends",
        {"results": [{"ticker": "AAPL", "ex_dividend_date": "2024-05-10", "cash_amount": 9.5, "currency": "JPY"}]},
    ),
    "twelve_data": (
        "dividends",
        {"meta": {"currency": "JPY"}, "dividends": [{"ex_date": "2024-05-10", "amount": 9.5}]},
    ),
    "intrinio": (
        "",
        {
            "stock_price_adjustments": [
                {"date": "2024-05-10", "split_ratio": 1.0, "dividend": 9.5, "dividend_currency": "JPY"}
            ]
        },
    ),
}


@pytest.mark.parametrize("name", PAID_IN_YEN)
def test_a_dividend_in_another_currency_is_no_dividend_of_the_share_and_is_told(name: str) -> None:
    (token, body), offer = PAID_IN_YEN[name], SOURCES[name].actions
    assert offer is not None
    query = span_query(SOURCES[name], "AAPL").page(token)
    page = offer.parse(json_answer(body), query)
    assert page.actions.height == 0
    assert page.left_out == (LeftOut(parse_us("2024-05-10T20:00:00Z"), "dividend in JPY"),)
    own = offer.parse(json_answer(json.loads(json.dumps(body).replace("JPY", "usd"))), query)
    assert (own.actions["dividend"].to_list(), own.left_out) == ([9.5], ())
    unnamed = offer.parse(json_answer(json.loads(json.dumps(body).replace('"JPY"', "null"))), query)
    assert (unnamed.actions["dividend"].to_list(), unnamed.left_out) == ([9.5], ())


def test_a_split_beside_a_dividend_in_another_currency_stays() -> None:
    paid, told = own_currency(
        AAPL, ["2024-05-10", "2024-05-13", "2024-05-14"], [9.5, 0.0, 0.25], ["JPY", "JPY", ""], "x"
    )
    assert paid == [0.0, 0.0, 0.25]
    assert [each.what for each in told] == ["dividend in JPY"]
