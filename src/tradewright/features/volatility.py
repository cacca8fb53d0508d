"""How much and how unevenly the close moves. All from one-bar log returns of the total-return close.

Slots: the last close comes first, then what the kernel keeps.
"""

from __future__ import annotations

import math

from tradewright.compiled import kernel
from tradewright.features.bars import CLOSE
from tradewright.features.window import deviation, mean, push
from tradewright.market.panel import Floats


@kernel
def ewma_volatility(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Root of the exponentially weighted mean of squared returns, decay 1 - 2 / (span + 1), per bar, not annual.

    Weights of the rows seen sum to one. Slots: last close, count, weighted sum, sum of weights.
    """
    keep = 1.0 - 2.0 / (span + 1.0)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            if slots[0] > 0.0:
                move = math.log(close / slots[0])
                slots[1] += 1.0
                slots[2] = keep * slots[2] + move * move
                slots[3] = keep * slots[3] + 1.0
            slots[0] = close
            if slots[1] >= span:
                out[row, column] = math.sqrt(slots[2] / slots[3])


@kernel
def rolling_volatility(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Standard deviation of the last `span` returns, per bar."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            if slots[0] > 0.0:
                push(slots[1:], span, math.log(close / slots[0]))
            slots[0] = close
            if slots[1] >= span:
                out[row, column] = deviation(slots[1:], span)


@kernel
def normalised_return(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Last return divided by the deviation of the `span` returns before it; 0 when those did not move."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            if slots[0] > 0.0:
                move = math.log(close / slots[0])
                if slots[1] >= span:
                    scale = deviation(slots[1:], span)
                    out[row, column] = move / scale if scale > 0.0 else 0.0
                push(slots[1:], span, move)
            slots[0] = close


@kernel
def volatility_ratio(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Log of the mean absolute return of the last span / 4 bars over that of `span` bars; 0 when nothing moved."""
    short = max(span // 4, 1)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            if slots[0] > 0.0:
                push(slots[1:], span, abs(math.log(close / slots[0])))
            slots[0] = close
            if slots[1] >= span:
                total = 0.0
                for ago in range(1, short + 1):
                    total += slots[2 + (int(slots[1]) - ago) % span]
                whole = mean(slots[1:], span)
                recent = total / short
                out[row, column] = math.log(recent / whole) if recent > 0.0 and whole > 0.0 else 0.0


@kernel
def skewness(state: Floats, bars: Floats, span: int, out: Floats) -> None:
    """Population skewness of the last `span` returns; 0 when they are all equal."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            close, slots = bars[CLOSE, row, column], state[column]
            if math.isnan(close):
                continue
            if slots[0] > 0.0:
                push(slots[1:], span, math.log(close / slots[0]))
            slots[0] = close
            if slots[1] >= span:
                middle = mean(slots[1:], span)
                second, third = 0.0, 0.0
                for i in range(2, span + 2):
                    second += (slots[i] - middle) ** 2
                    third += (slots[i] - middle) ** 3
                second, third = second / span, third / span
                out[row, column] = third / second**1.5 if second > 0.0 else 0.0
