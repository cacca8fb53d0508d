"""Recorded answers of Finnhub become the rows a person reads in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorded import bars_query, json_answer, messages, recorded
from source_checks import assert_damage_fails, assert_secret_apart, assert_symbols, assert_unknown, prices, times
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused
from tradewright.market.instruments import Interval
from tradewright.sources import finnhub, finnhub_stream
from tradewright.sources.streams import Heartbeat, Trade, Trouble

AAPL = bars_query(finnhub.SOURCE, "AAPL")
EURUSD = bars_query(finnhub.SOURCE, "fx:EUR-USD")


def candles(*starts: str) -> dict[str, object]:
    ones = [1.0] * len(starts)
    stamps = [parse_us(start) // 1_000_000 for start in starts]
    return {"s": "ok", "t": stamps, "o": ones, "h": ones, "l": ones, "c": ones, "v": ones}


def test_recorded_days_of_currencies_begin_the_evening_before(shared: Path) -> None:
    page = finnhub.parse_bars(recorded(shared, "finnhub", "bars_daily__OANDA_EUR_USD"), EURUSD)
    assert page.bars.height == 21  # every working day from Monday, 4 November to Monday, 2 December 2019
    assert (times(page.bars)[0], times(page.bars)[-1]) == ("2019-11-05T00:00:00Z", "2019-12-03T00:00:00Z")
    assert times(page.bars)[5] == "2019-11-12T00:00:00Z"  # a weekend lies before it
    assert prices(page.bars)[0] == (1.11674, 1.11749, 1.11242, 1.1127, 46494.0)


def test_days_of_shares_may_begin_at_midnight_of_either_zone() -> None:
    page = finnhub.parse_bars(json_answer(candles("2024-03-07T00:00:00Z", "2024-03-08T05:00:00Z")), AAPL)
    assert times(page.bars) == ["2024-03-07T21:00:00Z", "2024-03-08T21:00:00Z"]
    minutes = bars_query(finnhub.SOURCE, "AAPL", Interval.MINUTE)
    page = finnhub.parse_bars(json_answer(candles("2024-03-08T14:29:00Z", "2024-03-08T20:59:00Z")), minutes)
    assert times(page.bars) == ["2024-03-08T21:00:00Z"]


def test_no_data_is_no_rows() -> None:
    assert finnhub.parse_bars(json_answer({"s": "no_data"}), AAPL).bars.height == 0


def test_recorded_refusals_say_what_to_do(shared: Path) -> None:
    with pytest.raises(SourceRefused, match=r"present plan \(403\).*don't have access.*another source"):
        finnhub.parse_bars(recorded(shared, "finnhub", "error_plan__403-stock-candle"), AAPL)
    with pytest.raises(SourceLimited, match=r"slow down.*API limit reached"):
        finnhub.parse_bars(recorded(shared, "finnhub", "error_rate_limited__429"), AAPL)
    with pytest.raises(SourceRefused, match=r"Invalid API key.*'finnhub'"):
        finnhub.parse_bars(json_answer({"error": "Invalid API key"}, 401), AAPL)
    with pytest.raises(SourceFailed, match=r"no list of shares"):
        finnhub.parse_listing(json_answer({"error": "x"}))


def test_damage_is_a_failure() -> None:
    assert_damage_fails(
        lambda answer: finnhub.parse_bars(answer, AAPL),
        b"[]",
        b"{}",
        b'{"s": "ok"}',
        b'{"s": "ok", "t": [1], "o": [1], "h": [1], "l": [1], "c": [], "v": [1]}',
        b'{"s": "ok", "t": ["x"], "o": [1], "h": [1], "l": [1], "c": [1], "v": [1]}',
        b'{"s": "ok", "t": [99999999999999], "o": [1], "h": [1], "l": [1], "c": [1], "v": [1]}',
        b'{"s": "ok", "t": 1, "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}',
    )
    assert_damage_fails(lambda answer: finnhub.parse_quotes(answer, {"AAPL": AAPL.instrument}), b"{}", b'{"c": 1}')
    assert_damage_fails(finnhub.parse_listing, b"{}")


def test_a_recorded_quote_and_the_zeros_of_an_unknown_symbol(shared: Path) -> None:
    wanted = {"AAPL": AAPL.instrument}
    frame = finnhub.parse_quotes(recorded(shared, "finnhub", "quotes__AAPL-2023-06-05"), wanted)
    assert frame.rows() == [("equity:AAPL", 1685995205_000_000, 179.58, None, None)]
    zeros = recorded(shared, "finnhub", "error_unknown_symbol__quote-all-zero")
    assert finnhub.parse_quotes(zeros, wanted).height == 0


def test_shares_are_listed(shared: Path) -> None:
    body = [{"symbol": "AAPL", "type": "Common Stock"}, {"symbol": "BRK.B"}, {"symbol": "odd name"}]
    page = finnhub.parse_listing(json_answer(body))
    assert ([one.instrument.id for one in page.listed], page.skipped) == (["equity:AAPL", "equity:BRK.B"], 1)
    brokers = recorded(shared, "finnhub", "instruments__forex-symbols")  # symbols of another kind of list
    with pytest.raises(SourceFailed, match=r"no list of shares"):
        finnhub.parse_listing(brokers)


def test_symbols_lead_back() -> None:
    assert_symbols(
        finnhub.SOURCE,
        ("BRK.B", "equity:BRK.B"),
        ("OANDA:EUR_USD", "fx:EUR-USD"),
        ("BINANCE:BTCUSDT", "crypto:BTC-USDT"),
    )
    assert_unknown(finnhub.SOURCE, "macro:GDP", "OANDA:EUR", "BINANCE:", "index:VIX")


def test_the_requests_are_as_documented_and_hold_no_secret() -> None:
    request = finnhub.bars_request(EURUSD.at(parse_us("2024-03-09"), parse_us("2024-03-12")))
    assert request.url == "https://finnhub.io/api/v1/forex/candle"
    assert dict(request.query) == {
        "symbol": "OANDA:EUR_USD", "resolution": "D", "from": "1709834400", "to": "1710201600",
    }  # fmt: skip
    signed = assert_secret_apart(finnhub.SOURCE, request, api_key="K123")
    assert signed.headers == (("X-Finnhub-Token", "K123"),)


def test_the_recorded_socket_is_read_in_its_order(shared: Path) -> None:
    events = [event for text in messages(shared, "finnhub", "ws_trades") for event in finnhub_stream.read(text)]
    assert len(events) == 11
    assert events[0] == Heartbeat()
    assert events[1] == Trade("BINANCE:BTCUSDT", 1575526691134_000, 7296.89, 0.011467)
    assert [event.price for event in events[2:9] if isinstance(event, Trade)] == [20461.12] * 3 + [20461.11] * 3 + [
        20461.31
    ]
    assert events[9] == Trade("BINANCE:ETHUSDT", 1696073626534_000, 1675.58, 0.2082)
    assert isinstance(events[10], Trouble)
    assert "too many symbols" in events[10].said
    assert events[10].fatal


def test_the_socket_subscribes_each_symbol_and_takes_the_key_in_its_address() -> None:
    assert [json.loads(text) for text in finnhub_stream.opening(["AAPL", "MSFT"], {"api_key": "K"})] == [
        {"type": "subscribe", "symbol": "AAPL"},
        {"type": "subscribe", "symbol": "MSFT"},
    ]
    assert finnhub_stream.query({"api_key": "K"}) == (("token", "K"),)
    for text in ("", "[1]", "{}", '{"type": "trade"}', '{"type": "trade", "data": [{"s": "A", "p": null}]}'):
        with pytest.raises(SourceFailed, match=r"Finnhub"):
            finnhub_stream.read(text)
