"""Returns and momentum of the total-return close. Every kernel walks rows x columns: state in, values out."""

from __future__ import annotations

import math

from tradewright.compiled import kernel
from tradewright.features.bars import CLOSE
from tradewright.features.window import back, push
from tradewright.market.panel import Floats


@kernel
def trailing_return(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Log return over `span` bars."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            if slots[0] >= span:
                out[row, column] = math.log(close / back(slots, span, span))
            push(slots, span, close)


@kernel
def skipping_momentum(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Log return from `span` bars ago to span / 12 bars ago (Jegadeesh and Titman 1993: skip the last month)."""
    skip = max(span // 12, 1)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            if slots[0] >= span:
                out[row, column] = math.log(back(slots, span, skip) / back(slots, span, span))
            push(slots, span, close)


@kernel
def efficiency(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Net move over `span` bars divided by the path walked, -1..1 (Kaufman); 0 when nothing moved."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            if slots[0] >= span:
                path = abs(close - back(slots, span, 1))
                for ago in range(1, span):
                    path += abs(back(slots, span, ago) - back(slots, span, ago + 1))
                out[row, column] = (close - back(slots, span, span)) / path if path > 0.0 else 0.0
            push(slots, span, close)
