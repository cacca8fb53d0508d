"""Where a run's rows come from."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from tradewright.clock import Clock
from tradewright.errors import TradewrightError
from tradewright.market.arrays import COLUMNS
from tradewright.market.panel import Action, Panel
from tradewright.trading import inputs
from tradewright.trading.actions import last_bars, visible
from tradewright.trading.closing import Closed, RowCloser, deadline_us

FeedMode = Literal["live", "replay"]
_TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class ClosedRow:
    """A closed row. panel: of one row. index: its number in the session, counted from the first row of its history.
    late: it came when nothing could be decided on it any more."""

    panel: Panel
    index: int
    late: bool = False


class Feed(Protocol):
    """Closed rows, one after the other."""

    @property
    def mode(self) -> FeedMode: ...

    def next(self, stop: threading.Event) -> ClosedRow | None:
        """Return the next closed row; None when the feed has ended or `stop` was set."""
        ...


class ReplayFeed:
    """Plays the rows of a panel from `position` on, once, at `speed` rows per second (0: without waiting)."""

    mode: FeedMode = "replay"

    def __init__(
        self, panel: Panel, position: int, speed: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._panel = panel
        self._position = position
        self._pause = 1.0 / speed if speed > 0 else 0.0
        self._monotonic = monotonic
        self._due = monotonic()

    def next(self, stop: threading.Event) -> ClosedRow | None:
        """Return the next row when its moment has come."""
        if self._position >= len(self._panel) or stop.is_set():
            return None
        if self._pause:
            now = self._monotonic()
            if self._due > now and stop.wait(self._due - now):
                return None
            self._due = max(self._due, now - self._pause) + self._pause
        row = ClosedRow(self._panel.rows(self._position, self._position + 1), self._position)
        self._position += 1
        return row


class LiveFeed:
    """The bars that somebody hands in while they close, as rows. It has no end.

    like: the rows before; the coming ones have their instruments, interval and sources. journalled: rows that an
    earlier process wrote down and did not finish; they come first, as they were. index: of the first row that comes.
    after_us: the time of the last row before it. actions: the splits and dividends that are stored, asked whenever a
    row closes; it carries those that take place in it or later and are known, as a row of a replay does.
    """

    mode: FeedMode = "live"

    def __init__(
        self,
        like: Panel,
        index: int,
        after_us: int,
        clock: Clock,
        journalled: Sequence[tuple[Panel, bool]] = (),
        actions: Callable[[], Sequence[Action]] = tuple,
    ) -> None:
        self._like, self._index, self._clock, self._actions = like, index, clock, actions
        self._ready: deque[tuple[Panel, bool]] = deque(journalled)
        self._last_bars = last_bars(like)
        for row, _ in journalled:
            self._last_bars = last_bars(row, self._last_bars)
        newest = int(journalled[-1][0].times[0]) if journalled else after_us
        self._ahead_us = 0  # the clock of the source, of ours
        self._closer = RowCloser(like.ids, newest, deadline_us(like.interval))
        self._inbox: queue.SimpleQueue[tuple[Sequence[Mapping[str, Any]] | TradewrightError, int]] = queue.SimpleQueue()

    def put(self, rows: Sequence[Mapping[str, Any]], now_us: int | None = None) -> None:
        """Hand in bars of the canonical columns. now_us: the time at their source, by which rows are late or not from
        then on; None for that of our clock. From any thread."""
        if now_us is not None:
            self._ahead_us = now_us - self._clock.now_us()
        self._inbox.put((rows, self._now_us()))

    def fail(self, error: TradewrightError) -> None:
        """Say that no more bars will come: `next` raises this. From any thread."""
        self._inbox.put((error, self._now_us()))

    def next(self, stop: threading.Event) -> ClosedRow | None:
        """Return the next row once it has closed; None when `stop` was set. Raises what `fail` was given."""
        while not stop.is_set():
            if self._ready:
                panel, late = self._ready.popleft()
                self._index += 1
                late = late or self._closer.is_late(int(panel.times[0]), self._now_us())
                return ClosedRow(panel, self._index - 1, late)
            self._listen()
            self._ready += [(self._panel(row), row.late) for row in self._closer.due(self._now_us())]
        return None

    @property
    def late_bars(self) -> int:
        """How many bars came after their row had closed without them."""
        return self._closer.late_bars

    def _now_us(self) -> int:
        return self._clock.now_us() + self._ahead_us

    def _listen(self) -> None:
        wait_s = _TICK_S
        while True:
            try:
                given, came_us = self._inbox.get(timeout=wait_s) if wait_s else self._inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(given, TradewrightError):
                raise given
            wait_s = 0.0
            for row in given:
                self._closer.take(row["instrument"], row["time"], [_number(row[name]) for name in COLUMNS], came_us)

    def _panel(self, row: Closed) -> Panel:
        columns = dict(
            zip(COLUMNS, np.ascontiguousarray(row.values.T)[:, None, :], strict=True)
        )  # kernels want whole rows
        present = np.isfinite(columns["close"])
        flags = {"present": present, "tradable": present & np.isfinite(columns["open"]), "member": present}
        closed = inputs.rows_like(self._like, [row.time_us], columns, flags)
        told = visible(self._actions(), row.time_us, self._last_bars)
        self._last_bars = last_bars(closed, self._last_bars)
        return replace(closed, actions=told) if told else closed


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
