"""Where the close stands against its own past: means, highs, lows, and the balance of gains and losses."""

from __future__ import annotations

import math

from tradewright.compiled import kernel
from tradewright.features.bars import CLOSE
from tradewright.features.window import mean, push
from tradewright.market.panel import Floats


@kernel
def distance_to_mean(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Log of close over the mean of the last `span` closes, this one included."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            push(slots, span, close)
            if slots[0] >= span:
                out[row, column] = math.log(close / mean(slots, span))


@kernel
def distance_to_ewma(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Log of close over its exponential mean with centre of mass (span - 1) / 2. Slots: count, mean."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            slots[1] = close if slots[0] == 0.0 else slots[1] + (close - slots[1]) * 2.0 / (span + 1.0)
            slots[0] += 1.0
            if slots[0] >= span:
                out[row, column] = math.log(close / slots[1])


@kernel
def drawdown(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Close over the highest of the last `span` closes, minus 1: 0 at a high, negative below it."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            push(slots, span, close)
            if slots[0] >= span:
                high = close
                for i in range(1, span + 1):
                    high = max(high, slots[i])
                out[row, column] = close / high - 1.0


@kernel
def channel_position(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Place of the close between the lowest (0) and highest (1) of the last `span` closes; 0.5 when they are equal."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            push(slots, span, close)
            if slots[0] >= span:
                low, high = close, close
                for i in range(1, span + 1):
                    low, high = min(low, slots[i]), max(high, slots[i])
                out[row, column] = (close - low) / (high - low) if high > low else 0.5


@kernel
def strength(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Relative strength, -1..1: (gain - loss) / (gain + loss), both smoothed over `span` as Wilder (1978) does.

    The usual index of 0..100 is 50 + 50 times this. 0 when nothing moved. Slots: count, last close, gain, loss.
    """
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            if slots[0] > 0.0:
                move = math.log(close / slots[1])
                weight = 1.0 / min(slots[0], float(span))
                slots[2] += (max(move, 0.0) - slots[2]) * weight
                slots[3] += (max(-move, 0.0) - slots[3]) * weight
            if slots[0] >= span:
                total = slots[2] + slots[3]
                out[row, column] = (slots[2] - slots[3]) / total if total > 0.0 else 0.0
            slots[0] += 1.0
            slots[1] = close
