"""Recorded answers of Alpha Vantage become the rows a person reads in them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorded import LATE, bars_query, json_answer, recorded, span_query
from source_checks import (
    actions,
    assert_damage_fails,
    assert_secret_apart,
    assert_symbols,
    assert_unknown,
    prices,
    times,
)
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import alpha_vantage
from tradewright.sources.alpha_vantage import stamps_are_ends
from tradewright.transport.messages import Response

IBM = bars_query(alpha_vantage.SOURCE, "IBM")
MSFT_MINUTES = bars_query(alpha_vantage.SOURCE, "MSFT", Interval.MINUTE, parse_us("2024-03-08"), parse_us("2024-03-09"))
ROW = {"1. open": "1", "2. high": "2", "3. low": "0.5", "4. close": "1.5", "5. volume": "10"}


def minutes(*stamps: str) -> dict[str, Any]:
    return {"Meta Data": {"6. Time Zone": "US/Eastern"}, "Time Series (1min)": dict.fromkeys(stamps, ROW)}


def test_recorded_days_come_newest_first_and_end_with_their_session(shared: Path) -> None:
    page = alpha_vantage.parse_bars(recorded(shared, "alpha_vantage", "bars_daily__IBM-2021-01"), IBM)
    assert times(page.bars)[:2] == ["2021-01-11T21:00:00Z", "2021-01-08T21:00:00Z"]
    assert times(page.bars)[-1] == "2020-12-31T21:00:00Z"
    assert prices(page.bars)[0] == (127.95, 129.675, 127.66, 128.58, None)
    assert (page.bars.height, page.token) == (7, "")


def test_recorded_days_of_a_coin_are_days_in_utc(shared: Path) -> None:
    query = bars_query(alpha_vantage.SOURCE, "BTC/AUD")
    page = alpha_vantage.parse_bars(recorded(shared, "alpha_vantage", "bars_daily__BTC-AUD-2021-01"), query)
    assert (page.bars.height, times(page.bars)[0]) == (7, "2021-01-10T00:00:00Z")
    assert prices(page.bars)[0] == (55074.0695024, 56150.1772, 52540.7168, 54397.3092468, 75785.979675)


def test_recorded_minutes_are_wall_times_of_new_york(shared: Path) -> None:
    answer = recorded(shared, "alpha_vantage", "bars_intraday__MSFT-1min-compact")
    page = alpha_vantage.parse_bars(answer, MSFT_MINUTES)
    assert page.bars.height == 100
    assert times(page.bars)[0] == "2017-12-18T19:57:00Z"  # 14:56: nothing shows that stamps were ends then
    assert prices(page.bars)[0] == (86.49, 86.5, 86.475, 86.5, 10494.0)


def test_the_last_bar_of_the_session_tells_whether_stamps_are_ends(shared: Path) -> None:
    table = recorded(shared, "alpha_vantage", "bars_intraday__MSFT-1min-extended-csv").body.decode()
    assert stamps_are_ends(line.partition(",")[0] for line in table.splitlines()[1:])  # 2020, up to 20:00
    assert stamps_are_ends(["2020-12-18 09:31:00", "2020-12-18 16:00:00"])
    assert not stamps_are_ends(["2024-03-08 09:30:00", "2024-03-08 15:59:00"])
    assert not stamps_are_ends(["2024-03-08 04:00:00", "2024-03-08 16:00:00", "2024-03-08 19:59:00"])
    ends = alpha_vantage.parse_bars(json_answer(minutes("2020-12-18 16:00:00", "2020-12-18 09:31:00")), MSFT_MINUTES)
    assert times(ends.bars) == ["2020-12-18T21:00:00Z", "2020-12-18T14:31:00Z"]
    starts = alpha_vantage.parse_bars(json_answer(minutes("2024-03-08 15:59:00", "2024-03-08 09:30:00")), MSFT_MINUTES)
    assert times(starts.bars) == ["2024-03-08T21:00:00Z", "2024-03-08T14:31:00Z"]


def test_minutes_of_extended_hours_are_left_out_and_the_running_one_too() -> None:
    body = minutes("2024-03-08 19:59:00", "2024-03-08 16:00:00", "2024-03-08 15:59:00", "2024-03-08 04:00:00")
    assert times(alpha_vantage.parse_bars(json_answer(body), MSFT_MINUTES).bars) == ["2024-03-08T21:00:00Z"]
    now = json_answer(minutes("2024-03-08 10:31:00", "2024-03-08 10:30:00"), 200, parse_us("2024-03-08T15:31:30Z"))
    assert times(alpha_vantage.parse_bars(now, MSFT_MINUTES).bars) == ["2024-03-08T15:31:00Z"]


def test_minutes_of_markets_that_never_close_are_starts_in_their_zone() -> None:
    body = {
        "Meta Data": {"7. Time Zone": "UTC"},
        "Time Series FX (1min)": dict.fromkeys(("2024-03-08 20:00:00", "2024-03-08 04:00:00"), ROW),
    }
    query = bars_query(alpha_vantage.SOURCE, "EUR/USD", Interval.MINUTE)
    page = alpha_vantage.parse_bars(json_answer(body), query)
    assert (times(page.bars), page.token) == (["2024-03-08T20:01:00Z", "2024-03-08T04:01:00Z"], "")
    assert dict(alpha_vantage.bars_request(query).query) == {
        "function": "FX_INTRADAY", "from_symbol": "EUR", "to_symbol": "USD", "interval": "1min", "outputsize": "full",
    }  # fmt: skip


def test_minutes_are_asked_for_month_by_month() -> None:
    query = bars_query(
        alpha_vantage.SOURCE, "MSFT", Interval.MINUTE, parse_us("2023-12-20"), parse_us("2024-02-02"), "2023-12"
    )
    page = alpha_vantage.parse_bars(json_answer(minutes("2023-12-20 09:30:00")), query)
    assert page.token == "2024-01"
    assert (
        dict(alpha_vantage.bars_request(query.at(query.start_us, query.end_us, "2024-01")).query)["month"] == "2024-01"
    )
    last = alpha_vantage.parse_bars(json_answer(minutes()), query.at(query.start_us, query.end_us, "2024-02"))
    assert last.token == ""
    early = json_answer(minutes(), 200, parse_us("2024-01-15"))
    assert alpha_vantage.parse_bars(early, query.at(query.start_us, query.end_us, "2024-01")).token == ""


def test_an_answer_cut_to_its_latest_days_is_refused_where_more_was_asked_for() -> None:
    begin = date(2024, 1, 2)
    series = {str(begin + timedelta(days=at)): ROW for at in range(100)}
    answer = json_answer({"Meta Data": {}, "Time Series (Daily)": series})
    within = IBM.at(parse_us("2024-01-01"), parse_us("2024-04-10"))
    assert dict(alpha_vantage.bars_request(within).query)["outputsize"] == "compact"
    assert alpha_vantage.parse_bars(answer, within).bars.height == 100
    before = IBM.at(parse_us("2023-12-01"), parse_us("2024-04-10"))
    with pytest.raises(SourceRefused, match=r"latest 100 days.*begin on 2024-01-02.*more than 140 days"):
        alpha_vantage.parse_bars(answer, before)


def test_refusals_with_status_200_say_what_to_do(shared: Path) -> None:
    def parsed(name: str) -> object:
        return alpha_vantage.parse_bars(recorded(shared, "alpha_vantage", name), IBM)

    with pytest.raises(SourceRefused, match=r"key.*apikey is invalid or missing.*'alpha_vantage'"):
        parsed("error_bad_key__invalid-or-missing")
    with pytest.raises(SourceRefused, match=r"present plan.*premium endpoint.*at most 140 days until now"):
        parsed("error_plan__premium-endpoint")
    with pytest.raises(SourceLimited, match=r"slow down.*25 requests per day"):
        parsed("error_rate_limited__25-a-day")
    note = {"Note": "Our standard API call frequency is 5 calls per minute and 500 calls per day."}
    with pytest.raises(SourceLimited, match=r"slow down"):
        alpha_vantage.parse_bars(json_answer(note), IBM)
    invalid = {"Error Message": "Invalid API call. Please retry or visit the documentation for TIME_SERIES_DAILY."}
    with pytest.raises(UnknownName, match=r"'IBM'.*Invalid API call.*equity:IBM"):
        alpha_vantage.parse_bars(json_answer(invalid), IBM)
    with pytest.raises(SourceFailed, match=r"something else"):
        alpha_vantage.parse_bars(json_answer({"Information": "something else"}), IBM)
    with pytest.raises(SourceLimited, match=r"slow down"):
        alpha_vantage.parse_listing(json_answer({"Information": "rate limit is 25 requests per day"}))


def test_damage_is_a_failure() -> None:
    assert_damage_fails(
        lambda answer: alpha_vantage.parse_bars(answer, IBM),
        b"{}",
        b'{"Meta Data": {}}',
        b'{"Meta Data": {}, "Time Series (Daily)": []}',
        b'{"Meta Data": {}, "Time Series (Daily)": {"2024-01-02": "x"}}',
        b'{"Meta Data": {}, "Time Series (Daily)": {"2024-01-02": {"1. open": "1"}}}',
        b'{"Meta Data": {}, "Time Series (Daily)": {"soon": {"1. open": 1, "2. high": 1, "3. low": 1, "4. close": 1}}}',
    )
    assert_damage_fails(lambda answer: alpha_vantage.parse_quotes(answer, {"IBM": IBM.instrument}))
    assert_damage_fails(lambda answer: alpha_vantage.parse_actions(answer, span_query(alpha_vantage.SOURCE, "IBM")))
    assert_damage_fails(alpha_vantage.parse_listing, b"symbol,status\nA\n")


def test_splits_and_dividends_come_from_adjusted_days(shared: Path) -> None:
    answer = recorded(shared, "alpha_vantage", "bars_daily__IBM-2021-01-adjusted")
    assert alpha_vantage.parse_actions(answer, span_query(alpha_vantage.SOURCE, "IBM")).actions.height == 0
    row = {"7. dividend amount": "1.6300", "8. split coefficient": "1.0"}
    body = {"Meta Data": {}, "Time Series (Daily)": {"2021-02-09": row}}
    page = alpha_vantage.parse_actions(json_answer(body), span_query(alpha_vantage.SOURCE, "IBM"))
    assert actions(page.actions) == [("2021-02-09T21:00:00Z", "2021-02-08T21:00:00Z", 1.0, 1.63)]


def test_a_recorded_quote_is_of_the_end_of_its_day(shared: Path) -> None:
    wanted = {"MSFT": alpha_vantage.instrument_of("MSFT")}
    frame = alpha_vantage.parse_quotes(recorded(shared, "alpha_vantage", "quotes__MSFT-global-quote"), wanted)
    assert times(frame) == ["2018-10-05T20:00:00Z"]
    assert frame["price"].to_list() == [112.13]
    assert alpha_vantage.parse_quotes(json_answer({"Global Quote": {}}), wanted).height == 0


def test_the_table_of_shares_is_read() -> None:
    table = (
        b"symbol,name,exchange,assetType,ipoDate,delistingDate,status\r\n"
        b"A,Agilent,NYSE,Stock,1999-11-18,null,Active\r\n-P-HIZ,odd,NYSE,Stock,2020-01-01,null,Active\r\n"
        b"BRK-B,Berkshire,NYSE,Stock,1996-05-09,null,Active\r\n"
    )
    page = alpha_vantage.parse_listing(Response(200, table, (), LATE))
    assert [(one.symbol, one.instrument.id) for one in page.listed] == [("A", "equity:A"), ("BRK-B", "equity:BRK.B")]
    assert page.skipped == 1


def test_symbols_lead_back() -> None:
    assert_symbols(
        alpha_vantage.SOURCE, ("IBM", "equity:IBM"), ("BRK-B", "equity:BRK.B"), ("EUR/USD", "fx:EUR-USD"),
        ("BTC/USD", "crypto:BTC-USD"),
    )  # fmt: skip
    assert_unknown(alpha_vantage.SOURCE, "macro:GDP", "no such thing", "EUR/", "index:VIX")


def test_the_requests_are_as_documented_and_hold_no_secret() -> None:
    request = alpha_vantage.bars_request(IBM)
    assert request.url == "https://www.alphavantage.co/query"
    assert dict(request.query) == {"function": "TIME_SERIES_DAILY", "symbol": "IBM", "outputsize": "full"}
    assert_secret_apart(alpha_vantage.SOURCE, request, api_key="K123")
    fx = dict(alpha_vantage.bars_request(bars_query(alpha_vantage.SOURCE, "EUR/USD")).query)
    assert fx == {"function": "FX_DAILY", "from_symbol": "EUR", "to_symbol": "USD", "outputsize": "full"}
    asked = dict(alpha_vantage.bars_request(MSFT_MINUTES).query)
    assert asked == {
        "function": "TIME_SERIES_INTRADAY", "symbol": "MSFT", "interval": "1min", "outputsize": "full",
        "month": "2024-03", "extended_hours": "false", "adjusted": "false",
    }  # fmt: skip


def test_a_coin_comes_whole_and_may_be_younger_than_the_span() -> None:
    query = bars_query(alpha_vantage.SOURCE, "BTC/USD")
    query = query.at(parse_us("2024-01-01"), parse_us("2024-05-01"))
    assert dict(alpha_vantage.bars_request(query).query) == {
        "function": "DIGITAL_CURRENCY_DAILY", "symbol": "BTC", "market": "USD",
    }  # fmt: skip
    ends = [f"2024-{1 + day // 28:02}-{1 + day % 28:02}" for day in range(14, 115)]
    series = {day: {"1. open": "1", "2. high": "1", "3. low": "1", "4. close": "1", "5. volume": "1"} for day in ends}
    body = {"Meta Data": {"7. Time Zone": "UTC"}, "Time Series (Digital Currency Daily)": series}
    assert alpha_vantage.parse_bars(json_answer(body), query).bars.height == len(ends)
