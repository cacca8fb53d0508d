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
    packed,
)

LANES = 8
"""Rows that are looked at together."""


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
    steady: bool,
) -> tuple[Counts, Floats, Counts, Counts]:
    """Return what `kernel.run` returns, for arrays of one column handed in flat, (T,); costs is (4,).

    steady: present is True on every row. Cash follows from the fills, so it is not written.
    """
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
        end, weight, _ = _carried(t, start, stop, weights, cash, units, scale, close, targets, price, equity)
        if steady and weight == weight:
            last = close[end - 1]
        else:  # a stretch with a missing close
            last, weight = _carried_over_gaps(t, end, cash, units, last, scale, close, present, equity)
        held += weight
        t = end - 1
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
    if units != 0.0:  # what is held at the last close is held into no row
        held -= units * last * scale / equity[rows - 1]
    final = np.empty((2, 1))
    final[0, 0], final[1, 0] = units, held / max(rows - 1 - start, 1)
    return packed(fills, filled), final, counts, first


@kernel
def _carried(
    row: int,
    start: int,
    stop: int,
    weights: bool,
    cash: float,
    units: float,
    scale: float,
    close: Floats,
    targets: Floats,
    price: Floats,
    equity: Floats,
) -> tuple[int, float, int]:
    t, priced = row, 0
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    while t + LANES <= stop:
        changes = 0
        for j in range(LANES):
            k = np.uint64(t + j)  # an index that cannot be negative is not checked
            changes += (targets[k] == targets[k]) & (weights | (targets[k] != units))
        if changes and t + LANES > start:
            break
        for j in range(0, LANES, 4):
            k, k1, k2, k3 = np.uint64(t + j), np.uint64(t + j + 1), np.uint64(t + j + 2), np.uint64(t + j + 3)
            p0, p1, p2, p3 = close[k], close[k1], close[k2], close[k3]
            w0, w1, w2, w3 = units * p0 * scale, units * p1 * scale, units * p2 * scale, units * p3 * scale
            e0, e1, e2, e3 = cash + w0, cash + w1, cash + w2, cash + w3
            equity[k], equity[k1], equity[k2], equity[k3] = e0, e1, e2, e3
            a, b, c, d = a + w0 / e0, b + w1 / e1, c + w2 / e2, d + w3 / e3
        priced += price[np.uint64(t)] > 0.0  # keeps prices at hand for the next order, which else waits for memory
        t += LANES
    while t < stop:
        k = np.uint64(t)
        worth = units * close[k] * scale
        equity[k] = cash + worth
        a += worth / equity[k]
        t += 1
        if t > start and targets[k] == targets[k] and (weights or targets[k] != units):
            break
    return t, (a + b) + (c + d), priced


@kernel
def _carried_over_gaps(
    row: int,
    end: int,
    cash: float,
    units: float,
    last: float,
    scale: float,
    close: Floats,
    present: Flags,
    equity: Floats,
) -> tuple[float, float]:
    held = 0.0
    for t in range(row, end):
        if present[t] and close[t] == close[t]:
            last = close[t]
        if units == 0.0:
            equity[t] = cash
            continue
        worth = units * last * scale
        equity[t] = cash + worth
        held += worth / equity[t]
    return last, held
