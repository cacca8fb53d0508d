"""Time as it is handled here: aware UTC datetimes at the border, integer microseconds since 1970 (`_us`) inside.

Wall time always comes from a `Clock` that was handed in; market time is a value inside the data.
"""

from __future__ import annotations

import time as _time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from tradewright.errors import InvalidInput

DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Where wall time comes from."""

    def now_us(self) -> int: ...


class WallClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return _time.time_ns() // 1_000


class FixedClock:
    """A clock for tests: stands still until it is moved."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def advance(self, seconds: float) -> None:
        self._now_us += round(seconds * 1_000_000)


def to_us(moment: datetime) -> int:
    """Return microseconds since 1970. Raises InvalidInput for a datetime without a zone."""
    if moment.tzinfo is None:
        raise InvalidInput(f"the time {moment.isoformat()} has no time zone; add one, for example +00:00")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """Return the aware UTC datetime of `us` microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)


@lru_cache(16_384)
def format_us(us: int) -> str:
    """Return RFC 3339 with `Z`, without a fraction when it is zero."""
    text = from_us(us).replace(tzinfo=None).isoformat(timespec="microseconds" if us % 1_000_000 else "seconds")
    return text + "Z"


def parse_us(text: str) -> int:
    """Return microseconds for an RFC 3339 time, or for a bare date (its midnight UTC). Raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is not a time; write it like 2024-03-28T20:00:00Z or 2024-03-28") from error
    if len(text) == 10:
        moment = moment.replace(tzinfo=UTC)
    return to_us(moment)
