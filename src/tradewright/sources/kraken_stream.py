"""The socket of Kraken: trades and prices. Version 2 is used; `read_v1` reads what version 1 sent.

Version 2 sends objects: `{"channel": "trade", "type": "snapshot" | "update", "data": [...]}` with numbers and RFC 3339
times; `trade_id` rises by one for each pair, a snapshot holds the latest 50 trades. Version 1 sent arrays with the
channel and the pair at their end, prices as text, seconds with a fraction, and no ids.
Source: Kraken documentation, web socket versions 1 and 2, market data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from tradewright.errors import SourceFailed, UnknownName
from tradewright.sources.kraken_names import TITLE, instrument_of, symbol_of
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
    time_of,
)


def opening(symbols: Sequence[str], credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Return the subscription of trades."""
    pairs = [instrument_of(symbol).symbol.replace("-", "/") for symbol in symbols]
    wanted = {"method": "subscribe", "params": {"channel": "trade", "symbol": pairs}}
    return (msgspec.json.encode(wanted).decode(),)


def read(text: str) -> tuple[Event, ...]:
    """Return what a message of version 2 says; books are of no interest."""
    with reading(text, TITLE):
        return tuple(event for message in objects_of(text, TITLE) for event in _events(message))


def read_v1(text: str) -> tuple[Event, ...]:
    """Return what a message of version 1 says; books are of no interest."""
    try:
        message = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SourceFailed(f"{TITLE} sent a message that is not JSON: {text[:120]!r}") from error
    with reading(text, TITLE):
        if isinstance(message, list):
            if message[-2] != "trade":
                return ()
            symbol = _symbol(message[-1])
            return tuple(
                Trade(symbol, round(float(moment) * 1_000_000), float(price), float(size))
                for price, size, moment, *_ in message[1]
            )
        match message["event"]:
            case "heartbeat" | "pong":
                return (Heartbeat(),)
            case "subscriptionStatus" if message["status"] == "error":
                return (Trouble(f"{TITLE}: {message['errorMessage']}", fatal=True),)
            case "subscriptionStatus":
                return (Acknowledged((_symbol(message["pair"]),)),)
            case "systemStatus" if message["status"] != "online":
                return (Trouble(f"{TITLE} is not online: {message['status']}"),)
    return ()


def _events(message: Mapping[str, Any]) -> tuple[Event, ...]:
    if "method" in message:
        return _answered(message)
    match message["channel"]:
        case "heartbeat":
            return (Heartbeat(),)
        case "trade":
            past = message["type"] == "snapshot"
            return tuple(_trade(each, past) for each in message["data"])
        case "ticker":
            return tuple(_ticker(each) for each in message["data"] if "timestamp" in each)
        case "status":
            down = [str(each["system"]) for each in message["data"] if each["system"] != "online"]
            return tuple(Trouble(f"{TITLE} is not online: {each}") for each in down)
    return ()


def _answered(message: Mapping[str, Any]) -> tuple[Event, ...]:
    if message["method"] == "pong":
        return (Heartbeat(),)
    if not message["success"]:
        return (Trouble(f"{TITLE}: {message['error']}", fatal="not supported" in message["error"]),)
    return (Acknowledged((_symbol(message["result"]["symbol"]),)),) if message["method"] == "subscribe" else ()


def _trade(entry: Mapping[str, Any], past: bool) -> Trade:
    number = int(entry["trade_id"])
    price, size = float(entry["price"]), float(entry["qty"])
    return Trade(_symbol(entry["symbol"]), time_of(entry["timestamp"]), price, size, str(number), number, past)


def _ticker(entry: Mapping[str, Any]) -> Ticker:
    price, bid, ask = (float(entry[name]) for name in ("last", "bid", "ask"))
    return Ticker(_symbol(entry["symbol"]), time_of(entry["timestamp"]), price, bid, ask)


@lru_cache(4_096)
def _symbol(name: str) -> str:
    try:
        return symbol_of(instrument_of(name))
    except UnknownName as error:
        raise ValueError(error.message) from error


STREAM = Stream(
    "wss://ws.kraken.com/v2", opening, read, gapless=True, ping='{"method":"ping"}', ping_s=30.0, quiet_s=30.0
)
