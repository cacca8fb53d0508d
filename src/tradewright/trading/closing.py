"""When a row of live bars closes. Pure.

1. A row closes once every instrument is in. Otherwise at its deadline, `deadline_us` after the end of its bars, but not
   before `patience_us` have passed since the first of them came. What is missing then is absent.
2. Rows close in the order of their times. A bar of a row that has closed, or of one before it, changes nothing here and
   stands in the catalog. Where its row closed without it, it is counted in `late_bars`, once.
3. A row is late when it closes after its deadline and twice the patience: it came while nobody listened, or from the
   history of the source. What was to be decided on it can no longer be: it is only learned from.
4. A time at which no instrument has a bar is no row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tradewright.market.arrays import Floats
from tradewright.market.instruments import Interval

PATIENCE_US = 5_000_000
_MOST_DEADLINE_US = 60_000_000
KEPT_ROWS = 5_000
_VALUES = 5  # open, high, low, close, volume


def deadline_us(interval: Interval) -> int:
    """Return how long after the end of its bars a row waits for those that are missing: half the interval, at most a
    minute."""
    return min(interval.us // 2, _MOST_DEADLINE_US)


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """A row. values: (N, 5), open to volume of each instrument, NaN where its bar is absent."""

    time_us: int
    values: Floats
    late: bool


@dataclass(slots=True)
class _Waiting:
    values: Floats
    first_us: int  # when its first bar came
    there: set[int] = field(default_factory=set)


class RowCloser:
    """Bars as they come into rows as they close. Not for several threads.

    instruments: ids, in the order of the columns. after_us: the time of the last row that closed before. kept: of so
    many closed rows it is known what came in time; bars of older ones are not counted.
    """

    def __init__(
        self,
        instruments: Sequence[str],
        after_us: int,
        wait_us: int,
        patience_us: int = PATIENCE_US,
        kept: int = KEPT_ROWS,
    ) -> None:
        self._column = {name: place for place, name in enumerate(instruments)}
        self._closed_us = self._known_us = after_us  # what came in time is known of rows after _known_us
        self._in_time: dict[int, set[int]] = {}  # columns by time, in the order of times but for those that were no row
        self._kept = kept
        self._wait, self._patience = wait_us, patience_us
        self._waiting: dict[int, _Waiting] = {}
        self.late_bars = 0

    def take(self, instrument: str, time_us: int, values: Sequence[float], now_us: int) -> None:
        """Take a bar that came at now_us; one of a row that is still open replaces what was there."""
        column = self._column.get(instrument)
        if column is None:
            return
        if time_us <= self._closed_us:
            self._count(column, time_us)
            return
        row = self._waiting.get(time_us)
        if row is None:
            row = self._waiting[time_us] = _Waiting(np.full((len(self._column), _VALUES), np.nan), now_us)
        row.values[column] = values
        row.there.add(column)

    def is_late(self, time_us: int, now_us: int) -> bool:
        """Return whether nothing can be decided any more at now_us on the row of time_us."""
        return now_us > time_us + self._wait + 2 * self._patience

    def due(self, now_us: int) -> list[Closed]:
        """Return the rows that close by now, ascending by time."""
        closed = []
        for time_us in sorted(self._waiting):
            row = self._waiting[time_us]
            whole = len(row.there) == len(self._column)
            if not whole and now_us < max(time_us + self._wait, row.first_us + self._patience):
                break
            closed.append(Closed(time_us, row.values, self.is_late(time_us, now_us)))
            self._closed_us = time_us
            self._in_time[time_us] = row.there
            del self._waiting[time_us]
        while len(self._in_time) > self._kept:
            self._known_us = max(self._known_us, oldest := next(iter(self._in_time)))
            del self._in_time[oldest]
        return closed

    def _count(self, column: int, time_us: int) -> None:
        if time_us <= self._known_us:
            return
        there = self._in_time.setdefault(time_us, set())
        if column not in there:
            self.late_bars += 1
            there.add(column)
