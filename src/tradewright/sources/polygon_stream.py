"""The socket of Polygon (Massive): trades and minutes of US shares.

Messages are arrays of `{ev: ...}`: `T` a trade (t in milliseconds), `AM` a minute that has ended (s, e), `status`.
Source: Massive web socket documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import msgspec

from tradewright.sources.streams import Acknowledged, Candle, Event, Stream, Trade, Trouble, objects_of, reading

TITLE = "Polygon (Massive)"
_FATAL = frozenset({"auth_failed", "auth_timeout"})


def opening(symbols: Sequence[str], credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Return the login and the subscription of trades and minutes."""
    login = {"action": "auth", "params": credentials["api_key"]}
    wanted = {
        "action": "subscribe",
        "params": ",".join(f"{channel}.{symbol}" for symbol in symbols for channel in ("T", "AM")),
    }
    return msgspec.json.encode(login).decode(), msgspec.json.encode(wanted).decode()


def read(text: str) -> tuple[Event, ...]:
    """Return what a message says."""
    return tuple(event for entry in objects_of(text, TITLE) if (event := _read(entry, text)) is not None)


def _read(entry: Mapping[str, Any], text: str) -> Event | None:
    with reading(text, TITLE):
        match entry["ev"]:
            case "T":
                time_us, price, size = int(entry["t"]) * 1_000, float(entry["p"]), float(entry["s"])
                number = entry.get("q")
                return Trade(
                    str(entry["sym"]), time_us, price, size, _id(entry), None if number is None else int(number)
                )
            case "AM":
                prices = tuple(float(entry[name]) for name in ("o", "h", "l", "c", "v"))
                return Candle(str(entry["sym"]), int(entry["s"]) * 1_000, int(entry["e"]) * 1_000, *prices)
            case "status":
                return _status(str(entry["status"]), str(entry.get("message", "")))
    return None


def _id(entry: Mapping[str, Any]) -> str:
    # a number of its own for every exchange and every facility that reports to one
    return "/".join(str(entry.get(name, "")) for name in ("x", "trfi", "i")) if entry.get("i") else ""


def _status(status: str, said: str) -> Event | None:
    if status in ("connected", "auth_success"):
        return None
    _, colon, channels = said.partition("subscribed to: ")
    if status == "success":
        return Acknowledged(tuple(each.partition(".")[2] for each in channels.split(","))) if colon else None
    return Trouble(f"{TITLE}: {status}: {said}", fatal=status in _FATAL or "not authorized" in said)


STREAM = Stream("wss://socket.polygon.io/stocks", opening, read, quiet_s=inf, per_connection=1_000)
