"""Recorded sockets of Binance, Coinbase and Kraken say what a person reads in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from recorded import messages
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed
from tradewright.sources import binance_stream, coinbase_stream, kraken_stream
from tradewright.sources.registry import SOURCES
from tradewright.sources.streams import Acknowledged, Candle, Event, Heartbeat, Stream, Ticker, Trade, Trouble, time_of

STREAMS = {name: SOURCES[name].stream for name in ("binance", "coinbase", "kraken")}


def counts(events: Iterable[Event]) -> dict[str, int]:
    return dict(Counter(type(event).__name__ for event in events))


def trades_of(events: Iterable[Event]) -> dict[str, list[Trade]]:
    found: dict[str, list[Trade]] = {}
    for event in events:
        if isinstance(event, Trade):
            found.setdefault(event.symbol, []).append(event)
    return found


def rise_by_one(events: Iterable[Event]) -> bool:
    return all(
        (b.sequence or 0) - (a.sequence or 0) == 1 for each in trades_of(events).values() for a, b in pairwise(each)
    )


def stream(name: str) -> Stream:
    found = STREAMS[name]
    assert found is not None
    return found


def test_recorded_trades_of_binance_and_only_minutes_that_are_complete(shared: Path) -> None:
    events = [e for m in messages(shared, "binance", "ws_usdm_aggtrade_kline") for e in binance_stream.read(m)]
    assert counts(events) == {"Trade": 91, "Candle": 4}
    assert rise_by_one(events)
    first = next(e for e in events if isinstance(e, Trade))
    assert first == Trade("CTKUSDT", 1626992741421000, 1.011, 10.0, "16599292", 16599292)
    candle = next(e for e in events if isinstance(e, Candle))
    assert candle == Candle("SUSHIUSDT", 1626992700000000, 1626992760000000, 7.608, 7.618, 7.607, 7.617, 3005.0)


def test_recorded_books_of_binance_are_of_no_interest(shared: Path) -> None:
    name = "ws_spot_depth_bookticker_trades_klines"
    events = [e for m in messages(shared, "binance", name) for e in binance_stream.read(m)]
    assert events == [
        Trade("NKNUSDT", 1633998523963000, 0.3528, 58.0, "15683430", 15683430),
        Trade("LRCBTC", 1633998534486000, 0.00000638, 177.0, "9213679", 9213679),
    ]


def test_documented_messages_of_binance(shared: Path) -> None:
    events = [e for m in messages(shared, "binance", "ws_usdm_doc") for e in binance_stream.read(m)]
    assert counts(events) == {"Trade": 1, "Candle": 1, "Ticker": 1}
    assert events[2] == Ticker("BTCUSDT", 1672515782136000, 16584.6)
    assert binance_stream.read('{"result":null,"id":1}') == (Acknowledged(),)
    assert binance_stream.read('{"result":["btcusdt@aggTrade"],"id":3}') == (Heartbeat(),)
    trouble = binance_stream.read('{"error":{"code":2,"msg":"Invalid request: unknown variant"},"id":1}')
    assert trouble == (Trouble("Binance spot: Invalid request: unknown variant (2)", fatal=True),)


def test_recorded_trades_of_coinbase_with_those_before_the_subscription_marked(shared: Path) -> None:
    events = [e for m in messages(shared, "coinbase", "ws_exchange_ticker_matches") for e in coinbase_stream.read(m)]
    assert counts(events) == {"Acknowledged": 3, "Ticker": 77, "Trade": 77}
    trades = trades_of(events)
    assert {symbol: len(each) for symbol, each in trades.items() if len(each) > 2} == {
        "SKL-BTC": 9, "DASH-BTC": 11, "NMR-EUR": 9, "SKL-USD": 40,
    }  # fmt: skip
    assert all([trade.past for trade in each] == [True] + [False] * (len(each) - 1) for each in trades.values())
    assert rise_by_one(events)
    assert trades["SKL-BTC"][1] == Trade(
        "SKL-BTC", parse_us("2021-04-17T16:43:37.089723Z"), 0.00001305, 985.0, "280232", 280232
    )
    ticker = next(e for e in events if isinstance(e, Ticker))
    assert ticker == Ticker("BAND-GBP", parse_us("2021-04-17T16:43:30.244075Z"), 14.7775, 14.755, 14.806)
    acknowledged = [e for e in events if isinstance(e, Acknowledged)][-1]
    assert len(acknowledged.symbols) == 10


def test_recorded_books_of_coinbase_are_of_no_interest(shared: Path) -> None:
    events = [e for m in messages(shared, "coinbase", "ws_exchange_level2") for e in coinbase_stream.read(m)]
    assert not any(isinstance(e, Trade | Trouble) for e in events)


def test_what_else_coinbase_says() -> None:
    refused = {"type": "error", "message": "Failed to subscribe", "reason": "X is not a valid product"}
    assert coinbase_stream.read(json.dumps(refused)) == (
        Trouble("Coinbase Exchange: Failed to subscribe X is not a valid product", fatal=True),
    )
    assert coinbase_stream.read('{"type":"error","message":"Too slow"}') == (Trouble("Coinbase Exchange: Too slow"),)
    assert coinbase_stream.read('{"type":"heartbeat","sequence":90,"last_trade_id":20}') == (Heartbeat(),)
    beat = '{"type":"heartbeat","sequence":90,"last_trade_id":%d,"product_id":"BTC-USD","time":"2014-11-07T08:19:28Z"}'
    assert coinbase_stream.read(beat % 20) == (Heartbeat(symbol="BTC-USD", sequence=20),)
    assert coinbase_stream.read(beat % 0) == (Heartbeat(),)


def test_recorded_messages_of_kraken_version_2(shared: Path) -> None:
    events = [e for m in messages(shared, "kraken", "ws_v2") for e in kraken_stream.read(m)]
    assert counts(events) == {"Acknowledged": 1, "Ticker": 1, "Trade": 2, "Heartbeat": 1}
    assert events[0] == Acknowledged(("XBTUSD",))
    assert events[1] == Ticker("XBTUSD", parse_us("2022-12-25T09:30:59.123456Z"), 105899.4, 105944.2, 105944.3)
    assert events[2] == Trade(
        "XBTUSD", parse_us("2023-10-06T17:35:55.440295Z"), 105944.2, 0.00027625, "10218208", 10218208
    )
    assert rise_by_one(events)


def test_a_snapshot_of_kraken_is_of_the_past_and_a_refusal_is_trouble() -> None:
    trade = {"symbol": "DOGE/USD", "price": 1, "qty": 2, "trade_id": 5, "timestamp": "2023-10-06T17:35:55Z"}
    (event,) = kraken_stream.read(json.dumps({"channel": "trade", "type": "snapshot", "data": [trade]}))
    assert isinstance(event, Trade)
    assert (event.symbol, event.past, event.sequence) == ("XDGUSD", True, 5)
    said = {"error": "Currency pair not supported A/B", "method": "subscribe", "success": False}
    assert kraken_stream.read(json.dumps(said)) == (Trouble("Kraken: Currency pair not supported A/B", fatal=True),)
    down = {"channel": "status", "type": "update", "data": [{"system": "maintenance"}]}
    assert kraken_stream.read(json.dumps(down)) == (Trouble("Kraken is not online: maintenance"),)


def test_recorded_trades_of_kraken_version_1(shared: Path) -> None:
    events = [e for m in messages(shared, "kraken", "ws_v1_trades") for e in kraken_stream.read_v1(m)]
    assert counts(events) == {"Acknowledged": 10, "Heartbeat": 30, "Trade": 10}
    trades = trades_of(events)
    assert {symbol: len(each) for symbol, each in trades.items()} == {"XMRUSD": 4, "SCEUR": 6}
    assert trades["XMRUSD"][0] == Trade("XMRUSD", 1618678142557535, 354.11, 0.89594024)
    assert format_us(trades["SCEUR"][1].time_us) == "2021-04-17T16:49:15.718950Z"
    books = [e for m in messages(shared, "kraken", "ws_v1_book1000") for e in kraken_stream.read_v1(m)]
    assert "Trade" not in counts(books)


def test_the_opening_messages_are_as_documented() -> None:
    (said,) = stream("binance").opening(["BTCUSDT"], {})
    assert json.loads(said) == {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade", "btcusdt@kline_1m"], "id": 1}
    (said,) = stream("coinbase").opening(["BTC-USD"], {})
    assert json.loads(said) == {
        "type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches", "heartbeat"],
    }  # fmt: skip
    (said,) = stream("kraken").opening(["XBTUSD", "XDGEUR"], {})
    assert json.loads(said) == {
        "method": "subscribe", "params": {"channel": "trade", "symbol": ["BTC/USD", "DOGE/EUR"]},
    }  # fmt: skip
    assert all(stream(each).gapless for each in ("binance", "coinbase", "kraken"))


@pytest.mark.parametrize("name", ["binance", "coinbase", "kraken"])
@pytest.mark.parametrize(
    "text",
    [
        "", "<html>", "1", "[1]", '{"e":"aggTrade"}', '{"type":"match"}', '{"channel":"trade"}', '{"channel":1,"data"',
        '{"type":"match","trade_id":"x"}', '{"channel":"trade","type":"update","data":[{"trade_id":1,"symbol":"/"}]}',
        '{"e":"kline","k":7}',
    ],
)  # fmt: skip
def test_a_message_that_is_not_as_documented_is_a_failure_or_nothing(name: str, text: str) -> None:
    with suppress(SourceFailed):
        assert stream(name).read(text) == ()


def test_a_time_needs_a_zone() -> None:
    assert time_of("2021-04-17T16:43:30.123456789Z") == parse_us("2021-04-17T16:43:30.123456Z")
    with pytest.raises(ValueError, match="has no zone"):
        time_of("2021-04-17T16:43:30")
