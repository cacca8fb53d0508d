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
import polars as pl

from tradewright.clock import DAY_US, from_us
from tradewright.errors import InvalidInput, UnknownName
from tradewright.market import currency_week
from tradewright.market.arrays import Flags, Times
from tradewright.market.instruments import Interval

ALWAYS = "24/7"
FIRST_SESSION = "1970-01-01"
_PIECE_US = 400 * DAY_US  # of a history within sessions that is compared at once, which bounds the memory
_SAMPLE = 10_000  # bars that tell from where a history counts its bars


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """Every session of a calendar: `days` since 1970, `opens_us` and `closes_us` in UTC microseconds, ascending.
    zone: by which its days are counted."""

    days: Times
    opens_us: Times
    closes_us: Times
    zone: str


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """How bars compare with a calendar from the first to the last of them.

    expected, absent: numbers of bars. first_absent: the first times of those absent. off: for each bar, whether it is
    at a time the calendar does not expect. Bars that may be there or not, such as the evenings of the week of
    currencies, are in none of these.
    """

    expected: int
    absent: int
    first_absent: Times
    off: Flags


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


def expected_times(
    calendar: str, interval: Interval, start_us: int, end_us: int, *, by_clock_us: int | None = None
) -> Times:
    """Return the times (bar ends) expected in start_us..end_us, both included, ascending, (k,) microseconds.

    Inside a session the last bar ends with the session, also where the interval does not divide it. by_clock_us: the
    bars end this long after whole intervals of the clock; left out, they are counted from the opening of the session.
    Raises UnknownName for a calendar that does not exist.
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
        first_us = opens if by_clock_us is None else opens - (opens - by_clock_us) % step
        bars = -(-(closes - first_us) // step)
        session = np.repeat(np.arange(len(opens)), bars)
        number = np.arange(len(session)) - np.repeat(np.cumsum(bars) - bars, bars) + 1
        ends = np.minimum(first_us[session] + number * step, closes[session])
    return np.asarray(ends[(ends >= start_us) & (ends <= end_us)], dtype=np.int64)


def coverage(calendar: str, interval: Interval, times: Times, limit: int) -> Coverage:
    """Return how `times` (bar ends, ascending, each once, at least one) compare with what the calendar expects.

    Bars within a session may be counted from its opening or stand on the clock (hours from 09:00 where the session
    opens at 09:30); whichever most bars do is expected of all. limit: how many absent times are named. Memory grows
    with the bars that are there, not with the span. Raises UnknownName for a calendar that does not exist.
    """
    return (
        _always_covered(interval.us, times, limit) if calendar == ALWAYS else _covered(calendar, interval, times, limit)
    )


def _always_covered(step: int, times: Times, limit: int) -> Coverage:
    off = times % step != 0
    present = times[~off] // step
    first, last = -(-int(times[0]) // step), int(times[-1]) // step
    edges = np.concatenate([[first - 1], present, [last + 1]])
    skipped = np.diff(edges) - 1
    named = [
        np.arange(edges[at] + 1, min(int(edges[at + 1]), int(edges[at]) + 1 + limit)) * step
        for at in np.flatnonzero(skipped > 0)[:limit]
    ]
    absent = np.concatenate([*named, np.empty(0, dtype=np.int64)])[:limit]
    expected = last - first + 1
    return Coverage(expected, expected - len(present), absent, off)


def _covered(calendar: str, interval: Interval, times: Times, limit: int) -> Coverage:
    off = np.ones(len(times), dtype=np.bool_)
    expected = absent = 0
    named: list[int] = []
    known = sessions(calendar)
    last = min(int(times[-1]), int(known.closes_us[-1]))
    by_clock_us = _by_clock(known, interval, times)
    for start in range(max(int(times[0]), int(known.opens_us[0])), last + 1, _PIECE_US):
        wanted = expected_times(calendar, interval, start, min(start + _PIECE_US - 1, last), by_clock_us=by_clock_us)
        low, high = np.searchsorted(times, (start, start + _PIECE_US))
        off[low:high] = ~np.isin(times[low:high], wanted, assume_unique=True)
        if calendar == currency_week.CALENDAR:
            wanted = wanted[~currency_week.may_be_absent(interval, wanted)]
            strays = low + np.flatnonzero(off[low:high])
            off[strays] = ~currency_week.may_be_there(interval, times[strays])
        there = np.isin(wanted, times[low:high], assume_unique=True)
        expected += len(wanted)
        absent += len(wanted) - int(there.sum())
        named += wanted[~there][: limit - len(named)].tolist()
    return Coverage(expected, absent, np.array(named, dtype=np.int64), off)


def _by_clock(known: Sessions, interval: Interval, times: Times) -> int | None:
    if interval is Interval.DAY:
        return None
    sample = times[:: max(len(times) // _SAMPLE, 1)]
    past, many = np.unique(sample % interval.us, return_counts=True)
    low, high = np.searchsorted(known.opens_us, (times[0] - DAY_US, times[-1]))
    from_opening = np.isin(past, known.opens_us[low:high] % interval.us)
    most = np.where(from_opening, 0, many)
    return int(past[most.argmax()]) if most.max() > many[from_opening].sum() else None


def on_closed_days(calendar: str, times: Times) -> Flags:
    """Return for each bar end whether the exchange has no session on that day, by the clock there.

    None is where no exchange closes (24/7, 24/5), nor outside of what the calendar knows. Raises UnknownName.
    """
    if calendar in (ALWAYS, currency_week.CALENDAR) or not len(times):
        return np.zeros(len(times), dtype=np.bool_)
    known = sessions(calendar)
    with_session = np.concatenate(
        [known.days, _days_there(known.opens_us, known.zone), _days_there(known.closes_us, known.zone)]
    )
    day = _days_there(times - 1, known.zone)  # a bar that ends at midnight is of the day before
    return np.asarray((day > known.days[0]) & (day < known.days[-1]) & ~np.isin(day, with_session))


def _days_there(times: Times, zone: str) -> Times:
    moments = pl.Series(times, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    return np.asarray(moments.dt.convert_time_zone(zone).dt.date().cast(pl.Int32).to_numpy(), dtype=np.int64)


def begins_us(calendar: str) -> int | None:
    """Return the start of the first day that `calendar` knows, None for one without a beginning. Raises UnknownName."""
    return None if calendar == ALWAYS else int(sessions(calendar).days[0]) * DAY_US


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
            where = "the calendars are those of the library exchange_calendars"
            raise UnknownName.of("calendar", calendar, names, where) from None
        wanted = pandas.Timestamp(FIRST_SESSION)
        start = wanted if earliest is None else max(wanted, earliest)
        found = exchange_calendars.get_calendar(calendar, start=start)
        schedule = found.schedule
    days = schedule.index.to_numpy().astype("datetime64[D]").astype(np.int64)
    return Sessions(days, _us(schedule["open"]), _us(schedule["close"]), str(found.tz))


def _us(column: Any) -> Times:
    plain = column.dt.tz_convert(None).to_numpy()
    return np.asarray(plain.astype("datetime64[us]").astype(np.int64), dtype=np.int64)
