"""Which splits and dividends take place in a closed row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tradewright.market.orders import ExactAction, to_exact
from tradewright.market.panel import Action, Panel, Times

NEVER = np.iinfo(np.int64).min
"""In the place of a time: an instrument has had no bar yet."""


def last_bars(rows: Panel, before: Times | None = None) -> Times:
    """Return the time of the last bar of each column of `rows`, (N,), else that in `before`, else `NEVER`."""
    last = np.full(rows.shape[1], NEVER) if before is None else before.copy()
    for column in np.flatnonzero(rows.present.any(axis=0)):
        last[column] = rows.times[np.flatnonzero(rows.present[:, column])[-1]]
    return last


def visible(actions: Iterable[Action], time_us: int, before: Times) -> tuple[Action, ...]:
    """Return those of `actions` that a row of this time carries: known by then, and not in effect at an earlier bar.
    before: as in `due`."""
    return tuple(
        each
        for each in actions
        if each.known_at_us <= time_us and max(each.time_us, each.known_at_us) > before[each.instrument]
    )


def due(row: Panel, before: Times) -> list[ExactAction]:
    """Return what takes place in a panel of one row, in the order in which books take it.

    before: (N,) time of the last bar of each instrument. An action takes place in the first bar at or after both its
    date and the moment it was known, as in `simulation.bars.simulate`; on an instrument without a bar before, in none.
    """
    now = int(row.times[0])
    found = [
        action
        for action in row.actions
        if row.present[0, action.instrument]
        and NEVER < before[action.instrument] < max(action.time_us, action.known_at_us) <= now
    ]
    found.sort(key=lambda action: (action.time_us, action.instrument, action.split, action.dividend))
    return [to_exact(row.ids[action.instrument], action) for action in found]
