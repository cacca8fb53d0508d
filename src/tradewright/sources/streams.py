"""The port of a stream: pure functions between the messages of a socket and what happened in a market."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

import msgspec

from tradewright.clock import to_us
from tradewright.errors import SourceFailed


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. time_us: by the source. sequence: of the source, ascending by one for each symbol where
    `gapless`, None where it has none. id: of the trade at the source, "" for none. past: it happened before the
    subscription began, so it may have come already: it is counted only by whoever knows its sequence to be new."""

    symbol: str
    time_us: int
    price: float
    size: float
    id: str = ""
    sequence: int | None = None
    past: bool = False


@dataclass(frozen=True, slots=True)
class Candle:
    """A bar that the source itself closed. start_us: of the bar."""

    symbol: str
    start_us: int
    end_us: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Ticker:
    """The latest price. bid, ask: None where it does not say."""

    symbol: str
    time_us: int
    price: float
    bid: float | None = None
    ask: float | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A trade that the source has told does not count, or not as it was told. id: of that trade. time_us: of the
    message; a source may stamp it with the trade or with the moment it was taken back."""

    symbol: str
    time_us: int
    id: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The source has taken a subscription. symbols: which, () for all that were asked for."""

    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life that carries no data. answer: what must be sent back, "" for nothing. symbol, sequence: the number
    of the latest trade of that symbol, where the source says it."""

    answer: str = ""
    symbol: str = ""
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """The source refuses something. fatal: connecting again with the same does not help."""

    said: str
    fatal: bool = False


Event = Trade | Candle | Ticker | Withdrawn | Acknowledged | Heartbeat | Trouble


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of a source. url: of the socket; address: the environment variable that says otherwise is
    TRADEWRIGHT_<NAME>_STREAM_URL.

    opening: the messages to send once connected, in order (login included; credentials are {} for a keyless source).
    query: pairs for the address of the socket, where a source wants the key there.
    read: what a message says, in its order; () for what is of no interest; raises SourceFailed for what is not
    documented. gapless: Trade.sequence rises by exactly one per symbol. acknowledges: it answers a subscription. ping:
    what to send so that the source keeps the connection, "" for nothing; ping_s: how often. quiet_s: after how long
    without any message the connection counts as dead, inf where none may come for hours and only the socket's own pings
    show that it stands. per_connection: most symbols of one connection.
    """

    url: str
    opening: Callable[[Sequence[str], Mapping[str, str]], tuple[str, ...]]
    read: Callable[[str], tuple[Event, ...]]
    query: Callable[[Mapping[str, str]], tuple[tuple[str, str], ...]] = lambda credentials: ()
    gapless: bool = False
    acknowledges: bool = True
    ping: str = ""
    ping_s: float = 20.0
    quiet_s: float = 60.0
    per_connection: int = 100


def fault_of(event: Event) -> str:
    """Return why a trade, candle or price cannot be, "" where it can and for every other event. A size may be 0: some
    markets do not tell it."""
    if isinstance(event, Trade):
        if not 0.0 < event.price < inf:
            return f"its price is {event.price}"
        return "" if 0.0 <= event.size < inf else f"its size is {event.size}"
    if isinstance(event, Ticker):
        return "" if 0.0 < event.price < inf else f"its price is {event.price}"
    if not isinstance(event, Candle):
        return ""
    prices = (event.open, event.high, event.low, event.close)
    if not all(0.0 < price < inf for price in prices):
        return f"its prices are {prices}"
    if event.low != min(prices) or event.high != max(prices):
        return f"its low and high do not hold its prices {prices}"
    return "" if 0.0 <= event.volume < inf else f"its volume is {event.volume}"


def objects_of(text: str, title: str) -> list[Mapping[str, Any]]:
    """Return the objects of a message that is one or an array of them. Raises SourceFailed for anything else."""
    try:
        body = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SourceFailed(f"{title} sent a message that is not JSON: {text[:120]!r}") from error
    listed = body if isinstance(body, list) else [body]
    if not all(isinstance(each, dict) for each in listed):
        raise SourceFailed(f"{title} sent a message that is no object: {text[:120]!r}; its API may have changed")
    return listed


def time_of(text: str) -> int:
    """Return the moment of an RFC 3339 text in microseconds; finer digits are cut. Raises ValueError, without a zone
    too."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text!r} has no zone")
    return to_us(moment)


@contextmanager
def reading(text: str, title: str) -> Iterator[None]:
    """Turn what reading a message raises when it is not as documented into SourceFailed."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise SourceFailed(f"{title} sent {text[:120]!r}, which cannot be read; its API may have changed") from error
