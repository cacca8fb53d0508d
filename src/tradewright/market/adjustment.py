"""Prices adjusted for splits and dividends, computed at read from raw bars and the actions known at a moment.

Backward adjustment: the last row keeps its price. A split of s new units per old one divides earlier prices by s and
multiplies earlier volumes by it; a dividend D multiplies earlier prices by 1 - D / C, C being the last close before it.
Source: Center for Research in Security Prices, data description guide, cumulative adjustment factors.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from tradewright.errors import InvalidInput, UnknownName
from tradewright.market.panel import PRICES, Floats, Panel


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


def _factors(panel: Panel, kind: Adjustment, as_of_us: int | None) -> tuple[Floats, Floats]:
    price, volume = np.ones(panel.shape), np.ones(panel.shape)
    for action in panel.actions:
        first = int(np.searchsorted(panel.times, action.time_us))
        if first == 0 or (as_of_us is not None and action.known_at_us > as_of_us):
            continue
        column = action.instrument
        price[:first, column] /= action.split
        volume[:first, column] *= action.split
        if kind is Adjustment.ALL and action.dividend:
            closes = panel.close[:first, column]
            closes = closes[np.isfinite(closes)]
            if not len(closes):
                continue
            if not action.dividend < closes[-1]:
                raise InvalidInput(
                    f"{panel.ids[column]}: a dividend of {action.dividend} is not below the close {closes[-1]} before "
                    "it; look at the unit of the dividend"
                )
            price[:first, column] *= 1.0 - action.dividend / closes[-1]
    return price, volume
