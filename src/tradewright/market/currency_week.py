"""The week of currencies: what the calendar "24/5" leaves open about Sunday evenings, Friday evenings and holidays.

Currencies trade from Sunday 17:00 to Friday 17:00 in New York, which is 21:00 UTC in summer and 22:00 in winter; the
calendar knows whole days in UTC from Monday to Friday. A bar of Sunday evening is therefore neither wrong nor demanded,
nor is one of Friday evening or of a holiday.
"""

from __future__ import annotations

import numpy as np

from tradewright.clock import DAY_US
from tradewright.market.arrays import Flags, Times
from tradewright.market.instruments import Interval

CALENDAR = "24/5"
EVENING_US = 21 * DAY_US // 24  # 17:00 in New York in summer
_SUNDAY, _FRIDAY = 3, 1  # of days since 1970-01-01, a Thursday, modulo 7
_FIXED = (
    (1, 1),
    (5, 1),
    (12, 25),
    (12, 26),
)  # with the days around Easter: no reference rate is fixed, trading is thin
_CLOSED = ((1, 1), (12, 25))
_EVES = ((12, 24), (12, 31))


def may_be_absent(interval: Interval, times: Times) -> Flags:
    """Return which of the bars that the calendar expects need not be there. times: ends, ascending, microseconds."""
    if not len(times):
        return np.zeros(0, dtype=np.bool_)
    days = (times - 1) // DAY_US
    first = int(days[0])
    calendar = np.arange(first, int(days[-1]) + 1)
    if interval is Interval.DAY:
        return np.asarray((_is(calendar, _FIXED) | np.isin(calendar, _around_easter(calendar)))[days - first])
    ends_early = (calendar % 7 == _FRIDAY) | _is(calendar, _EVES)
    evening = times - days * DAY_US > EVENING_US
    return np.asarray(_is(calendar, _CLOSED)[days - first] | ends_early[days - first] & evening)


def may_be_there(interval: Interval, times: Times) -> Flags:
    """Return which bars are in order although the calendar does not expect them: those of Sunday evening."""
    days = (times - 1) // DAY_US
    late = times - days * DAY_US
    return np.asarray((days % 7 == _SUNDAY) & (late > EVENING_US) & (late % interval.us == 0))


def _is(days: Times, dates: tuple[tuple[int, int], ...]) -> Flags:
    moments = days.astype("datetime64[D]")
    months = moments.astype("datetime64[M]")
    month = months.astype(np.int64) % 12 + 1
    day = (moments - months).astype(np.int64) + 1
    return np.asarray(np.isin(month * 100 + day, [m * 100 + d for m, d in dates]))


def _around_easter(days: Times) -> Times:
    """Good Friday and Easter Monday of every year from the first to the last of `days`. Gregorian, after Butcher."""
    first, last = (int(day.astype("datetime64[D]").astype("datetime64[Y]").astype(int)) for day in (days[0], days[-1]))
    year = np.arange(first, last + 1) + 1970
    century, golden = year // 100, year % 19
    shift = (century + 8) // 25
    epact = (19 * golden + century - century // 4 - (century - shift + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (year % 100 // 4) - epact - year % 100 % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    number = epact + weekday - 7 * late + 114
    easter = ((year - 1970) * 12 + number // 31 - 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    easter += number % 31
    return np.concatenate([easter - 2, easter + 1])
