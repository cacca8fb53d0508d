"""Types that several resources answer with, and the crossings to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from tradewright.api.names import NAME
from tradewright.api.operations import Call
from tradewright.api.problems import Refused
from tradewright.api.routing import ID_PATTERN
from tradewright.clock import format_us, to_us
from tradewright.ids import Owner
from tradewright.market.instruments import Interval
from tradewright.storage import runs, series
from tradewright.storage.types import plain

R = TypeVar("R")
_STALE_S = 60.0
# `\Z` is the end to Python, whose `$` also stands before a last line feed; the document has `$` for it
_NAME = r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f-\xa0])?\Z"
_AMOUNT = "a number written in digits, up to 20 before the point and 18 after it"
_ID = "an id: 1 to 64 letters, digits and signs out of _ . : @ + & ~ -"
Amount = Annotated[
    str, msgspec.Meta(pattern=r"^-?[0-9]{1,20}(\.[0-9]{1,18})?\Z", examples=["1000000"], extra={"words": _AMOUNT})
]
Currency = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Z0-9]{3,10}\Z",
        examples=["USD"],
        extra={"words": "the code of a currency, 3 to 10 capitals and digits"},
    ),
]
CredentialName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_]{0,63}\Z",
        examples=["api_key"],
        extra={"words": "a small letter, then up to 63 small letters, digits and _"},
    ),
]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
INSTRUMENT_PATTERN = "[a-z]{2,12}:[A-Z0-9][A-Z0-9.&-]{0,31}"
InstrumentId = Annotated[
    str,
    msgspec.Meta(
        min_length=3,
        max_length=48,
        pattern=rf"^{INSTRUMENT_PATTERN}\Z",
        examples=["equity:AAPL"],
        extra={"words": "the id of an instrument, a class and a symbol"},
    ),
]
Id = Annotated[
    str, msgspec.Meta(pattern=rf"^{ID_PATTERN}\Z", examples=["prt_01k3v9h2m4qzt6x8b0c2d4e6f8"], extra={"words": _ID})
]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=_NAME, examples=["growth"], extra=NAME)]
Rfc3339 = Annotated[str, msgspec.Meta(examples=["2024-03-28T20:00:00Z"], extra_json_schema={"format": "date-time"})]
IntervalName = Literal["1m", "5m", "15m", "1h", "1d"]
SeriesInterval = Literal["1m", "5m", "15m", "1h", "1d", "fact"]
"""Of a series: `fact` stands for what is no bar."""
VerdictName = Literal["clean", "usable", "suspect", "rejected"]
"""How far data can be trusted, worst last."""
SourceName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Feed(msgspec.Struct, frozen=True):
    """Where the rows of this environment come from. time: of the newest row. age_s: of a live feed, how old that row
    is; of a replay, whose market time is past, how long ago it was played; null before the first. status: running,
    degraded, stopped, ended, or stale: a live feed that should have had a newer row by now."""

    mode: Literal["live", "replay"]
    status: Annotated[str, msgspec.Meta(examples=["running"])]
    time: Rfc3339 | None
    age_s: Annotated[float, msgspec.Meta(ge=0, examples=[3.2])] | None


async def session_of(call: Call) -> Mapping[str, Any] | None:
    """Return the feed session of the caller's environment, None when there never was one."""
    return await call.services.glances.read(runs.latest_feed_session, *call.tenant)


async def feed_of(call: Call) -> Feed | None:
    """Return the state of the feed of the caller's environment, None when there never was one."""
    return feed_seen(await session_of(call), call.services.clock.now_us())


def feed_seen(row: Mapping[str, Any] | None, now_us: int) -> Feed | None:
    """Return the state of a feed session at a moment, None for none."""
    return None if row is None else feed_at(row, now_us)


def feed_at(row: Mapping[str, Any], now_us: int) -> Feed:
    """Return the state of a feed session at a moment."""
    market_time = row["market_time"]
    newest = market_time if row["mode"] == "live" and market_time is not None else row["updated_at"]
    age = max(0.0, (now_us - newest) / 1e6)
    stale = row["mode"] == "live" and row["status"] == "running" and age > _due_s(row["interval"])
    return Feed(
        mode=row["mode"],
        status="stale" if stale else row["status"],
        time=None if market_time is None else format_us(market_time),
        age_s=None if market_time is None else round(age, 3),
    )


def _due_s(interval: str) -> float:
    return 2 * Interval.parse(interval).us / 1e6 + _STALE_S


async def market_time_of(call: Call) -> int | None:
    """Return the market time of a replay in the caller's environment: nothing later may be shown or learned from."""
    return market_time(await session_of(call))


def market_time(session: Mapping[str, Any] | None) -> int | None:
    """Return how far a replay, or a live feed that has ended, has come; None for one that goes on, or for none."""
    if session is None or (session["mode"] == "live" and session["status"] != "ended"):
        return None
    return int(session["market_time"] if session["market_time"] is not None else session["start_time"])


async def sources_of_feed(call: Call) -> Mapping[str, str]:
    """Return the source of each instrument that the feed of the caller's environment shows."""
    return await sources_of(call, await session_of(call))


async def sources_of(call: Call, row: Mapping[str, Any] | None) -> Mapping[str, str]:
    """Return the source of each instrument that a feed session shows."""
    if row is None:
        return {}
    owner = Owner(call.principal.organization)
    found = await call.services.glances.read(series.get_data_set, owner, row["data_set"])
    return {} if found is None else {member["instrument"]: member["source"] for member in found["series"]}


def moment(us: int | None) -> str | None:
    """Return a time as it is written, None for None."""
    return None if us is None else format_us(us)


def micros(value: datetime | None) -> int | None:
    """Return microseconds, None for None."""
    return None if value is None else to_us(value)


def amount(value: Decimal) -> str:
    """Return a decimal as it is written."""
    return plain(value)


def found(row: R | None, what: str, key: str) -> R:
    """Return the row. Raises Refused when there is none for this caller."""
    if row is None:
        raise Refused(
            "not_found", f"there is no {what} {key!r} in this environment; check the id, and which environment you call"
        )
    return row
