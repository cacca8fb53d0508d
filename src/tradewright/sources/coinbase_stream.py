"""The socket of Coinbase Exchange: trades and prices.

Messages are objects with a `type`: `match` is a trade, `last_match` the one before the subscription began, `ticker` a
price after a trade, `heartbeat` comes every second where it was asked for and says the `last_trade_id` of its product.
`trade_id` rises by one for each product; `sequence` counts orders too and has gaps. Books (`snapshot`, `l2update`) are
of no interest.
Source: Coinbase Exchange documentation, web socket channels.
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
    time_of,
)

TITLE = "Coinbase Exchange"


def opening(symbols: Sequence[str], credentials: Mapping[str, str]) -> tuple[str, ...]:
    """Return the subscription of trades and heartbeats."""
    wanted = {"type": "subscribe", "product_ids": list(symbols), "channels": ["matches", "heartbeat"]}
    return (msgspec.json.encode(wanted).decode(),)


def read(text: str) -> tuple[Event, ...]:
    """Return what a message says."""
    with reading(text, TITLE):
        return tuple(event for each in objects_of(text, TITLE) if (event := _event(each)) is not None)


def _event(message: Mapping[str, Any]) -> Event | None:
    match message["type"]:
        case "match" | "last_match" as kind:
            number, past = int(message["trade_id"]), kind == "last_match"
            price, size, time_us = float(message["price"]), float(message["size"]), time_of(message["time"])
            return Trade(str(message["product_id"]), time_us, price, size, str(number), number, past)
        case "ticker":
            if "time" not in message:  # of a product that has not traded yet
                return None
            price, bid, ask = (float(message[name]) for name in ("price", "best_bid", "best_ask"))
            return Ticker(str(message["product_id"]), time_of(message["time"]), price, bid, ask)
        case "heartbeat":
            number = int(message.get("last_trade_id", 0))  # 0 for a product that has not traded yet
            if number == 0 or "product_id" not in message:
                return Heartbeat()
            return Heartbeat(symbol=str(message["product_id"]), sequence=number)
        case "subscriptions":
            listed = (each["product_ids"] for each in message["channels"])
            return Acknowledged(tuple(sorted({str(name) for names in listed for name in names})))
        case "error":
            said = f"{message['message']} {message.get('reason', '')}".strip()
            return Trouble(f"{TITLE}: {said}", fatal="subscribe" in message["message"])
    return None


STREAM = Stream("wss://ws-feed.exchange.coinbase.com", opening, read, gapless=True, quiet_s=15.0)
