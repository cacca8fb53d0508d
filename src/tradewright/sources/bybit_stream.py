"""The public socket of Bybit for spot: trades, closed minutes and prices.

Messages are `{"topic", "type", "ts", "data"}`: `publicTrade.` holds trades, `kline.1.` a minute, complete only where
`confirm` is true, `tickers.` a price. Answers to what we send have an `op`; at most ten topics go into one request.
Source: Bybit API v5 documentation, web socket stream, public.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tradewright.sources.streams import (
    Acknowledged,
    Candle,
    Event,
    Heartbeat,
    Stream,
    Ticker,
    Trade,
    Trouble,
    objects_of,
    reading,
)

TITLE = "Bybit spot"
TOPICS_AT_ONCE = 10
_MILLISECOND = 1_000


def opening(symbols: Sequence[str], credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Return the subscriptions of trades and minutes."""
    topics = [f"{kind}.{symbol}" for symbol in symbols for kind in ("publicTrade", "kline.1")]
    parts = (topics[at : at + TOPICS_AT_ONCE] for at in range(0, len(topics), TOPICS_AT_ONCE))
    return tuple(msgspec.json.encode({"op": "subscribe", "args": part}).decode() for part in parts)


def read(text: str) -> tuple[Event, ...]:
    """Return what a message says; minutes that still run and books are of no interest."""
    with reading(text, TITLE):
        return tuple(event for message in objects_of(text, TITLE) for event in _events(message))


def _events(message: Mapping[str, Any]) -> tuple[Event, ...]:
    if "op" in message:
        return _answered(message)
    kind, _, rest = message["topic"].partition(".")
    match kind:
        case "publicTrade":
            return tuple(_trade(each) for each in message["data"])
        case "kline" if rest.startswith("1."):
            return tuple(_candle(rest[2:], each) for each in message["data"] if each["confirm"] is True)
        case "tickers" if "lastPrice" in message["data"]:
            return (_ticker(message["data"], int(message["ts"])),)
    return ()


def _answered(message: Mapping[str, Any]) -> tuple[Event, ...]:
    if message["op"] in ("ping", "pong"):
        return (Heartbeat(),)
    if message["success"] is not True:
        return (Trouble(f"{TITLE}: {message['ret_msg']}", fatal=True),)
    return (Acknowledged(),) if message["op"] == "subscribe" else ()


def _trade(entry: Mapping[str, Any]) -> Trade:
    time_us = int(entry["T"]) * _MILLISECOND
    return Trade(str(entry["s"]), time_us, float(entry["p"]), float(entry["v"]), str(entry["i"]))


def _candle(symbol: str, minute: Mapping[str, Any]) -> Candle:
    start_us, end_us = int(minute["start"]) * _MILLISECOND, (int(minute["end"]) + 1) * _MILLISECOND
    values = tuple(float(minute[name]) for name in ("open", "high", "low", "close", "volume"))
    return Candle(symbol, start_us, end_us, *values)


def _ticker(entry: Mapping[str, Any], at_ms: int) -> Ticker:
    bid, ask = (float(entry[side]) if entry.get(side) else None for side in ("bid1Price", "ask1Price"))
    return Ticker(str(entry["symbol"]), at_ms * _MILLISECOND, float(entry["lastPrice"]), bid, ask)


STREAM = Stream("wss://stream.bybit.com/v5/public/spot", opening, read, ping='{"op":"ping"}')
