"""Recorded sockets of OKX and Bybit say what a person reads in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from recorded import messages
from tradewright.errors import SourceFailed
from tradewright.sources import bybit_stream, okx_stream
from tradewright.sources.streams import Acknowledged, Candle, Event, Heartbeat, Ticker, Trade, Trouble


def counts(events: Iterable[Event]) -> dict[str, int]:
    return dict(Counter(type(event).__name__ for event in events))


def test_recorded_trades_and_prices_of_okx(shared: Path) -> None:
    events = [e for m in messages(shared, "okx", "ws_v5_tickers_trades") for e in okx_stream.read(m)]
    trades = [e for e in events if isinstance(e, Trade)]
    assert counts(events) == {"Acknowledged": 18, "Ticker": 28, "Trade": len(trades)}
    assert len(trades) >= 74
    assert trades[0] == Trade("BTC-USD-220527", 1652459199958000, 30218.8, 1.0, "7849", 7849)
    ticker = next(e for e in events if isinstance(e, Ticker))
    assert ticker == Ticker("BTC-USD-220527", 1652459223003000, 30218.8, 30210.4, 30220.1)
    bitcoin = [trade.sequence or 0 for trade in trades if trade.symbol == "BTC-USDT"]
    assert bitcoin == list(range(bitcoin[0], bitcoin[0] + len(bitcoin)))


def test_other_recorded_messages_of_okx(shared: Path) -> None:
    events = [e for m in messages(shared, "okx", "ws_v5") for e in okx_stream.read(m)]
    assert events == [
        Ticker("BTC-USDT", 1597026383085000, 9999.99, 8888.88, 9999.99),
        Trade("BTC-USD", 1630048897897000, 42219.9, 0.12060306, "130639474", 130639474),
    ]
    assert okx_stream.read("pong") == (Heartbeat(),)
    assert okx_stream.read('{"event":"error","code":"60018","msg":"does not exist"}') == (
        Trouble("OKX spot: does not exist (60018)", fatal=True),
    )
    assert okx_stream.read('{"event":"notice","code":"64008","msg":"upgrade"}') == (
        Trouble("OKX spot: upgrade (64008)"),
    )


def test_recorded_messages_of_bybit(shared: Path) -> None:
    events = [e for m in messages(shared, "bybit", "ws_v5") for e in bybit_stream.read(m)]
    assert events == [
        Acknowledged(),
        Trouble("Bybit spot: Invalid topic: invalid.topic.BTCUSDT", fatal=True),
        Ticker("BTCUSDT", 1673272861686000, 17216.0, 17215.5, 17216.0),
    ]
    books = [e for m in messages(shared, "bybit", "ws_v5_orderbook500") for e in bybit_stream.read(m)]
    assert not any(isinstance(e, Trade | Candle | Ticker) for e in books)


def test_documented_messages_of_bybit() -> None:
    trade = {"T": 1672304486865, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "16578.50", "i": "2100000000"}
    assert (
        bybit_stream.read(json.dumps({"topic": "publicTrade.BTCUSDT", "data": [trade, trade]}))
        == (Trade("BTCUSDT", 1672304486865000, 16578.5, 0.001, "2100000000"),) * 2
    )
    minute = {
        "start": 1672324800000, "end": 1672324859999, "open": "1", "high": "4", "low": "1", "close": "3", "volume": "5",
    }  # fmt: skip
    said = {"topic": "kline.1.BTCUSDT", "data": [minute | {"confirm": False}, minute | {"confirm": True}]}
    assert bybit_stream.read(json.dumps(said)) == (
        Candle("BTCUSDT", 1672324800000000, 1672324860000000, 1.0, 4.0, 1.0, 3.0, 5.0),
    )
    assert bybit_stream.read('{"success":true,"ret_msg":"pong","op":"ping"}') == (Heartbeat(),)


def test_the_opening_messages_are_as_documented() -> None:
    (said,) = okx_stream.opening(["BTC-USDT"], {})
    assert json.loads(said) == {"op": "subscribe", "args": [{"channel": "trades", "instId": "BTC-USDT"}]}
    parts = [json.loads(each) for each in bybit_stream.opening([f"C{n}USDT" for n in range(6)], {})]
    assert [len(part["args"]) for part in parts] == [10, 2]
    assert parts[0]["args"][:2] == ["publicTrade.C0USDT", "kline.1.C0USDT"]


@pytest.mark.parametrize("module", [okx_stream, bybit_stream])
@pytest.mark.parametrize(
    "text",
    [
        "", "<html>", "1", "[1]", "{}", '{"arg":{"channel":"trades"},"data":[{}]}', '{"arg":1}', '{"event":"error"}',
        '{"topic":"publicTrade.X","data":[{"T":"x"}]}', '{"topic":1}', '{"op":"subscribe"}',
    ],
)  # fmt: skip
def test_a_message_that_is_not_as_documented_is_a_failure_or_nothing(module: object, text: str) -> None:
    with suppress(SourceFailed):
        assert module.read(text) == ()  # type: ignore[attr-defined]
