"""How much was traded against what is usual. Not available without volume."""

from __future__ import annotations

import math

from tradewright.compiled import kernel
from tradewright.features.bars import CLOSE, VOLUME
from tradewright.features.window import deviation, mean, push
from tradewright.market.panel import Floats


@kernel
def relative_volume(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """log((1 + volume) / (1 + mean volume of the `span` bars before)), split-adjusted."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            volume, slots = bars[VOLUME, row, column], state[column]
            if math.isnan(volume):
                continue
            if slots[0] >= span:
                out[row, column] = math.log((1.0 + volume) / (1.0 + mean(slots, span)))
            push(slots, span, volume)


@kernel
def turnover_score(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Standard score of log(1 + close x volume) against the `span` bars before; 0 when those were all equal."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            value, slots = math.log(1.0 + bars[CLOSE, row, column] * bars[VOLUME, row, column]), state[column]
            if math.isnan(value):
                continue
            if slots[0] >= span:
                scale = deviation(slots, span)
                out[row, column] = (value - mean(slots, span)) / scale if scale > 0.0 else 0.0
            push(slots, span, value)
