"""Where a run's rows come from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from tradewright.market.panel import Panel


class Feed(Protocol):
    """Closed rows, one after the other."""

    @property
    def mode(self) -> str: ...

    @property
    def position(self) -> int: ...

    def next(self, stop: threading.Event) -> Panel | None:
        """Return the next closed row as a panel of one row; None when the feed has ended or `stop` was set."""
        ...


class ReplayFeed:
    """Plays the rows of a panel from `position` on, once, at `speed` rows per second (0: without waiting)."""

    mode = "replay"

    def __init__(
        self, panel: Panel, position: int, speed: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._panel = panel
        self._position = position
        self._pause = 1.0 / speed if speed > 0 else 0.0
        self._monotonic = monotonic
        self._due = monotonic()

    @property
    def position(self) -> int:
        """The panel row that comes next."""
        return self._position

    def next(self, stop: threading.Event) -> Panel | None:
        """Return the next row when its moment has come."""
        if self._position >= len(self._panel) or stop.is_set():
            return None
        if self._pause:
            now = self._monotonic()
            if self._due > now and stop.wait(self._due - now):
                return None
            self._due = max(self._due, now - self._pause) + self._pause
        row = self._panel.rows(self._position, self._position + 1)
        self._position += 1
        return row
