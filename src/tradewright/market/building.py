"""Trades into bars, whatever order they come in.

The rules, exactly:

1. A trade belongs to the bar start <= time < end, by the time that the source gave it. One at the very end of a bar
   belongs to the next.
2. Open is the price of the earliest trade, close that of the latest, by (time, sequence, arrival); high, low and volume
   are over all of them. So the order of arrival within a bar changes nothing but ties that the source does not order.
3. A trade that came before (same symbol and id, or same sequence where it has no id) is not counted again.
4. A bar closes once the clock of the source is `grace_us` past its end. That clock is ours, set back by the usual least
   delay (`SourceClock`), so a clock of ours that is ahead or behind neither closes bars early nor keeps them open.
5. A trade for a bar that has closed, up to `late_us` after its end, makes a revision of that bar: the same time, with
   all its trades, as a row of its own. One that comes later still is counted in `dropped` and changes nothing.
6. An interval without a trade has no bar: what is missing is not made up.
7. Where the source closes bars itself, its bar is the bar, whatever trades were seen; one that differs from what had
   been closed before is a revision. The history of the source counts as that.
8. A bar of which trades may have been missed (a gap, a new connection, the one during which we came) is in doubt:
   trades alone never close it. It comes from the source, or it is missing. Once a symbol is lost (`lose`), every bar
   that ends after that moment is in doubt, until `doubt` says how far it reached. A bar that began before we came
   (`begin`) stays in doubt, whatever late trades of it are still told.
9. A bar of which the source took a trade back, or put one right, is in doubt, and no longer closed by the source where
   it was (`withdraw`).
10. A trade more than `skew_us` ahead of the clock of the source is refused and counted; no bar ends ahead of that
    clock. Only when AGREED trades in a row, over at least AGREED_US, are all ahead is it the clock that has changed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

GRACE_US = 2_000_000
LATE_US = 600_000_000
SKEW_US = 60_000_000
AGREED = 16
AGREED_US = 10_000_000
_DELAYS = 64  # minima of so many spans of trades
_SPAN = 256  # trades of a span; the first ones are of 1, 2, 4 ...


@dataclass(frozen=True, slots=True)
class Built:
    """A bar. time_us: its end. trades: how many are in it, 0 for one that the source closed. revision: one with the
    same time was closed before."""

    symbol: str
    time_us: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int
    revision: bool = False


@dataclass(slots=True)
class _Open:
    first: tuple[int, int, int]
    last: tuple[int, int, int]
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    seen: set[object] = field(default_factory=set)
    closed: bool = False
    told: bool = False  # somebody has it already
    final: bool = False  # the source closed it


class SourceClock:
    """The clock of a source, as far as the times of its trades show it: ours, set back by the median of the least
    delays of spans of trades. One wrong stamp moves the least delay of one span, and so not the median.

    skew_us: a trade further ahead than that is not believed. refused: how many were not.
    """

    def __init__(self, skew_us: int = SKEW_US) -> None:
        self._skew = skew_us
        self._minima: deque[int] = deque(maxlen=_DELAYS)
        self._least: int | None = None
        self._usual: int | None = None
        self._in_span, self._span = 0, 1
        self._ahead, self._ahead_since = 0, 0
        self.refused = 0

    def now(self, now_us: int) -> int:
        """Return the time at the source when our clock shows now_us; ours while nothing is known."""
        return now_us if self._usual is None else now_us - self._usual

    @property
    def known(self) -> bool:
        """Whether a trade was heard."""
        return self._usual is not None

    def is_ahead(self, time_us: int, now_us: int) -> bool:
        """Whether a moment of the source is too far ahead to be believed."""
        return self._usual is not None and now_us - time_us < self._usual - self._skew

    def heard(self, time_us: int, now_us: int) -> bool:
        """Count a trade of the source's time_us that came at our now_us; return whether it is believed."""
        delay = now_us - time_us
        if self._usual is not None and delay < self._usual - self._skew:
            if not self._agreed(now_us):
                self.refused += 1
                return False
            self._minima.clear()
            self._least, self._in_span, self._span = None, 0, 1
        self._ahead = 0
        if self._least is None or delay < self._least:
            self._least = delay
            known = sorted((*self._minima, delay))
            self._usual = known[(len(known) - 1) // 2]
        self._in_span += 1
        if self._in_span == self._span:
            self._minima.append(self._least)
            self._least, self._in_span, self._span = None, 0, min(2 * self._span, _SPAN)
        return True

    def _agreed(self, now_us: int) -> bool:
        if not self._ahead:
            self._ahead_since = now_us
        self._ahead += 1
        return self._ahead >= AGREED and now_us - self._ahead_since >= AGREED_US


class BarBuilder:
    """Bars of one interval of any number of symbols. Not for several threads.

    interval_us: a divisor of a day. kept_us: so long after its end a bar is remembered, at least `late_us`: a source
    may be asked about it that long. clock: that of the source. dropped: trades that came too late for everything.
    repeated: trades that had come.
    """

    def __init__(
        self,
        interval_us: int,
        grace_us: int = GRACE_US,
        late_us: int = LATE_US,
        skew_us: int = SKEW_US,
        kept_us: int = LATE_US,
    ) -> None:
        self._step = interval_us
        self._grace = grace_us
        self._late = late_us
        self._kept = max(kept_us, late_us)
        self._bars: dict[str, dict[int, _Open]] = {}
        self._doubted: set[tuple[str, int]] = set()
        self._lost: dict[str, int] = {}  # by symbol: since when
        self._skew = skew_us
        self.clock = SourceClock(skew_us)
        self._began: int | None = None  # by our clock
        self._changed: dict[tuple[str, int], None] = {}
        self._arrivals = 0
        self._next_tidying = 0
        self._next_end = 0  # no bar that is open ends before
        self.dropped = 0
        self.repeated = 0

    def trade(
        self, symbol: str, time_us: int, price: float, size: float, key: object, sequence: int, now_us: int
    ) -> bool:
        """Count a trade; return False for one that is refused. key: what tells it from every other of its symbol, None
        where nothing does. sequence: its order among those of the same time, 0 where the source has none. now_us: our
        clock when it came."""
        self._arrivals += 1
        if not self.clock.heard(time_us, now_us):
            return False
        end = time_us - time_us % self._step + self._step
        bars = self._bars.get(symbol)
        if bars is None:
            bars = self._bars[symbol] = {}
        bar = bars.get(end)
        place = (time_us, sequence, self._arrivals)
        if (bar is None or bar.closed) and self.clock.now(now_us) > end + self._late:
            self.dropped += 1
            return True
        if bar is None:
            bar = bars[end] = _Open(place, place, price, price, price, price, size)
            if key is not None:
                bar.seen.add(key)
            if end < self._next_end or not self._next_end:
                self._next_end = end
            return True
        if key is not None:
            if key in bar.seen:
                self.repeated += 1
                return True
            bar.seen.add(key)
        if price > bar.high:
            bar.high = price
        elif price < bar.low:
            bar.low = price
        if place > bar.last:
            bar.last, bar.close = place, price
        elif place < bar.first:
            bar.first, bar.open = place, price
        bar.volume += size
        if bar.closed and not bar.final:
            self._changed[symbol, end] = None
        return True

    def closed_by_source(
        self, symbol: str, end_us: int, values: tuple[float, float, float, float, float]
    ) -> Built | None:
        """Return the bar that the source itself closed, values being open to volume; None when it had come before."""
        bars = self._bars.setdefault(symbol, {})
        bar = bars.get(end_us)
        before = bar is not None and bar.told
        if bar is not None and before and (bar.open, bar.high, bar.low, bar.close, bar.volume) == values:
            bar.final = True
            self._doubted.discard((symbol, end_us))
            return None
        place = (end_us, 0, 0)
        self._doubted.discard((symbol, end_us))
        bars[end_us] = _Open(
            place, place, *values, seen=set() if bar is None else bar.seen, closed=True, told=True, final=True
        )
        self._changed.pop((symbol, end_us), None)
        return Built(symbol, end_us, *values, trades=0, revision=before)

    def close(self, now_us: int) -> list[Built]:
        """Return the bars that are complete by now and the revisions of those that were, by time and symbol."""
        now = self.clock.now(now_us)
        made = [
            self._built(symbol, end, self._bars[symbol][end], True)
            for symbol, end in self._changed
            if end in self._bars.get(symbol, {}) and not self._is_doubted(symbol, end)
        ]
        self._changed.clear()
        if self._next_end and now >= self._next_end + self._grace:
            self._next_end = 0
            for symbol, bars in self._bars.items():
                for end in [end for end, bar in bars.items() if not bar.closed]:
                    if now >= end + self._grace:
                        bars[end].closed = True
                        if not bars[end].told and not self._is_doubted(symbol, end):
                            made.append(self._built(symbol, end, bars[end], False))
                    elif not self._next_end or end < self._next_end:
                        self._next_end = end
        if now >= self._next_tidying:
            self._next_tidying = now + self._step
            self._forget(now - self._kept, now + self._skew)
        return sorted(made, key=lambda built: (built.time_us, built.symbol))

    def withdraw(self, symbol: str, key: object, time_us: int) -> int | None:
        """The source took the trade of this key back, by a message stamped time_us; return a moment of the bar that
        has it, by the stamp where none has; None where that bar is not remembered. Put it in doubt next (`doubt`)."""
        bars = self._bars.get(symbol, {})
        stamped = time_us - time_us % self._step + self._step
        end = next((end for end, bar in bars.items() if key in bar.seen), stamped)
        if end not in bars:
            return None
        bars[end].final = False
        return end - self._step

    def begin(self, now_us: int) -> None:
        """We came when our clock showed now_us: bars that began before are never closed by trades alone."""
        if self._began is None:
            self._began = now_us

    def lose(self, symbol: str, since_us: int) -> None:
        """Put every bar that ends after since_us in doubt, until `doubt` is told how far that reaches."""
        self._lost[symbol] = min(since_us, self._lost.get(symbol, since_us))

    def doubt(self, symbol: str, after_us: int, before_us: int) -> tuple[int, int]:
        """Put the bars that hold any moment of after_us..before_us in doubt; return the first and last end. What was
        lost is in doubt up to there, and no longer beyond."""
        after_us = min(after_us, self._lost.pop(symbol, after_us))
        first, last = (us - us % self._step + self._step for us in (after_us, max(after_us, before_us)))
        self._doubted.update((symbol, end) for end in range(first, last + 1, self._step))
        return first, last

    def awaited(self, symbol: str, first_us: int, last_us: int) -> dict[int, bool]:
        """Return the ends in first_us..last_us of bars in doubt that the source has not closed, ascending, each with
        whether trades were seen in it."""
        bars = self._bars.get(symbol, {})
        ends = range(first_us, last_us + 1, self._step)
        return {
            end: end in bars for end in ends if self._is_doubted(symbol, end) and not (end in bars and bars[end].final)
        }

    def _is_doubted(self, symbol: str, end: int) -> bool:
        if self._began is not None and end - self._step < self.clock.now(self._began):
            return True
        return (symbol, end) in self._doubted or end > self._lost.get(symbol, end)

    def _forget(self, before_us: int, after_us: int) -> None:
        for bars in self._bars.values():
            # ahead: opened by the first trade of all, before anything showed that its time was wrong
            ahead = [end for end in bars if end - self._step > after_us]
            for end in [end for end, bar in bars.items() if end < before_us and bar.closed] + ahead:
                del bars[end]
        self._doubted = {place for place in self._doubted if place[1] >= before_us}

    def _built(self, symbol: str, end: int, bar: _Open, revision: bool) -> Built:
        values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        bar.told = True
        return Built(symbol, end, *values, trades=max(len(bar.seen), 1), revision=revision)
