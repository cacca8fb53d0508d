"""The total-return factor, row by row: what closes are multiplied with when there are corporate actions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradewright.market.panel import Floats, Panel

NEVER = np.iinfo(np.int64).min
"""Time of the last present row of a column that has had none."""


def growth_steps(rows: Panel, last_time: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return (total return step, split step) of `rows`, each (k, N), and move `last_time` (N,) past them.

    A step is 1.0 except on the first present row at or after the later of an action's date and the moment it was known,
    where it is (close * split + dividend) / close, or the split. An action before a column's first present row counts
    for nothing. Without actions both have the shape (0, N), which kernels read as "all 1.0".
    """
    if not rows.actions:
        _move(rows, last_time)
        return np.empty((0, rows.shape[1])), np.empty((0, rows.shape[1]))
    total, split = np.ones(rows.shape), np.ones(rows.shape)
    for action in sorted(rows.actions, key=lambda a: a.time_us):
        column, moment = action.instrument, max(action.time_us, action.known_at_us)
        if moment <= last_time[column]:
            continue
        present = np.flatnonzero(np.isfinite(rows.close[:, column]))
        at = int(np.searchsorted(rows.times[present], moment))
        if at == len(present) or (at == 0 and last_time[column] == NEVER):
            continue
        row = present[at]
        close = rows.close[row, column]
        total[row, column] *= (close * action.split + action.dividend) / close
        split[row, column] *= action.split
    _move(rows, last_time)
    return total, split


def _move(rows: Panel, last_time: NDArray[np.int64]) -> None:
    if len(rows) and bool(np.isfinite(rows.close[-1]).all()):
        last_time[:] = rows.times[-1]
        return
    finite = np.isfinite(rows.close)
    for column in np.flatnonzero(finite.any(axis=0)):
        last_time[column] = rows.times[np.flatnonzero(finite[:, column])[-1]]
