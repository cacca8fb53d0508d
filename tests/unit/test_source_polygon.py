"""Recorded answers of Polygon become the rows a person reads in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorded import bars_query, json_answer, messages, recorded, span_query
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
from tradewright.sources import polygon, polygon_stream
from tradewright.sources.streams import Acknowledged, Candle, Trade, Trouble

AAPL = bars_query(polygon.SOURCE, "AAPL")
BARS = {"t": 1672756200000, "o": 1.0, "h": 2.0, "l": 0.5, "c": 1.5, "v": 10}


def test_recorded_days_end_with_their_session(shared: Path) -> None:
    page = polygon.parse_bars(recorded(shared, "polygon", "bars_daily__AAPL-2023-01"), AAPL)
    assert times(page.bars) == [f"2023-01-{day:02}T21:00:00Z" for day in (3, 4, 5, 6, 9, 10)]
    assert prices(page.bars)[0] == (130.28, 130.9, 124.17, 125.07, 112117471.0)  # written as 1.12117471e+08
    assert prices(page.bars)[-1] == (130.26, 131.2636, 128.12, 130.73, 63896155.0)
    assert page.token == ""
    older = polygon.parse_bars(
        recorded(shared, "polygon", "bars_daily__v2-aggs-ticker-AAPL-range-1-day-2005-04-01-2005-04-04"), AAPL
    )
    assert times(older.bars) == ["2005-04-01T21:00:00Z", "2005-04-04T20:00:00Z"]  # summer time began in between


def test_the_running_day_is_left_out(shared: Path) -> None:
    during = recorded(shared, "polygon", "bars_daily__AAPL-2023-01", parse_us("2023-01-10T20:59:59Z"))
    assert times(polygon.parse_bars(during, AAPL).bars)[-1] == "2023-01-09T21:00:00Z"


def test_minutes_outside_the_session_are_left_out() -> None:
    query = bars_query(polygon.SOURCE, "AAPL", Interval.MINUTE)
    first = parse_us("2023-01-03T14:30:00Z") // 1_000  # 09:30 in New York
    starts = [first - 60_000, first, first + 389 * 60_000, first + 390 * 60_000]
    body = {"resultsCount": 4, "results": [BARS | {"t": start} for start in starts]}
    page = polygon.parse_bars(json_answer(body), query)
    assert times(page.bars) == ["2023-01-03T14:31:00Z", "2023-01-03T21:00:00Z"]
    hour = bars_query(polygon.SOURCE, "AAPL", Interval.HOUR)
    hours = {"resultsCount": 3, "results": [BARS | {"t": first + at * 1_800_000} for at in (-3, -1, 13)]}
    assert times(polygon.parse_bars(json_answer(hours), hour).bars) == ["2023-01-03T15:00:00Z"]
    coins = bars_query(polygon.SOURCE, "X:BTCUSD", Interval.MINUTE)
    assert polygon.parse_bars(json_answer(body), coins).bars.height == 4


def test_no_data_is_no_rows_and_an_index_has_no_volume() -> None:
    assert polygon.parse_bars(json_answer({"resultsCount": 0, "status": "OK"}), AAPL).bars.height == 0
    bar = {name: value for name, value in BARS.items() if name != "v"}
    page = polygon.parse_bars(json_answer({"results": [bar]}), bars_query(polygon.SOURCE, "index:VIX"))
    assert prices(page.bars) == [(1.0, 2.0, 0.5, 1.5, None)]


def test_the_next_page_is_asked_for_without_its_host_and_never_elsewhere() -> None:
    following = "/v2/aggs/ticker/AAPL/range/1/minute/1672756260000/1672800000000?cursor=bGltaXQ9Mg"
    page = polygon.parse_bars(
        json_answer({"results": [BARS], "next_url": f"https://api.massive.com{following}&apiKey=leaked"}), AAPL
    )
    assert page.token == following
    request = polygon.bars_request(AAPL.at(0, 1, page.token))
    assert request.url == "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/minute/1672756260000/1672800000000"
    assert request.query == (("cursor", "bGltaXQ9Mg"),)
    for address in (
        "https://evil.example/v2/aggs/ticker/AAPL/range/1",
        "http://api.polygon.io/v2/aggs/ticker/AAPL/range/1",
        "https://api.polygon.io@evil.example/v2/aggs/ticker/AAPL/range/1",
        "https://api.polygon.io/v2/aggs/ticker/MSFT/range/1",
        "https://api.polygon.io/v2/aggs/ticker/AAPL/range/../../../x",
        "https://[::1",
    ):
        with pytest.raises(SourceFailed, match=r"not its own"):
            polygon.parse_bars(json_answer({"results": [BARS], "next_url": address}), AAPL)


def test_refusals_say_what_to_do(shared: Path) -> None:
    with pytest.raises(SourceLimited, match=r"slow down"):
        polygon.parse_listing(recorded(shared, "polygon", "error_rate_limited__429"))
    entitled = {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data. Please upgrade your plan"}
    with pytest.raises(SourceRefused, match=r"present plan.*not entitled.*another source"):
        polygon.parse_bars(json_answer(entitled, 403), AAPL)
    with pytest.raises(SourceRefused, match=r"Unknown API Key.*credentials of the source 'polygon'"):
        polygon.parse_bars(json_answer({"status": "ERROR", "error": "Unknown API Key"}, 401), AAPL)
    with pytest.raises(UnknownName, match=r"'AAPL'.*equity:AAPL"):
        polygon.parse_bars(json_answer({"status": "NOT_FOUND", "message": "Ticker not found"}, 404), AAPL)
    with pytest.raises(SourceFailed, match=r"bad range"):
        polygon.parse_bars(json_answer({"status": "ERROR", "error": "bad range"}), AAPL)


def test_damage_is_a_failure() -> None:
    assert_damage_fails(
        lambda answer: polygon.parse_bars(answer, AAPL),
        b"{}",
        b'{"results": null}',
        b'{"results": {"t": 1}}',
        b'{"results": [{"t": "soon", "o": 1, "h": 1, "l": 1, "c": 1}]}',
        b'{"results": [{"t": 1672722000000, "o": 1, "h": 1, "l": 1, "c": "one"}]}',
        b'{"results": [{"t": 1e300, "o": 1, "h": 1, "l": 1, "c": 1}]}',
    )
    assert_damage_fails(polygon.parse_listing)
    assert_damage_fails(lambda answer: polygon.parse_quotes(answer, {"AAPL": AAPL.instrument}), b'{"tickers": [{}]}')
    bad = b'{"results": [{"ticker": "AAPL", "execution_date": "2020-08-31", "split_from": 0, "split_to": 4}]}'
    assert_damage_fails(lambda answer: polygon.parse_actions(answer, span_query(polygon.SOURCE, "AAPL")), bad)


def test_splits_come_first_and_dividends_behind_them(shared: Path) -> None:
    query = span_query(polygon.SOURCE, "GOOG")
    page = polygon.parse_actions(recorded(shared, "polygon", "splits__v3-reference-splits"), query)
    assert actions(page.actions) == [("2022-07-18T20:00:00Z", "2022-07-17T20:00:00Z", 20.0, 0.0)]
    request = polygon.actions_request(query.page(page.token))
    assert request.url.endswith("/v3/reference/dividends")
    body = {
        "results": [
            {"ticker": "GOOG", "cash_amount": 0.2, "ex_dividend_date": "2024-06-10", "declaration_date": "2024-04-25"},
            {"ticker": "GOOG", "cash_amount": 0.2, "ex_dividend_date": "2024-09-09"},
        ]
    }
    paid = polygon.parse_actions(json_answer(body), query.page(page.token))
    assert actions(paid.actions) == [
        ("2024-06-10T20:00:00Z", "2024-04-26T04:00:00Z", 1.0, 0.2),
        ("2024-09-09T20:00:00Z", "2024-09-08T20:00:00Z", 1.0, 0.2),
    ]
    assert paid.token == ""


def test_a_recorded_snapshot_is_a_quote(shared: Path) -> None:
    answer = recorded(shared, "polygon", "snapshot__v2-snapshot-locale-us-markets-stocks-tickers-index")
    frame = polygon.parse_quotes(answer, {"BCAT": polygon.instrument_of("BCAT")})
    assert frame.rows() == [("equity:BCAT", 1605192894630916, 20.506, 20.5, 20.6)]
    assert polygon.parse_quotes(answer, {"AAPL": AAPL.instrument}).height == 0


def test_recorded_shares_are_listed_page_by_page(shared: Path) -> None:
    page = polygon.parse_listing(recorded(shared, "polygon", "instruments__v3-reference-tickers"))
    assert [(one.symbol, one.instrument.id, one.active) for one in page.listed] == [
        ("A", "equity:A", True),
        ("AA", "equity:AA", True),
    ]
    assert dict(polygon.listing_request(page.token).query)["cursor"].startswith("YWN0aXZl")
    name = "instruments__v3-reference-tickers-cursor-YWN0aXZlPXRydWUmZGF0ZT0yMDIyLTA0LTI3JmxpbW"
    last = polygon.parse_listing(recorded(shared, "polygon", name))
    assert ([one.symbol for one in last.listed], last.token) == (["AAA", "AAAU"], "")


def test_symbols_lead_back() -> None:
    assert_symbols(
        polygon.SOURCE,
        ("BRK.B", "equity:BRK.B"),
        ("X:BTCUSD", "crypto:BTC-USD"),
        ("C:EURUSD", "fx:EUR-USD"),
        ("I:VIX", "index:VIX"),
    )
    assert_unknown(polygon.SOURCE, "macro:GDP", "X:", "no such thing")


def test_the_request_asks_for_raw_prices_and_holds_no_secret() -> None:
    query = AAPL.at(parse_us("2023-01-03T21:00:00Z"), parse_us("2023-01-10T21:00:00Z"))
    request = polygon.bars_request(query)
    assert request.url == "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/day/1672693200000/1673384400000"
    assert request.query == (("adjusted", "false"), ("sort", "asc"), ("limit", "50000"))
    signed = assert_secret_apart(polygon.SOURCE, request, api_key="K123")
    assert signed.headers == (("Authorization", "Bearer K123"),)


def test_the_recorded_socket_is_read_in_its_order(shared: Path) -> None:
    events = [event for text in messages(shared, "polygon", "ws_trades") for event in polygon_stream.read(text)]
    assert events == [
        Acknowledged(("*",)),
        Trade("AAPL", 1651684192462000, 161.87, 300.0, "10//5096", 4009402),
        Trade("AMZN", 1651684192536000, 161.87, 1.0, "12//72815", 4009408),
        Trade("AMZN", 1651684192717000, 161.87, 100.0, "4//799", 4009434),
    ]


def test_the_socket_logs_in_subscribes_and_tells_trouble() -> None:
    login, wanted = (json.loads(text) for text in polygon_stream.opening(["AAPL", "MSFT"], {"api_key": "K"}))
    assert login == {"action": "auth", "params": "K"}
    assert wanted == {"action": "subscribe", "params": "T.AAPL,AM.AAPL,T.MSFT,AM.MSFT"}
    minute = '[{"ev":"AM","sym":"AAPL","o":1,"h":2,"l":0.5,"c":1.5,"v":10,"s":60000,"e":120000}]'
    assert polygon_stream.read(minute) == (Candle("AAPL", 60_000_000, 120_000_000, 1.0, 2.0, 0.5, 1.5, 10.0),)
    refused = '[{"ev":"status","status":"auth_failed","message":"authentication failed"}]'
    assert polygon_stream.read(refused) == (Trouble("Polygon (Massive): auth_failed: authentication failed", True),)
    full = '[{"ev":"status","status":"max_connections","message":"Maximum number of websocket connections exceeded."}]'
    assert [event.fatal for event in polygon_stream.read(full) if isinstance(event, Trouble)] == [False]
    for text in ("", "no", "[1]", '[{"ev":"T","sym":"AAPL"}]', '[{"ev":"AM","sym":"A","o":null}]'):
        with pytest.raises(SourceFailed, match=r"Polygon"):
            polygon_stream.read(text)


def test_trades_of_two_exchanges_with_the_same_number_are_two_trades() -> None:
    one, other = (
        polygon_stream.read(f'[{{"ev":"T","sym":"AAPL","x":{x},"i":"7","p":1.5,"s":100,"t":60000,"q":{x}}}]')[0]
        for x in (4, 12)
    )
    assert isinstance(one, Trade)
    assert isinstance(other, Trade)
    assert (one.id, other.id) == ("4//7", "12//7")
    (without,) = polygon_stream.read('[{"ev":"T","sym":"AAPL","p":1.5,"s":100,"t":60000}]')
    assert without == Trade("AAPL", 60_000_000, 1.5, 100.0)
