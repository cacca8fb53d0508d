"""The socket of Alpaca: trades, quotes and minutes of US shares as the exchange IEX has them.

Messages are arrays of `{T: ...}`: `t` a trade, `x` one taken back, `c` one put right (both come with the trades), `q` a
quote, `b` a minute that has ended, `u` the same with trades that came late, `subscription`, `success` and `error` with
a code. Times are RFC 3339 with nanoseconds.
Source: Alpaca documentation, real-time stock data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import msgspec

from tradewright.sources.rows import moments
from tradewright.sources.streams import (
    Acknowledged,
    Candle,
    Event,
    Stream,
    Ticker,
    Trade,
    Trouble,
    Withdrawn,
    objects_of,
    reading,
)

TITLE = "Alpaca"
MINUTE_US = 60_000_000
_FATAL = {
    400: "the message was malformed",
    401: "log in first",
    402: "check the credentials of the source 'alpaca'",
    405: "subscribe to fewer symbols",
    408: "the account has no access to this version of the stream",
    409: "the plan does not include it",
}
_PASSING = {
    403: "already logged in",
    404: "the login took too long",
    406: "another connection with this key is open: the plan allows one",
    407: "messages were not read fast enough",
    500: "try again later",
}


def opening(symbols: Sequence[str], credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Return the login and the subscription of trades and minutes."""
    login = {"action": "auth", "key": credentials["key_id"], "secret": credentials["secret_key"]}
    wanted = {"action": "subscribe"} | {channel: list(symbols) for channel in ("trades", "bars", "updatedBars")}
    return msgspec.json.encode(login).decode(), msgspec.json.encode(wanted).decode()


def read(text: str) -> tuple[Event, ...]:
    """Return what a message says; a quote with an empty side has no middle and says nothing."""
    return tuple(event for entry in objects_of(text, TITLE) if (event := _read(entry, text)) is not None)


def _read(entry: Mapping[str, Any], text: str) -> Event | None:
    with reading(text, TITLE):
        match entry["T"]:
            case "t":
                return Trade(str(entry["S"]), _time(entry), float(entry["p"]), float(entry["s"]), _id(entry, "i"))
            case "x":
                return Withdrawn(str(entry["S"]), _time(entry), _id(entry, "i"))
            case "c":
                return Withdrawn(str(entry["S"]), _time(entry), _id(entry, "oi"))
            case "q":
                bid, ask = float(entry["bp"]), float(entry["ap"])
                return Ticker(str(entry["S"]), _time(entry), (bid + ask) / 2, bid, ask) if bid > 0 < ask else None
            case "b" | "u":
                start_us = _time(entry)
                prices = tuple(float(entry[name]) for name in ("o", "h", "l", "c", "v"))
                return Candle(str(entry["S"]), start_us, start_us + MINUTE_US, *prices)
            case "subscription":
                return Acknowledged(tuple(sorted({*entry.get("trades", ()), *entry.get("bars", ())})))
            case "error":
                code = int(entry["code"])
                advice = _FATAL.get(code) or _PASSING.get(code, "unknown code")
                return Trouble(f"{TITLE}: {entry['msg']} ({code}): {advice}", fatal=code in _FATAL)
    return None


def _id(entry: Mapping[str, Any], name: str) -> str:
    return f"{entry.get('x', '')}/{entry[name]}"  # every exchange counts for itself


def _time(entry: Mapping[str, Any]) -> int:
    return moments([entry["t"]], TITLE)[0]


STREAM = Stream("wss://stream.data.alpaca.markets/v2/iex", opening, read, quiet_s=inf, per_connection=30)
