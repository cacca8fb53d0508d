"""Prices adjusted for splits and dividends, computed at read from raw bars and the actions known at a moment.

Backward adjustment: the last row keeps its price. A split of s new units per old one divides earlier prices by s and
multiplies earlier volumes by it; a dividend D multiplies earlier prices by 1 - D / C, C being the last close before it.
Source: Center for Research in Security Prices, data description guide, cumulative adjustment factors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from tradewright.errors import InvalidInput, UnknownName
from tradewright.market.panel import PRICES, Floats, Panel, Times


class Adjustment(StrEnum):
    """What prices are adjusted for."""

    RAW = "raw"
    SPLIT = "split"
    ALL = "all"

    @classmethod
    def parse(cls, text: str) -> Adjustment:
        """Return the adjustment named `text`. Raises UnknownName."""
        try:
            return cls(text)
        except ValueError:
            raise UnknownName.of("adjustment", text, list(cls)) from None


def adjusted(panel: Panel, adjustment: Adjustment | str, as_of_us: int | None = None) -> Panel:
    """Return the panel with prices and volume adjusted by the actions known at `as_of_us`, by default all in it.

    The answer has no actions left and is marked `pre_adjusted`; `raw` returns the panel itself. It is for charts and
    comparison: simulation and features take the raw panel. Raises UnknownName, InvalidInput for a dividend that is not
    below the close before it.
    """
    kind = Adjustment.parse(adjustment)
    if kind is Adjustment.RAW:
        return panel
    price, volume = _factors(panel, kind, as_of_us)
    arrays = {name: getattr(panel, name) * price for name in PRICES}
    return replace(panel, **arrays, volume=panel.volume * volume, actions=(), pre_adjusted=True, data_version="")


@dataclass(frozen=True, slots=True)
class Step:
    """What an action does to the rows before `time_us`: their prices and volumes are multiplied."""

    time_us: int
    price: float
    volume: float


def steps(
    times: Times, close: Floats, actions: Iterable[tuple[int, float, float]], adjustment: Adjustment, name: str
) -> list[Step]:
    """Return the steps of the actions of one instrument, ascending by time.

    times, close: (T,) of its raw rows, from before the first action that matters. actions: (time_us, split, dividend).
    Those without a row before them do nothing. name: of the instrument, for people. Raises InvalidInput for a dividend
    that is not below the close before it.
    """
    found = []
    for time_us, split, dividend in sorted(actions) if adjustment is not Adjustment.RAW else ():
        first = int(np.searchsorted(times, time_us))
        if first == 0:
            continue
        price = 1.0 / split
        before = _last_close(close, first) if adjustment is Adjustment.ALL and dividend else None
        if before is not None:
            if not dividend < before:
                raise InvalidInput(
                    f"{name}: a dividend of {dividend} is not below the close {before} before it; look at the unit of "
                    "the dividend"
                )
            price *= 1.0 - dividend / before
        found.append(Step(time_us, price, split))
    return found


def _last_close(close: Floats, end: int) -> float | None:
    for row in range(end - 1, -1, -1):
        if np.isfinite(close[row]):
            return float(close[row])
    return None


def _factors(panel: Panel, kind: Adjustment, as_of_us: int | None) -> tuple[Floats, Floats]:
    price, volume = np.ones(panel.shape), np.ones(panel.shape)
    known = [action for action in panel.actions if as_of_us is None or action.known_at_us <= as_of_us]
    for column in {action.instrument for action in known}:
        mine = [(a.time_us, a.split, a.dividend) for a in known if a.instrument == column]
        for step in steps(panel.times, panel.close[:, column], mine, kind, panel.ids[column]):
            first = int(np.searchsorted(panel.times, step.time_us))
            price[:first, column] *= step.price
            volume[:first, column] *= step.volume
    return price, volume
