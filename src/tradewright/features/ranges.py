"""What happened inside the bars: body, gap, range, where the close lies in it. Not available without high and low."""

from __future__ import annotations

import math

from tradewright.compiled import kernel
from tradewright.features.bars import CLOSE, HIGH, LOW, OPEN
from tradewright.features.window import mean, push
from tradewright.market.panel import Floats

_PARKINSON = 1.0 / (4.0 * math.log(2.0))


@kernel
def body(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Mean of log(close / open) of the last `span` bars."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            value, slots = math.log(bars[CLOSE, row, column] / bars[OPEN, row, column]), state[column]
            if math.isnan(value):
                continue
            push(slots, span, value)
            if slots[0] >= span:
                out[row, column] = mean(slots, span)


@kernel
def gap(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Mean of log(open / close before) of the last `span` bars. Slots: last close, then the ring."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            first, close, slots = bars[OPEN, row, column], bars[CLOSE, row, column], state[column]
            if math.isnan(first) or math.isnan(close):
                continue
            if slots[0] > 0.0:
                push(slots[1:], span, math.log(first / slots[0]))
            slots[0] = close
            if slots[1] >= span:
                out[row, column] = mean(slots[1:], span)


@kernel
def close_location(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Mean place of the close in its bar, -1 at the low to 1 at the high; a bar without range counts 0."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, high, low = bars[CLOSE, row, column], bars[HIGH, row, column], bars[LOW, row, column]
            slots = state[column]
            if math.isnan(close) or math.isnan(high) or math.isnan(low):
                continue
            push(slots, span, (2.0 * close - high - low) / (high - low) if high > low else 0.0)
            if slots[0] >= span:
                out[row, column] = mean(slots, span)


@kernel
def parkinson(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Volatility per bar from high and low: root of mean log(high / low)^2 / (4 ln 2) (Parkinson 1980)."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            value, slots = math.log(bars[HIGH, row, column] / bars[LOW, row, column]), state[column]
            if math.isnan(value):
                continue
            push(slots, span, value * value)
            if slots[0] >= span:
                out[row, column] = math.sqrt(mean(slots, span) * _PARKINSON)


@kernel
def true_range(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Mean true range of the last `span` bars over the close (Wilder 1978, plain mean). Slots: last close, ring."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, high, low = bars[CLOSE, row, column], bars[HIGH, row, column], bars[LOW, row, column]
            slots = state[column]
            if math.isnan(close) or math.isnan(high) or math.isnan(low):
                continue
            if slots[0] > 0.0:
                push(slots[1:], span, max(high, slots[0]) - min(low, slots[0]))
            slots[0] = close
            if slots[1] >= span:
                out[row, column] = mean(slots[1:], span) / close
