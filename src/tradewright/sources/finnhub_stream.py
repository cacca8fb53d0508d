"""The socket of Finnhub: trades of shares, currencies and coins.

A message is an object: `trade` with a list of `{s, p, t, v, c}` (t in milliseconds, several may share one), `ping`,
`error`.
Source: Finnhub web socket documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import msgspec

from tradewright.sources.streams import Event, Heartbeat, Stream, Trade, Trouble, objects_of, reading

TITLE = "Finnhub"
_FATAL = ("api key", "too many symbols", "invalid token")


def query(credentials: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the key, which Finnhub wants in the address."""
    return (("token", credentials["api_key"]),)


def opening(symbols: Sequence[str], credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Return a subscription for each symbol."""
    return tuple(msgspec.json.encode({"type": "subscribe", "symbol": symbol}).decode() for symbol in symbols)


def read(text: str) -> tuple[Event, ...]:
    """Return what a message says."""
    events: list[Event] = []
    with reading(text, TITLE):
        for message in objects_of(text, TITLE):
            match message["type"]:
                case "trade":
                    events += [
                        Trade(str(each["s"]), int(each["t"]) * 1_000, float(each["p"]), float(each["v"]))
                        for each in message["data"]
                    ]
                case "ping":
                    events.append(Heartbeat())
                case "error":
                    said = str(message["msg"])
                    fatal = any(word in said.lower() for word in _FATAL)
                    events.append(Trouble(f"{TITLE}: {said}; subscribe to fewer symbols or check the key", fatal))
    return tuple(events)


STREAM = Stream("wss://ws.finnhub.io", opening, read, query=query, acknowledges=False, quiet_s=inf, per_connection=50)
