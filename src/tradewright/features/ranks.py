"""Where each instrument stands among those that have a value in the same row."""

from __future__ import annotations

import numpy as np

from tradewright.compiled import kernel
from tradewright.market.panel import Floats


@kernel
def rank(values: Floats, out: Floats) -> None:
    """Rank within each row, 0 for the lowest to 1 for the highest, ties share their mean; NaN stays out.

    values, out: (k, N). A row with a single value gives it 0.5.
    """
    for row in range(values.shape[0]):
        order = np.argsort(values[row])  # NaN sorts last
        count = 0
        for column in range(values.shape[1]):
            count += 0 if np.isnan(values[row, column]) else 1
        start = 0
        while start < count:
            stop = start + 1
            while stop < count and values[row, order[stop]] == values[row, order[start]]:
                stop += 1
            place = 0.5 if count == 1 else 0.5 * (start + stop - 1) / (count - 1)
            for i in range(start, stop):
                out[row, order[i]] = place
            start = stop
