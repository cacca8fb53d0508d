"""The fast path of the bar simulator: one instrument, a cash account, no actions, no lots, one rate.

Same rules and the same arithmetic as `kernel.run`, with the state in registers; a property test holds the two equal.
"""

from __future__ import annotations

import numpy as np

from tradewright.compiled import kernel
from tradewright.market.panel import Flags, Floats
from tradewright.simulation.kernel import (
    BAD,
    BROKE,
    CUT,
    DUST,
    EVENTS,
    NO_PRICE,
    SHORT,
    SMALL,
    Counts,
    affordable,
    count,
    grown,
    note,
)


@kernel
def run_one(
    price: Floats,
    close: Floats,
    present: Flags,
    tradable: Flags,
    targets: Floats,
    weights: bool,
    cash: float,
    costs: Floats,
    scale: float,
    start: int,
    equity: Floats,
) -> tuple[Floats, Floats, Counts, Counts]:
    """Return what `kernel.run` returns, for arrays of one column handed in flat, (T,); costs is (4,). Cash follows from
    the fills, so it is not written."""
    rows = len(close)
    rate, per_unit, minimum, edge = costs[0], costs[1], costs[2], costs[3]
    units, last, pending, decided, held = 0.0, np.nan, 0.0, -1, 0.0
    counts, first = np.zeros((EVENTS, 1), np.int64), np.full((EVENTS, 1), -1, np.int64)
    fills, filled = np.empty((1024, 6)), 0
    t = 0
    while t < rows:
        now, here = close[t], present[t]
        if decided >= 0 and here and tradable[t] and price[t] * scale > 0.0 and now == now:
            if pending < 0.0:
                pending = 0.0
                count(counts, first, SHORT, 0, t)
            delta = pending - units
            at, decided = decided, -1
            if abs(delta) > DUST * max(abs(pending), abs(units)):
                paid = price[t] * (1.0 + edge) if delta > 0.0 else price[t] * (1.0 - edge)
                each = paid * scale
                if delta > 0.0:
                    most = affordable(cash, each, rate, per_unit, minimum)
                    if delta > most:
                        delta = most
                        count(counts, first, CUT, 0, t)
                if abs(delta) <= DUST * max(abs(pending), abs(units)):
                    count(counts, first, SMALL, 0, t)
                else:
                    fee = max(minimum, rate * abs(delta) * each + per_unit * abs(delta))
                    cash -= delta * each + fee
                    units += delta
                    if filled == len(fills):
                        fills = grown(fills)
                    note(fills, filled, at, t, 0, delta, paid, fee)
                    filled += 1
        stop = t + 1 if decided >= 0 else rows
        t, last, held = _carry(t, stop, start, cash, units, last, held, scale, weights, close, present, targets, equity)
        if t < start:  # the order of no row before the start is taken
            t += 1
            continue
        target = targets[t] if t < rows else np.nan
        t += 1
        if target != target or (decided < 0 and not weights and target == units):
            continue
        if np.isinf(target):
            count(counts, first, BAD, 0, t - 1)
            continue
        if weights and target != 0.0:
            if not last * scale > 0.0:
                count(counts, first, NO_PRICE, 0, t - 1)
                continue
            if equity[t - 1] <= 0.0:
                count(counts, first, BROKE, 0, t - 1)
                continue
            target = target * equity[t - 1] / (last * scale)
        pending, decided = target, t - 1
    final = np.empty((2, 1))
    final[0, 0], final[1, 0] = units, held / max(rows - 1 - start, 1)
    return fills[:filled].copy(), final, counts, first


@kernel
def _carry(
    row: int,
    stop: int,
    start: int,
    cash: float,
    units: float,
    last: float,
    held: float,
    scale: float,
    weights: bool,
    close: Floats,
    present: Flags,
    targets: Floats,
    equity: Floats,
) -> tuple[int, float, float]:
    rows, end = len(close), stop
    for t in range(max(row, start), stop):
        target = targets[t]
        if target == target and (weights or target != units):
            end = t + 1
            break
    if units == 0.0:
        for t in range(row, end):
            equity[t] = cash
        for t in range(end - 1, row - 1, -1):
            if present[t] and close[t] == close[t]:
                last = close[t]
                break
        return end - 1, last, held
    for t in range(row, end):
        now = close[t]
        last = now if present[t] and now == now else last
        worth = units * last * scale
        total = cash + worth
        equity[t] = total
        held += worth / total
    if end == rows:  # what is held at the last close is held into no row
        held -= units * last * scale / equity[rows - 1]
    return end - 1, last, held
