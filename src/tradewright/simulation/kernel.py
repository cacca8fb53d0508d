"""The compiled loop of the bar simulator: arrays and numbers in, arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradewright.compiled import kernel
from tradewright.market.panel import Flags, Floats

Counts = NDArray[np.int64]

CUT, SHORT, NO_PRICE, SMALL, DELISTED, BROKE, BAD = range(7)
"""Rows of `events`: a buy cut to what cash pays, a sale below zero cut to flat, a weight without a price, an order
below a lot or the smallest notional, a position closed at its last price, a weight of equity that is gone, an infinite
target."""

EVENTS = 7
DUST = 1e-12
"""An order below this share of the position is rounding and is not sent."""


@kernel
def run(
    price: Floats,
    close: Floats,
    present: Flags,
    tradable: Flags,
    targets: Floats,
    weights: bool,
    cash: float,
    costs: Floats,
    leverage: float,
    lots: Floats,
    smallest: Floats,
    scale: Floats,
    start: int,
    action_row: Counts,
    action_column: Counts,
    action_split: Floats,
    action_dividend: Floats,
    settle: Counts,
    equity: Floats,
    cash_out: Floats,
    units_out: Floats,
) -> tuple[Counts, Floats, Counts, Counts]:
    """Trade `targets` over the bars; fill `equity` and `cash_out` (T,), and `units_out` (T, N) unless it is empty.

    price, close, present, tradable, targets: (T, N); price is what orders are filled at. costs: (4, N) of
    Costs.columns. lots, smallest: (N,) lot and smallest notional, 0 for none. scale: (T or 1, N) account currency per
    price unit. start: first decision row. action_*: (A,) in order of row; the row is the first bar on the new terms.
    settle: (N,) row at which what is held is closed at its last close, or -1.
    Returns fills (F, 6: decided, filled, column, then the bits of units, price, fee), the final units and the mean
    weight held into each next row (2, N), count and first row of each event (EVENTS, N) each.
    """
    rows, n = close.shape
    one = len(scale) == 1
    keep = len(units_out) > 0
    units, last = np.zeros(n), np.full(n, np.nan)
    pending, decided, waiting = np.zeros(n), np.full(n, -1, np.int64), 0
    held = np.zeros(n)
    counts, first = np.zeros((EVENTS, n), np.int64), np.full((EVENTS, n), -1, np.int64)
    fills, filled = np.empty((1024, 6)), 0
    settling = False
    for c in range(n):
        settling = settling or settle[c] >= 0
    action = 0
    for t in range(rows):
        s = 0 if one else t
        while action < len(action_row) and action_row[action] == t:
            c = action_column[action]
            cash += units[c] * action_dividend[action] * scale[s, c]
            units[c] *= action_split[action]
            pending[c] *= action_split[action]
            action += 1
        if settling:
            for c in range(n):
                if settle[c] == t:
                    if decided[c] >= 0:
                        decided[c] = -1
                        waiting -= 1
                    if units[c] != 0.0:
                        notional = abs(units[c]) * last[c] * scale[s, c]
                        fee = max(costs[2, c], costs[0, c] * notional + costs[1, c] * abs(units[c]))
                        cash += units[c] * last[c] * scale[s, c] - fee
                        if filled == len(fills):
                            fills = grown(fills)
                        note(fills, filled, t - 1, t, c, -units[c], last[c], fee)
                        filled += 1
                        units[c] = 0.0
                        count(counts, first, DELISTED, c, t)
        if waiting > 0:
            wealth, gross = cash, 0.0
            if leverage != 1.0:
                for c in range(n):
                    if units[c] != 0.0:
                        mark = price[t, c] if present[t, c] and price[t, c] == price[t, c] else last[c]
                        wealth += units[c] * mark * scale[s, c]
                        gross += abs(units[c]) * mark * scale[s, c]
            for side in range(2):  # what lowers units first
                for c in range(n):
                    if decided[c] < 0 or not (present[t, c] and tradable[t, c]):
                        continue
                    mark = price[t, c]
                    if not (mark * scale[s, c] > 0.0 and close[t, c] == close[t, c]):
                        continue
                    want = pending[c]
                    if leverage == 1.0 and want < 0.0:
                        want = 0.0
                        pending[c] = 0.0
                        count(counts, first, SHORT, c, t)
                    delta = want - units[c]
                    if side == 0 and delta > 0.0:
                        continue
                    at, decided[c] = decided[c], -1
                    waiting -= 1
                    if abs(delta) <= DUST * max(abs(want), abs(units[c])):
                        continue
                    paid = mark * (1.0 + costs[3, c]) if delta > 0.0 else mark * (1.0 - costs[3, c])
                    each = paid * scale[s, c]
                    grows = abs(want) > abs(units[c])
                    if delta > 0.0 and leverage == 1.0:
                        most = affordable(cash, each, costs[0, c], costs[1, c], costs[2, c])
                    elif leverage != 1.0 and (grows or want * units[c] < 0.0):
                        kept = abs(units[c]) * mark * scale[s, c]
                        closing = kept if want * units[c] < 0.0 else 0.0
                        room = leverage * wealth - (gross - closing)
                        most = affordable(
                            room, each, leverage * costs[0, c], leverage * costs[1, c], leverage * costs[2, c]
                        ) + (abs(units[c]) if closing > 0.0 else 0.0)
                    else:
                        most = np.inf
                    if abs(delta) > most:
                        delta = most if delta > 0.0 else -most
                        count(counts, first, CUT, c, t)
                    if lots[c] > 0.0:
                        delta = np.sign(delta) * np.floor(abs(delta) / lots[c] * (1.0 + 1e-12)) * lots[c]
                    if abs(delta) <= DUST * max(abs(want), abs(units[c])) or abs(delta) * each < smallest[c]:
                        count(counts, first, SMALL, c, t)
                        continue
                    fee = max(costs[2, c], costs[0, c] * abs(delta) * each + costs[1, c] * abs(delta))
                    gross += (abs(units[c] + delta) - abs(units[c])) * mark * scale[s, c]
                    wealth -= fee + abs(delta) * abs(paid - mark) * scale[s, c]
                    cash -= delta * each + fee
                    units[c] += delta
                    if filled == len(fills):
                        fills = grown(fills)
                    note(fills, filled, at, t, c, delta, paid, fee)
                    filled += 1
        total = cash
        for c in range(n):
            if present[t, c] and close[t, c] == close[t, c]:
                last[c] = close[t, c]
            if units[c] != 0.0:
                total += units[c] * last[c] * scale[s, c]
        equity[t], cash_out[t] = total, cash
        for c in range(n):
            if keep:
                units_out[t, c] = units[c]
            if t >= start:
                if units[c] != 0.0 and t < rows - 1:
                    held[c] += units[c] * last[c] * scale[s, c] / total
                target = targets[t, c]
                if target != target or (decided[c] < 0 and not weights and target == units[c]):
                    continue
                if np.isinf(target):
                    count(counts, first, BAD, c, t)
                    continue
                if weights and target != 0.0:
                    if not last[c] * scale[s, c] > 0.0:
                        count(counts, first, NO_PRICE, c, t)
                        continue
                    if total <= 0.0:
                        count(counts, first, BROKE, c, t)
                        continue
                    target = target * total / (last[c] * scale[s, c])
                if decided[c] < 0:
                    waiting += 1
                pending[c], decided[c] = target, t
    final = np.empty((2, n))
    for c in range(n):
        final[0, c] = units[c]
        final[1, c] = held[c] / max(rows - 1 - start, 1)
    return packed(fills, filled), final, counts, first


@kernel
def affordable(money: float, each: float, rate: float, per_unit: float, minimum: float) -> float:
    """Return how many units `money` pays at `each` with the fee."""
    if money <= 0.0:
        return 0.0
    amount = money / (each * (1.0 + rate) + per_unit)
    if amount * (each * rate + per_unit) < minimum:
        amount = (money - minimum) / each
    return max(amount, 0.0)


@kernel
def grown(fills: Floats) -> Floats:
    """Return `fills` with room for as many again."""
    larger = np.empty((2 * len(fills), 6))
    larger[: len(fills)] = fills
    return larger


@kernel
def packed(fills: Floats, filled: int) -> Counts:
    """Return the first `filled` fills in the layout of `FILL`: three whole numbers, then the bits of three floats."""
    out = np.empty((filled, 6), np.int64)
    numbers = out.view(np.float64)
    for k in range(filled):
        for j in range(3):
            out[k, j] = np.int64(fills[k, j])
            numbers[k, 3 + j] = fills[k, 3 + j]
    return out


@kernel
def note(
    fills: Floats, at: int, decided: int, filled: int, column: int, units: float, price: float, fee: float
) -> None:
    """Write one fill at place `at`."""
    fills[at, 0] = decided
    fills[at, 1] = filled
    fills[at, 2] = column
    fills[at, 3] = units
    fills[at, 4] = price
    fills[at, 5] = fee


@kernel
def count(counts: Counts, first: Counts, event: int, column: int, row: int) -> None:
    """Count an event and keep its first row."""
    counts[event, column] += 1
    if first[event, column] < 0:
        first[event, column] = row
