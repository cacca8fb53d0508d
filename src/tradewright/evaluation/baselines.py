"""What a result is compared with: doing nothing, holding, random timing, yesterday's sign; and costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradewright.compiled import kernel
from tradewright.evaluation.figures import simple_returns
from tradewright.evaluation.moments import moments
from tradewright.evaluation.values import Value
from tradewright.market.panel import Floats, Panel, Times
from tradewright.simulation.bars import Simulation
from tradewright.strategies.contract import TargetKind, Targets

Run = Callable[[Targets], Simulation]
"""Trades targets over the tested span with the costs of the result it is compared with."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """How a simple way to trade the same span did, net of the same costs."""

    name: str
    total_return: float
    annual_sharpe_ratio: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {"total_return": self.total_return, "annual_sharpe_ratio": self.annual_sharpe_ratio}


@dataclass(frozen=True, slots=True)
class RandomTiming:
    """Where the result stands among its own positions shifted in time.

    percentile: share of `shifts` circular shifts of the position series whose Sharpe ratio before costs lies below the
    unshifted one, ties counted half, 0 to 1; None with the reason where positions never changed.
    """

    percentile: float | None
    shifts: int
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {
            "percentile": self.percentile,
            "shifts": self.shifts,
            **({"reason": self.reason} if self.reason else {}),
        }


def simple_baselines(panel: Panel, run: Run, exposure: float, start_row: int, per_year: float) -> tuple[Baseline, ...]:
    """Return cash, buy-and-hold and previous-sign over the rows from start_row on.

    Both hold `exposure` of equity at most (the mean gross share that the result held; 0.95 when it held nothing), in
    equal parts: buy-and-hold once, previous-sign in what rose on the last row, flat in what fell.
    """
    share = min(exposure, 0.95) if exposure > 0 else 0.95
    hold = np.full(panel.shape, np.nan)
    first = [int(np.argmax(panel.present[start_row:, c])) for c in range(panel.shape[1])]
    for column, row in enumerate(first):
        if panel.present[start_row + row, column] and panel.instruments[column].kind.value not in ("index", "macro"):
            hold[start_row + row, column] = share / panel.shape[1]
    sign = np.full(panel.shape, np.nan)
    before, after = panel.total_return_close[:-1], panel.total_return_close[1:]
    rose = np.sign(after - before)
    sign[1:] = np.where(np.isnan(rose), np.nan, np.where(rose > 0, share / panel.shape[1], 0.0))
    repeated = np.zeros(panel.shape, np.bool_)
    repeated[1:] = sign[1:] == sign[:-1]
    sign[repeated] = np.nan
    sign[:, [i.kind.value in ("index", "macro") for i in panel.instruments]] = np.nan
    named = {"buy_and_hold": hold, "previous_sign": sign}
    made = [_baseline(name, run(Targets(v, TargetKind.WEIGHTS)), start_row, per_year) for name, v in named.items()]
    return (Baseline("cash", 0.0, None), *made)


def _baseline(name: str, simulation: Simulation, start_row: int, per_year: float) -> Baseline:
    sharpe = moments(simple_returns(simulation.equity, start_row)).sharpe
    total = float(simulation.equity[-1] / simulation.equity[start_row] - 1.0)
    return Baseline(name, total, None if sharpe is None else sharpe * math.sqrt(per_year))


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What was held and what it earned, row by row, each (n, N).

    before: share of equity held at the close before the row, it earns `overnight` (from that close to this row's fill
    price). after: share held at this row's close, it earns `within` (from the fill price to the close). A panel filled
    at the close has `within` of 0.
    """

    before: Floats
    after: Floats
    overnight: Floats
    within: Floats


def random_timing(held: Held, *, shifts: int = 1_000, seed: int = 7) -> RandomTiming:
    """Return where the timing of what was held stands among circular shifts of itself.

    A shift keeps turnover and holding times of every column and moves all columns together.
    """
    rows = len(held.after)
    if rows < 3 or not bool(np.any(held.after != held.before)):
        return RandomTiming(None, 0, "the positions never changed")
    draw = np.random.default_rng(seed)
    by = draw.choice(np.arange(1, rows), min(shifts, rows - 1), replace=False)
    ratios = _shifted_sharpes(
        np.ascontiguousarray(held.before),
        np.ascontiguousarray(held.after),
        np.ascontiguousarray(held.overnight),
        np.ascontiguousarray(held.within),
        np.append(0, by),
    )
    own, others = ratios[0], ratios[1:]
    below = float(np.mean(others < own) + np.mean(others == own) / 2)
    return RandomTiming(below, len(by))


@kernel
def _shifted_sharpes(before: Floats, after: Floats, overnight: Floats, within: Floats, shifts: Times) -> Floats:
    rows, n = before.shape
    out = np.empty(len(shifts))
    for s in range(len(shifts)):
        total, square = 0.0, 0.0
        k = rows - shifts[s] if shifts[s] else 0
        for t in range(rows):
            r = 0.0
            for c in range(n):
                r += before[k, c] * overnight[t, c] + after[k, c] * within[t, c]
            total += r
            square += r * r
            k += 1
            if k == rows:
                k = 0
        variance = square / rows - (total / rows) ** 2
        out[s] = total / rows / np.sqrt(variance) if variance > 0.0 else 0.0
    return out


@dataclass(frozen=True, slots=True)
class CostPoint:
    """The result at `multiple` times its costs."""

    multiple: float
    total_return: float
    annual_sharpe_ratio: float | None


@dataclass(frozen=True, slots=True)
class CostCurve:
    """How costs eat the result.

    points: at 0, 1, 2 and 4 times the costs. break_even_multiple: how many times the costs leave a total return of 0;
    break_even_bps: what a side may cost, in basis points of the notional, before the gain without costs is gone.
    """

    points: tuple[CostPoint, ...]
    break_even_multiple: Value
    break_even_bps: Value

    def to_json(self) -> dict[str, Any]:
        """Return the curve as plain values."""
        points = [
            {"multiple": p.multiple, "total_return": p.total_return, "annual_sharpe_ratio": p.annual_sharpe_ratio}
            for p in self.points
        ]
        return {
            "points": points,
            "break_even_multiple": self.break_even_multiple.to_json(),
            "break_even_bps": self.break_even_bps.to_json(),
        }


MULTIPLES = (0.0, 1.0, 2.0, 4.0)


def cost_curve(
    at: Callable[[float], Simulation],
    notional: Callable[[Simulation], float],
    free: bool,
    start_row: int,
    per_year: float,
) -> CostCurve:
    """Return the cost curve. at: simulates with so many times the costs. notional: traded by a simulation. free: the
    costs are 0, so that no multiple of them is a cost."""
    runs = {m: at(m) for m in MULTIPLES}
    points = []
    for multiple, simulation in runs.items():
        made = _baseline("", simulation, start_row, per_year)
        points.append(CostPoint(multiple, made.total_return, made.annual_sharpe_ratio))
    gross = float(runs[0.0].equity[-1] - runs[0.0].equity[start_row])
    traded = notional(runs[0.0])
    if not traded > 0:
        bps = Value(None, "nothing was traded")
    elif gross <= 0:
        bps = Value(None, "it loses without any costs")
    else:
        bps = Value(gross / traded * 1e4)
    return CostCurve(tuple(points), _break_even(at, bps, free, start_row), bps)


def _gains(simulation: Simulation, start_row: int) -> bool:
    return float(simulation.equity[-1]) > float(simulation.equity[start_row])


def _break_even(at: Callable[[float], Simulation], bps: Value, free: bool, start_row: int) -> Value:
    if bps.value is None or free:
        return Value(None, bps.reason or "the costs are 0")
    low, high = 0.0, 4.0
    while _gains(at(high), start_row):
        low, high = high, high * 2
        if high > 1024:
            return Value(None, "it gains at 1,024 times the costs")
    for _ in range(24):
        middle = (low + high) / 2
        if _gains(at(middle), start_row):
            low = middle
        else:
            high = middle
    return Value((low + high) / 2)
