"""When markets are open: session closes and the times at which bars are expected, by exchange calendar name.

Sessions come from `exchange_calendars`, imported on first use because it brings pandas; "24/7" needs no library.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np

from tradewright.clock import DAY_US, from_us
from tradewright.errors import InvalidInput, UnknownName
from tradewright.market.arrays import Times
from tradewright.market.instruments import Interval

ALWAYS = "24/7"
FIRST_SESSION = "1970-01-01"


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Every session of a calendar: `days` since 1970, `opens_us` and `closes_us` in UTC microseconds, ascending."""

    days: Times
    opens_us: Times
    closes_us: Times


def calendar_of(instrument: str) -> str:
    """Return the calendar that an instrument id implies: its MIC, XNYS for other equities and indices, 24/5 for fx."""
    kind, _, symbol = instrument.partition(":")
    if kind == "equity" and "." in symbol:
        mic = symbol.rpartition(".")[2]
        if len(mic) == 4:
            return mic
    return {"equity": "XNYS", "index": "XNYS", "fx": "24/5"}.get(kind, ALWAYS)


def close_of(calendar: str, dates: Sequence[date] | np.ndarray[Any, Any]) -> Times:
    """Return the moment each trading day is complete, in microseconds, half days included.

    dates: dates or datetime64 values, any order. A day without a session gets the close of the session before it,
    moved by whole days: such a row is not on the calendar and the checks say so. Raises UnknownName for a calendar
    that does not exist, InvalidInput for a day before the calendar begins.
    """
    days = np.asarray(dates, dtype="datetime64[D]").astype(np.int64)
    if calendar == ALWAYS:
        return np.asarray((days + 1) * DAY_US, dtype=np.int64)
    known = sessions(calendar)
    at = np.searchsorted(known.days, days, side="right") - 1
    if len(at) and int(at.min()) < 0:
        first = from_us(int(known.days[0]) * DAY_US).date()
        raise InvalidInput(f"calendar {calendar} begins on {first}; {dates[int(at.argmin())]} lies before it")
    return np.asarray(known.closes_us[at] + (days - known.days[at]) * DAY_US, dtype=np.int64)


def expected_times(calendar: str, interval: Interval, start_us: int, end_us: int) -> Times:
    """Return the times (bar ends) expected in start_us..end_us, both included, ascending, (k,) microseconds.

    Inside a session the last bar ends with the session, also where the interval does not divide it. Raises UnknownName
    for a calendar that does not exist.
    """
    step = interval.us
    if calendar == ALWAYS:
        first = -(-start_us // step) * step
        return np.arange(first, end_us + 1, step, dtype=np.int64)
    known = sessions(calendar)
    if interval is Interval.DAY:
        ends = known.closes_us
    else:
        near = (known.closes_us >= start_us) & (known.opens_us <= end_us)
        opens, closes = known.opens_us[near], known.closes_us[near]
        bars = -(-(closes - opens) // step)
        session = np.repeat(np.arange(len(opens)), bars)
        number = np.arange(len(session)) - np.repeat(np.cumsum(bars) - bars, bars) + 1
        ends = np.minimum(opens[session] + number * step, closes[session])
    return np.asarray(ends[(ends >= start_us) & (ends <= end_us)], dtype=np.int64)


@lru_cache(maxsize=32)
def sessions(calendar: str) -> Sessions:
    """Return every session of `calendar` from 1970, or from where the library begins. Raises UnknownName."""
    import exchange_calendars
    import pandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the library still reads Series.values
        try:
            earliest = type(exchange_calendars.get_calendar(calendar)).bound_min()
        except exchange_calendars.errors.InvalidCalendarName:
            names = [*exchange_calendars.get_calendar_names(), ALWAYS]
            raise UnknownName.of("calendar", calendar, names) from None
        wanted = pandas.Timestamp(FIRST_SESSION)
        start = wanted if earliest is None else max(wanted, earliest)
        schedule = exchange_calendars.get_calendar(calendar, start=start).schedule
    days = schedule.index.to_numpy().astype("datetime64[D]").astype(np.int64)
    return Sessions(days, _us(schedule["open"]), _us(schedule["close"]))


def _us(column: Any) -> Times:
    plain = column.dt.tz_convert(None).to_numpy()
    return np.asarray(plain.astype("datetime64[us]").astype(np.int64), dtype=np.int64)
