"""The last `span` values of one column, kept in its state: slot 0 counts the values pushed, the ring follows.

Kernels that call these are cached with them inlined: after a change here, clear `__pycache__`.
"""

from __future__ import annotations

import math

from tradewright.compiled import kernel
from tradewright.market.panel import Floats


@kernel
def push(slots: Floats, span: int, value: float) -> None:
    """Put `value` in the place of the oldest one."""
    slots[1 + int(slots[0]) % span] = value
    slots[0] += 1.0


@kernel
def back(slots: Floats, span: int, ago: int) -> float:
    """Return the value pushed `ago` pushes before the next one: 1 is the last, `span` the oldest kept."""
    value: float = slots[1 + (int(slots[0]) - ago) % span]
    return value


@kernel
def mean(slots: Floats, span: int) -> float:
    """Return the mean of the ring, summed in place order."""
    total = 0.0
    for i in range(1, span + 1):
        total += slots[i]
    return total / span


@kernel
def deviation(slots: Floats, span: int) -> float:
    """Return the standard deviation (ddof=1) of the ring."""
    middle = mean(slots, span)
    total = 0.0
    for i in range(1, span + 1):
        total += (slots[i] - middle) ** 2
    return math.sqrt(total / (span - 1))
