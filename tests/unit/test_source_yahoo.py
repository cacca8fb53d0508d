"""Recorded answers of Yahoo become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recorded import LATE, bars_query, json_answer, recorded
from source_checks import actions, assert_damage_fails, assert_symbols, assert_unknown, prices, times
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import yahoo
from tradewright.transport.messages import Response

AAPL = bars_query(yahoo.SOURCE, "AAPL")


def chart(stamps: list[Any], closes: list[Any], **more: Any) -> dict[str, Any]:
    meta = {"currency": "USD", "exchangeTimezoneName": "America/New_York"}
    one = {"meta": meta, "timestamp": stamps, "indicators": {"quote": [{"close": closes, "open": closes}]}}
    return {"chart": {"result": [one | more], "error": None}}


def test_recorded_days_are_dated_by_the_opening_of_their_session(shared: Path) -> None:
    page = yahoo.parse_bars(recorded(shared, "yahoo", "bars_daily__TSLA-2021-01"), bars_query(yahoo.SOURCE, "TSLA"))
    assert times(page.bars) == [f"2021-01-{day:02}T21:00:00Z" for day in (4, 5, 6, 7, 8)]
    first = (239.82000732421875, 248.163330078125, 239.06333923339844, 243.2566680908203, 145914600.0)
    assert prices(page.bars)[0] == first
    long = yahoo.parse_bars(
        recorded(shared, "yahoo", "bars_daily__TSLA-since-listing"), bars_query(yahoo.SOURCE, "TSLA")
    )
    assert (long.bars.height, times(long.bars)[0]) == (2000, "2010-06-29T20:00:00Z")


def test_recorded_splits_and_dividends_come_with_the_days(shared: Path) -> None:
    page = yahoo.parse_bars(recorded(shared, "yahoo", "bars_daily__AAPL-2020-autumn-after-split"), AAPL)
    assert page.bars.height == 49
    assert sorted(actions(page.actions)) == [
        ("2020-08-31T20:00:00Z", "2020-08-30T20:00:00Z", 4.0, 0.0),
        ("2020-11-06T21:00:00Z", "2020-11-05T21:00:00Z", 1.0, 0.205),
    ]
    nvda = yahoo.parse_bars(
        recorded(shared, "yahoo", "bars_daily__NVDA-2021-split-4-for-1"), bars_query(yahoo.SOURCE, "NVDA")
    )
    assert actions(nvda.actions) == [("2021-07-20T20:00:00Z", "2021-07-19T20:00:00Z", 4.0, 0.0)]


def test_days_before_the_calendar_begins_are_left_out(shared: Path) -> None:
    page = yahoo.parse_bars(
        recorded(shared, "yahoo", "bars_daily__IBM-since-1962-parts"), bars_query(yahoo.SOURCE, "IBM")
    )
    assert times(page.bars) == [f"2021-01-{day:02}T21:00:00Z" for day in (4, 5, 6, 7, 8)]  # five of 1962 are gone
    splits = [(row[0][:10], row[2]) for row in actions(page.actions) if row[2] != 1.0]
    assert sorted(splits) == [("1973-05-29", 1.25), ("1979-06-01", 4.0), ("1997-05-28", 2.0), ("1999-05-27", 2.0)]


def test_null_rows_are_left_out(shared: Path) -> None:
    rupees = yahoo.parse_bars(
        recorded(shared, "yahoo", "bars_daily__INR=X-with-nulls"), bars_query(yahoo.SOURCE, "INR=X")
    )
    assert times(rupees.bars) == [f"2017-07-{day}T00:00:00Z" for day in (11, 13, 14)]  # Monday, Wednesday, Thursday
    munich = bars_query(yahoo.SOURCE, "MUV2.DE")
    page = yahoo.parse_bars(recorded(shared, "yahoo", "bars_daily__MUV2.DE-2020-with-nulls"), munich)
    assert page.bars.height == 123  # of 124
    assert times(page.bars)[0] == "2017-11-27T16:30:00Z"
    assert prices(page.bars)[-1] == (None, None, None, 188.3, None)


def test_recorded_coins_and_currencies_have_days_in_their_zone(shared: Path) -> None:
    bitcoin = yahoo.parse_bars(
        recorded(shared, "yahoo", "bars_daily__BTC-USD-2020-01"), bars_query(yahoo.SOURCE, "BTC-USD")
    )
    assert times(bitcoin.bars) == [f"2020-01-0{day}T00:00:00Z" for day in (2, 3, 4)]
    euro = yahoo.parse_bars(
        recorded(shared, "yahoo", "bars_daily__EURUSD=X-2020-01"), bars_query(yahoo.SOURCE, "EURUSD=X")
    )
    assert times(euro.bars) == [f"2020-01-0{day}T00:00:00Z" for day in (2, 3, 4)]
    assert euro.bars["close"].to_list()[0] == 1.1220825910568237


def test_the_running_day_is_left_out_and_a_second_row_of_a_day_replaces_the_first() -> None:
    opened = parse_us("2024-03-08T14:30:00Z") // 1_000_000
    body = chart([opened - 86_400, opened, opened + 20_000], [1.0, 2.0, 3.0])
    during = json_answer(body, 200, parse_us("2024-03-08T20:30:00Z"))
    assert yahoo.parse_bars(during, AAPL).bars["close"].to_list() == [1.0]
    assert yahoo.parse_bars(json_answer(body), AAPL).bars["close"].to_list() == [1.0, 3.0]
    minutes = bars_query(yahoo.SOURCE, "AAPL", Interval.HOUR)
    hours = chart([opened, opened + 6 * 3_600, opened + 23_400], [1.0, 2.0, 3.0])  # 09:30, 15:30 and the close itself
    assert times(yahoo.parse_bars(json_answer(hours), minutes).bars) == ["2024-03-08T15:30:00Z", "2024-03-08T21:00:00Z"]


def test_a_span_without_data_is_no_rows(shared: Path) -> None:
    minutes = bars_query(yahoo.SOURCE, "AAPL", Interval.MINUTE)
    weekend = yahoo.parse_bars(recorded(shared, "yahoo", "bars_intraday__AAPL-1m-weekend-empty"), minutes)
    assert weekend.bars.height == 0
    past = yahoo.parse_bars(recorded(shared, "yahoo", "error_no_data_in_past__download-400"), AAPL)
    assert (past.bars.height, past.actions.height) == (0, 0)


def test_prices_without_their_times_are_a_failure(shared: Path) -> None:
    with pytest.raises(SourceFailed, match=r"no times beside the prices"):
        yahoo.parse_bars(recorded(shared, "yahoo", "bars_daily__edited-no-timestamps"), AAPL)


def test_refusals_say_what_to_do(shared: Path) -> None:
    for name in ("error_unknown_symbol__download-404", "error_http__quoteSummary-assetProfile-ADH"):
        with pytest.raises(UnknownName, match=r"'AAPL'.*equity:AAPL"):
            yahoo.parse_bars(recorded(shared, "yahoo", name), AAPL)
    gone = {
        "chart": {
            "result": None,
            "error": {"code": "Not Found", "description": "No data found, symbol may be delisted"},
        }
    }
    for status in (200, 404):
        with pytest.raises(UnknownName, match=r"No data found"):
            yahoo.parse_bars(json_answer(gone, status), AAPL)
    with pytest.raises(SourceLimited, match=r"slow down"):
        yahoo.parse_bars(Response(429, b"Too Many Requests\r\n", (), LATE), AAPL)
    old = {"code": "Unprocessable Entity", "description": "1m data not available for startTime=1 and endTime=2."}
    with pytest.raises(SourceFailed, match=r"later span or.*longer bars"):
        yahoo.parse_bars(json_answer({"chart": {"result": None, "error": old}}, 422), AAPL)
    with pytest.raises(SourceFailed, match=r"AAPL in EUR, not in USD"):
        yahoo.parse_bars(json_answer(chart([1], [1.0], meta={"currency": "EUR"})), AAPL)


def test_damage_is_a_failure() -> None:
    good = chart([1709908200], [1.0])["chart"]["result"][0]
    changes: tuple[dict[str, Any], ...] = (
        {"meta": None},
        {"timestamp": 5},
        {"timestamp": [1, 2]},
        {"timestamp": ["x"]},
        {"timestamp": [10**14]},
        {"indicators": {}},
        {"indicators": {"quote": [5]}},
        {"indicators": {"quote": [{"close": [[]]}]}},
        {"indicators": {"quote": [{"close": ["x"]}]}},
        {"meta": {"currency": "USD", "exchangeTimezoneName": "Mars/North"}},
        {"events": {"splits": {"1": {"date": 1709908200, "numerator": 4, "denominator": 0}}}},
        {"events": {"dividends": [1]}},
        {"events": 5},
    )
    for change in changes:
        with pytest.raises(SourceFailed, match=r"\w"):
            yahoo.parse_bars(json_answer({"chart": {"result": [good | change]}}), AAPL)
    assert_damage_fails(lambda answer: yahoo.parse_bars(answer, AAPL), b"{}", b'{"chart": {"result": []}}')
    assert_damage_fails(lambda answer: yahoo.parse_quotes(answer, {"AAPL": AAPL.instrument}), b"{}")


def test_a_recorded_chart_tells_the_latest_price(shared: Path) -> None:
    frame = yahoo.parse_quotes(recorded(shared, "yahoo", "bars_daily__AAPL-2020-01"), {"AAPL": AAPL.instrument})
    assert frame.rows() == [("equity:AAPL", 1739998801_000_000, 244.87, None, None)]


def test_symbols_lead_back() -> None:
    assert_symbols(
        yahoo.SOURCE,
        ("BRK-B", "equity:BRK.B"),
        ("MUV2.DE", "equity:MUV2.XETR"),
        ("7203.T", "equity:7203.XTKS"),
        ("NOVO-B.CO", "equity:NOVO-B.XCSE"),
        ("^GSPC", "index:SPX"),
        ("^VIX", "index:VIX"),
        ("EURUSD=X", "fx:EUR-USD"),
        ("BTC-USD", "crypto:BTC-USD"),
    )
    assert yahoo.instrument_of("INR=X").id == "fx:USD-INR"
    assert (yahoo.instrument_of("MUV2.DE").currency, yahoo.instrument_of("MUV2.DE").calendar) == ("EUR", "XETR")
    assert_unknown(yahoo.SOURCE, "macro:GDP", "0P000071W8.XX", "no such thing", "EU=X")


def test_the_request_asks_for_the_span_without_extended_hours_and_the_source_is_off() -> None:
    request = yahoo.bars_request(AAPL.at(parse_us("2024-03-08T21:00:00Z"), parse_us("2024-03-11T20:00:00Z")))
    assert request.url == "https://query1.finance.yahoo.com/v8/finance/chart/AAPL"
    assert dict(request.query) == {
        "interval": "1d", "period1": "1709758800", "period2": "1710187201", "includePrePost": "false",
        "events": "div|split",
    }  # fmt: skip
    assert dict(request.headers)["User-Agent"] == "Mozilla/5.0 (compatible; tradewright)"
    assert yahoo.bars_request(bars_query(yahoo.SOURCE, "index:VIX")).url.endswith("/chart/^VIX")
    assert "forbid automated access" in yahoo.SOURCE.opt_in


def test_a_day_of_the_vix_is_known_at_a_quarter_past_four() -> None:
    opened = parse_us("2024-03-08T14:30:00Z") // 1_000_000
    for name, known in (("^VIX", "2024-03-08T21:15:00Z"), ("^GSPC", "2024-03-08T21:00:00Z")):
        page = yahoo.parse_bars(json_answer(chart([opened], [15.0])), bars_query(yahoo.SOURCE, name))
        assert (times(page.bars), times(page.bars, "known_at")) == (["2024-03-08T21:00:00Z"], [known])
