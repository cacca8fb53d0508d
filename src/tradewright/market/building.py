"""Trades into bars, whatever order they come in.

The rules, exactly:

1. A trade belongs to the bar start <= time < end, by the time that the source gave it. One at the very end of a bar
   belongs to the next.
2. Open is the price of the earliest trade, close that of the latest, by (time, sequence, arrival); high, low and volume
   are over all of them. So the order of arrival within a bar changes nothing but ties that the source does not order.
3. A trade that came before (same symbol and id, or same sequence where it has no id) is not counted again.
4. A bar closes once the clock of the source is `grace_us` past its end. That clock is ours, set back by the smallest
   delay seen lately, so a clock of ours that is ahead or behind neither closes bars early nor keeps them open.
5. A trade for a bar that has closed, up to `late_us` after its end, makes a revision of that bar: the same time, with
   all its trades, as a row of its own. One that comes later still is counted in `dropped` and changes nothing.
6. An interval without a trade has no bar: what is missing is not made up.
7. Where the source closes bars itself, its bar is the bar, whatever trades were seen; one that differs from what had
   been closed before is a revision. The history of the source counts as that.
8. A bar of which trades may have been missed (a gap, a new connection, the one during which we came) is in doubt:
   trades alone never close it. It comes from the source, or it is missing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

GRACE_US = 2_000_000
LATE_US = 600_000_000
_DELAYS = 64  # minima of so many spans of trades


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


class BarBuilder:
    """Bars of one interval of any number of symbols. Not for several threads.

    interval_us: a divisor of a day. dropped: trades that came too late for everything. repeated: trades that had come.
    """

    def __init__(self, interval_us: int, grace_us: int = GRACE_US, late_us: int = LATE_US) -> None:
        self._step = interval_us
        self._grace = grace_us
        self._late = late_us
        self._bars: dict[str, dict[int, _Open]] = {}
        self._doubted: set[tuple[str, int]] = set()
        self._changed: dict[tuple[str, int], None] = {}
        self._delays: deque[int] = deque(maxlen=_DELAYS)
        self._delay: int | None = None
        self._in_span = 0
        self._arrivals = 0
        self._next_tidying = 0
        self._next_end = 0  # no bar that is open ends before
        self.dropped = 0
        self.repeated = 0

    def trade(
        self, symbol: str, time_us: int, price: float, size: float, key: object, sequence: int, now_us: int
    ) -> None:
        """Count a trade. key: what tells it from every other of its symbol, None where nothing does. sequence: its
        order among those of the same time, 0 where the source has none. now_us: our clock when it came."""
        self._arrivals += 1
        delay = now_us - time_us
        if self._delay is None or delay < self._delay:
            self._delay = delay
        self._in_span += 1
        if self._in_span == 256:
            self._delays.append(self._delay)
            self._delay, self._in_span = None, 0
        end = time_us - time_us % self._step + self._step
        bars = self._bars.get(symbol)
        if bars is None:
            bars = self._bars[symbol] = {}
        bar = bars.get(end)
        place = (time_us, sequence, self._arrivals)
        if bar is None:
            if self.source_now(now_us) > end + self._late:
                self.dropped += 1
                return
            bar = bars[end] = _Open(place, place, price, price, price, price, size)
            if key is not None:
                bar.seen.add(key)
            if end < self._next_end or not self._next_end:
                self._next_end = end
            return
        if key is not None:
            if key in bar.seen:
                self.repeated += 1
                return
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
        now = self.source_now(now_us)
        made = [
            self._built(symbol, end, self._bars[symbol][end], True)
            for symbol, end in self._changed
            if end in self._bars.get(symbol, {}) and (symbol, end) not in self._doubted
        ]
        self._changed.clear()
        if self._next_end and now >= self._next_end + self._grace:
            self._next_end = 0
            for symbol, bars in self._bars.items():
                for end in [end for end, bar in bars.items() if not bar.closed]:
                    if now >= end + self._grace:
                        bars[end].closed = True
                        if (symbol, end) not in self._doubted and not bars[end].told:
                            made.append(self._built(symbol, end, bars[end], False))
                    elif not self._next_end or end < self._next_end:
                        self._next_end = end
        if now >= self._next_tidying:
            self._next_tidying = now + self._step
            self._forget(now - self._late)
        return sorted(made, key=lambda built: (built.time_us, built.symbol))

    def doubt(self, symbol: str, after_us: int, before_us: int) -> tuple[int, int]:
        """Put the bars that hold any moment of after_us..before_us in doubt; return the first and last end."""
        first, last = (us - us % self._step + self._step for us in (after_us, before_us))
        self._doubted.update((symbol, end) for end in range(first, last + 1, self._step))
        return first, last

    def _forget(self, before_us: int) -> None:
        for bars in self._bars.values():
            for end in [end for end, bar in bars.items() if end < before_us and bar.closed]:
                del bars[end]
        self._doubted = {place for place in self._doubted if place[1] >= before_us}

    def _built(self, symbol: str, end: int, bar: _Open, revision: bool) -> Built:
        values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        bar.told = True
        return Built(symbol, end, *values, trades=max(len(bar.seen), 1), revision=revision)

    def source_now(self, now_us: int) -> int:
        """Return the clock of the source as far as we know it, when ours shows now_us."""
        known = [*self._delays] if self._delay is None else [*self._delays, self._delay]
        return now_us - (min(known) if known else 0)
