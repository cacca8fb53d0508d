"""The public socket of OKX: trades and prices.

Messages are `{"arg": {"channel", "instId"}, "data": [...]}`, texts throughout, times in milliseconds; `event` answers
what we send, `notice` announces that the connection ends. One entry of `trades` may stand for several trades of one
order, so that `tradeId` rises but not always by one. It wants the plain text `ping` and answers `pong`.
Source: OKX API v5 documentation, web socket, public channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tradewright.sources.streams import (
    Acknowledged,
    Event,
    Heartbeat,
    Stream,
    Ticker,
    Trade,
    Trouble,
    objects_of,
    reading,
)

TITLE = "OKX spot"
_MILLISECOND = 1_000
_FATAL = ("60012", "60013", "60018")  # a request, arguments or a channel that it does not know


def opening(symbols: Sequence[str], credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Return the subscription of trades."""
    wanted = {"op": "subscribe", "args": [{"channel": "trades", "instId": symbol} for symbol in symbols]}
    return (msgspec.json.encode(wanted).decode(),)


def read(text: str) -> tuple[Event, ...]:
    """Return what a message says; books and candles are of no interest."""
    if text == "pong":
        return (Heartbeat(),)
    with reading(text, TITLE):
        return tuple(event for message in objects_of(text, TITLE) for event in _events(message))


def _events(message: Mapping[str, Any]) -> tuple[Event, ...]:
    match message.get("event"):
        case "subscribe":
            return (Acknowledged((str(message["arg"]["instId"]),)),)
        case "error" | "notice":
            code = str(message.get("code", ""))
            return (Trouble(f"{TITLE}: {message['msg']} ({code})", fatal=code in _FATAL),)
        case str():
            return ()
    match message["arg"]["channel"]:
        case "trades":
            return tuple(_trade(each) for each in message["data"])
        case "tickers":
            return tuple(_ticker(each) for each in message["data"])
    return ()


def _trade(entry: Mapping[str, Any]) -> Trade:
    number, time_us = int(entry["tradeId"]), int(entry["ts"]) * _MILLISECOND
    return Trade(str(entry["instId"]), time_us, float(entry["px"]), float(entry["sz"]), str(number), number)


def _ticker(entry: Mapping[str, Any]) -> Ticker:
    bid, ask = (float(entry[side]) if entry[side] else None for side in ("bidPx", "askPx"))
    return Ticker(str(entry["instId"]), int(entry["ts"]) * _MILLISECOND, float(entry["last"]), bid, ask)


STREAM = Stream("wss://ws.okx.com:8443/ws/v5/public", opening, read, ping="ping", ping_s=20.0, quiet_s=45.0)
