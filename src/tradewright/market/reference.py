"""The one rule for "what would I have got": the first executable price after a decision, and the same rule later.

Labels, signal scores and simulator mean the same by entry and exit because all of them come from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tradewright.compiled import kernel
from tradewright.errors import InvalidInput
from tradewright.market.panel import Action, Floats, Panel

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ReferencePrices:
    """Entry and exit of a decision on every row, all (T, N).

    entry: the price an order decided on row t gets. exit: what one unit bought at `entry` is worth `horizon` rows
    later, splits multiplied in and dividends added in cash, so that exit / entry - 1 is the total return. entry_row,
    exit_row: the rows those prices stand in. NaN and -1 where a price has not been seen yet.
    """

    entry: Floats
    exit: Floats
    entry_row: Rows
    exit_row: Rows

    @property
    def returns(self) -> Floats:
        """exit / entry - 1, (T, N), NaN where not yet known."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.exit / self.entry - 1.0, dtype=np.float64)


def executable_prices(panel: Panel) -> Floats:
    """Return (T, N) the price at which an order waiting for each bar is filled, NaN where it cannot be.

    The open of a present, tradable bar; its close when the panel is close-only.
    """
    price = panel.close if panel.close_only else panel.open
    usable = panel.present & panel.tradable & np.isfinite(price)
    return np.where(usable, price, np.nan)


def reference_prices(panel: Panel, horizon: int) -> ReferencePrices:
    """Return entry and exit of a decision on every row of `panel`.

    Entry of row t: the executable price of the first bar after row t that has one. Exit of row t: the entry of row
    t + horizon (rows of the panel, so a missing bar delays the fill, not the clock), in terms of the unit bought at
    entry. A split or dividend counts from the first row at or after both its date and the moment it was known; one
    in the exit row counts, one in the entry row does not. Row t of a prefix of the panel equals row t of the whole
    wherever it is not NaN. Raises InvalidInput when horizon < 1.
    """
    if horizon < 1:
        raise InvalidInput(f"horizon must be at least 1 row, got {horizon}")
    price = executable_prices(panel)
    entry, entry_row = _next_prices(price)
    exit_, exit_row = np.full(entry.shape, np.nan), np.full(entry.shape, -1, dtype=np.int64)
    if horizon < len(panel):
        exit_[:-horizon], exit_row[:-horizon] = entry[horizon:], entry_row[horizon:]
    exit_ = _in_entry_terms(panel, exit_, entry_row, exit_row)
    return ReferencePrices(entry, exit_, entry_row, exit_row)


@dataclass(frozen=True, slots=True)
class PendingReference:
    """The reference prices of one decision in one column, as far as its rows have arrived.

    seen: rows seen since the decision. last_time_us: time of the last of them. units, cash: what one unit bought at
    `entry` has become by splits and dividends.
    """

    column: int
    horizon: int
    seen: int = 0
    last_time_us: int = -1
    entry: float | None = None
    entry_time_us: int | None = None
    units: float = 1.0
    cash: float = 0.0
    exit: float | None = None
    exit_time_us: int | None = None

    @property
    def realized_return(self) -> float | None:
        """exit / entry - 1, or None while it is not known."""
        return None if self.entry is None or self.exit is None else self.exit / self.entry - 1.0


def observe(pending: PendingReference, rows: Panel) -> PendingReference:
    """Return `pending` after `rows`: the rows that follow its decision, each handed in once and in order.

    Gives the numbers of `reference_prices`, row by row or many at once.
    """
    price = executable_prices(rows)[:, pending.column]
    mine = sorted((a for a in rows.actions if a.instrument == pending.column), key=_effective_us)
    for row in range(len(rows)):
        if pending.exit is not None:
            break
        now = int(rows.times[row])
        if pending.entry is not None:
            for action in mine:
                if pending.last_time_us < _effective_us(action) <= now:
                    cash = pending.cash + pending.units * action.dividend
                    pending = replace(pending, units=pending.units * action.split, cash=cash)
        pending = _see(pending, float(price[row]), now)
    return pending


def _see(pending: PendingReference, price: float, now_us: int) -> PendingReference:
    pending = replace(pending, seen=pending.seen + 1, last_time_us=now_us)
    if not np.isfinite(price):
        return pending
    if pending.entry is None:
        pending = replace(pending, entry=price, entry_time_us=now_us)
    if pending.seen > pending.horizon:
        pending = replace(pending, exit=pending.units * price + pending.cash, exit_time_us=now_us)
    return pending


def _effective_us(action: Action) -> int:
    return max(action.time_us, action.known_at_us)


def _in_entry_terms(panel: Panel, exit_: Floats, entry_row: Rows, exit_row: Rows) -> Floats:
    if not panel.actions:
        return exit_
    units, cash = np.ones(exit_.shape), np.zeros(exit_.shape)
    for action in sorted(panel.actions, key=_effective_us):
        column, row = action.instrument, int(np.searchsorted(panel.times, _effective_us(action)))
        between = (entry_row[:, column] < row) & (row <= exit_row[:, column])
        cash[between, column] += units[between, column] * action.dividend
        units[between, column] *= action.split
    return units * exit_ + cash


@kernel
def _next_prices(price: Floats) -> tuple[Floats, Rows]:
    rows, columns = price.shape
    value = np.full((rows, columns), np.nan)
    place = np.full((rows, columns), -1, dtype=np.int64)
    for column in range(columns):
        for row in range(rows - 2, -1, -1):
            if np.isnan(price[row + 1, column]):
                value[row, column] = value[row + 1, column]
                place[row, column] = place[row + 1, column]
            else:
                value[row, column] = price[row + 1, column]
                place[row, column] = row + 1
    return value, place
