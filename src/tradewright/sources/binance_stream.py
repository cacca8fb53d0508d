"""The socket of Binance: trades, closed minutes and prices, of the spot market and in the same form of others.

Messages are `{"stream", "data": {"e": ...}}`, or the data alone: `aggTrade` is one or several trades of one order at
one price, whose number `a` rises by one for each symbol; `kline` is a minute, complete only where `x` is true;
`24hrTicker` a price. Answers to what we send have an `id`. Times are in milliseconds, prices texts.
Source: Binance spot documentation, web socket streams.
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

TITLE = "Binance spot"
SUBSCRIBED, PINGED = 1, 2  # ids of what we send
_MILLISECOND = 1_000


def opening(symbols: Sequence[str], credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Return the subscription of trades and minutes."""
    streams = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in ("aggTrade", "kline_1m")]
    return (msgspec.json.encode({"method": "SUBSCRIBE", "params": streams, "id": SUBSCRIBED}).decode(),)


def read(text: str) -> tuple[Event, ...]:
    """Return what a message says; minutes that still run, books and marks are of no interest."""
    with reading(text, TITLE):
        return tuple(event for each in objects_of(text, TITLE) if (event := _event(each)) is not None)


def _event(message: Mapping[str, Any]) -> Event | None:
    if "error" in message or "code" in message:
        error = message.get("error") or message
        return Trouble(f"{TITLE}: {error['msg']} ({error['code']})", fatal=True)
    if "result" in message:
        return Acknowledged() if message["id"] == SUBSCRIBED else Heartbeat()
    data = message.get("data", message)
    match data.get("e"):
        case "aggTrade":
            number, time_us = int(data["a"]), int(data["T"]) * _MILLISECOND
            return Trade(str(data["s"]), time_us, float(data["p"]), float(data["q"]), str(number), number)
        case "kline" if data["k"]["x"] is True and data["k"]["i"] == "1m":
            return _candle(data["k"])
        case "24hrTicker":
            bid, ask = (float(data[side]) if side in data else None for side in ("b", "a"))
            return Ticker(str(data["s"]), int(data["E"]) * _MILLISECOND, float(data["c"]), bid, ask)
    return None


def _candle(minute: Mapping[str, Any]) -> Candle:
    start_us, end_us = int(minute["t"]) * _MILLISECOND, (int(minute["T"]) + 1) * _MILLISECOND
    opened, high, low, close, volume = (float(minute[name]) for name in ("o", "h", "l", "c", "v"))
    return Candle(str(minute["s"]), start_us, end_us, opened, high, low, close, volume)


STREAM = Stream(
    "wss://stream.binance.com:9443/stream",
    opening,
    read,
    gapless=True,
    ping=msgspec.json.encode({"method": "LIST_SUBSCRIPTIONS", "id": PINGED}).decode(),
    ping_s=30.0,
    per_connection=200,
)
