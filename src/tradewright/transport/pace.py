"""How fast a third party may be asked: documented limits, kept before it has to say so.

A `Pace` counts weights within sliding windows. It is pure: it is told the time and says how long to wait.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

LEAST_WAIT_S = 1e-6  # the edge of a window, where rounding could say that nothing is to be waited for


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `units` of weight within any `window_s` seconds."""

    units: int
    window_s: float

    def __str__(self) -> str:
        return f"{self.units:,} in {self.window_s:g} s"


class Pace:
    """Every limit of one source and credential together. Not for several threads."""

    def __init__(self, limits: tuple[Limit, ...]) -> None:
        self._limits = limits
        self._taken: tuple[deque[tuple[float, int]], ...] = tuple(deque() for _ in limits)
        self._used = [0] * len(limits)
        self._not_before = 0.0

    def take(self, weight: int, now_s: float) -> float:
        """Take `weight` if every limit has room and return 0.0; else take nothing and return the seconds to wait.

        A weight above a limit is taken when its window is empty, so that it can be sent at all. now_s: of a clock that
        never goes back.
        """
        wait_s = max(0.0, self._not_before - now_s)
        for at, limit in enumerate(self._limits):
            taken = self._taken[at]
            while taken and taken[0][0] <= now_s - limit.window_s:
                self._used[at] -= taken.popleft()[1]
            used = self._used[at]
            for moment, before in taken:  # the oldest have to leave the window until there is room
                if used + weight <= limit.units or used == 0:
                    break
                used -= before
                wait_s = max(wait_s, moment + limit.window_s - now_s, LEAST_WAIT_S)
        if wait_s > 0.0:
            return wait_s
        self.count(weight, now_s)
        return 0.0

    def count(self, weight: int, at_s: float) -> None:
        """Count what was taken, whether there was room or not; the earlier ones first."""
        for at in range(len(self._limits)):
            self._taken[at].append((at_s, weight))
            self._used[at] += weight

    def pause(self, seconds: float, now_s: float) -> None:
        """Let nobody through for so long: the source said so."""
        self._not_before = max(self._not_before, now_s + seconds)
