"""Return and risk figures of an equity curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewright.clock import DAY_US
from tradewright.compiled import kernel
from tradewright.evaluation.forecasts import wilson_interval
from tradewright.evaluation.moments import BLOCK, Moments, normal_quantile
from tradewright.evaluation.sharpe import (
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
    sharpe_ratio_standard_error,
)
from tradewright.evaluation.values import Value
from tradewright.market.instruments import Interval
from tradewright.market.panel import Floats, Panel, Times

_YEAR_US = 365.25 * DAY_US
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a result. value: None where there is no finite answer, `reason` says why. n: how many observations.

    low, high: 95 % interval, None where none is given.
    """

    value: float | None
    n: int | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @classmethod
    def of(cls, value: Value, n: int | None = None) -> Figure:
        """Return the figure of a statistic."""
        return cls(value.value, n, reason=value.reason)

    def to_json(self) -> dict[str, Any]:
        """Return the fields that say something; `value` always."""
        pairs = {"n": self.n, "low": self.low, "high": self.high, "reason": self.reason or None}
        return {"value": self.value, **{name: given for name, given in pairs.items() if given is not None}}


Figures = Mapping[str, Figure]


def periods_per_year(panel: Panel) -> float:
    """Return rows per year, by which per-period figures are made annual: 252 for daily bars of an exchange.

    365 for daily bars that never pause; for shorter bars the year's bars when all calendars are 24/7, else what the
    panel itself shows (rows over the years it spans).
    """
    always = all(i.calendar == "24/7" for i in panel.instruments)
    equities = any(i.kind.value == "equity" for i in panel.instruments)
    if panel.interval is Interval.DAY:
        return 365.0 if always and not equities else 252.0
    if always or len(panel) < 2:
        return 365.0 * DAY_US / panel.interval.us
    return (len(panel) - 1) / (float(panel.times[-1] - panel.times[0]) / _YEAR_US)


@dataclass(frozen=True, slots=True)
class Trading:
    """What was traded over the tested span: notional and fees in account currency, mean gross share held, fills."""

    notional: float
    fees: float
    exposure: float
    fills: int


def describe(equity: Floats, moments: Moments, trading: Trading, per_year: float) -> dict[str, Figure]:
    """Return the figures of a tested span by name.

    equity: (n + 1,). moments: of its n simple returns, net, per period. per_year: periods in a year.
    Shares are fractions (0.1 is 10 %); lengths are rows; `sharpe_ratio`, `skew`, `kurtosis`, `autocorrelation` are per
    period, names with `annual` per year. hit_rate counts the rows that moved equity.
    """
    n, years = len(equity) - 1, (len(equity) - 1) / per_year
    total = float(equity[-1] / equity[0] - 1.0)
    downside, wins, moved, mean_equity = _returns_path(equity)
    drawdown, length, under = _drawdowns(equity)
    low, high = wilson_interval(wins, moved) if moved else (None, None)
    return {
        "total_return": Figure(total, n),
        "annual_return": _annual_return(total, years, n),
        "annual_volatility": Figure(moments.std * math.sqrt(per_year), n) if n > 1 else _too_few(n),
        **_sharpe_figures(moments, per_year),
        "annual_sortino_ratio": _sortino(moments, downside, per_year),
        "maximum_drawdown": Figure(drawdown, n),
        "maximum_drawdown_rows": Figure(float(length), n),
        "longest_drawdown_rows": Figure(float(under), n),
        "hit_rate": Figure(wins / moved, moved, low, high) if moved else Figure(None, 0, reason="equity never moved"),
        "exposure": Figure(trading.exposure, n),
        "annual_turnover": Figure(trading.notional / mean_equity / years, n) if n else _too_few(n),
        "fees": Figure(trading.fees),
        "fills": Figure(float(trading.fills)),
        "periods_per_year": Figure(per_year),
    }


def _too_few(n: int) -> Figure:
    return Figure(None, n, reason=f"there are only {n} returns")


def _annual_return(total: float, years: float, n: int) -> Figure:
    if n == 0 or total <= -1.0:
        return Figure(None, n, reason="the capital is gone" if n else "there are no returns")
    grown = math.log1p(total) / years
    return Figure(math.expm1(grown), n) if grown < 700 else Figure(None, n, reason="the span is too short to compound")


def _sortino(moments: Moments, downside: float, per_year: float) -> Figure:
    if not downside > 0:
        return Figure(None, moments.n, reason="no return lies below zero")
    return Figure(moments.mean / downside * math.sqrt(per_year), moments.n)


def significant_autocorrelation(moments: Moments) -> float:
    """Return the first autocorrelation when it lies above 1.96 / sqrt(n), else 0.

    Only positive ones are used: they widen the error of a Sharpe ratio, negative ones would narrow it.
    """
    bound = 1.96 / math.sqrt(moments.n) if moments.n else math.inf
    return min(moments.autocorrelation, 0.99) if moments.autocorrelation > bound else 0.0


def _sharpe_figures(moments: Moments, per_year: float) -> dict[str, Figure]:
    n, sharpe, year = moments.n, moments.sharpe, math.sqrt(per_year)
    names = ("sharpe_ratio", "annual_sharpe_ratio", "probabilistic_sharpe_ratio", "probabilistic_sharpe_ratio_2026")
    if sharpe is None:
        reason = "the returns have no variance" if n > 1 else f"there are only {n} returns"
        return {name: Figure(None, n, reason=reason) for name in (*names, "minimum_track_record_length")}
    shape: dict[str, Any] = {"skew": moments.skew, "kurtosis": moments.kurtosis}
    rho = significant_autocorrelation(moments)
    error = sharpe_ratio_standard_error(sharpe=sharpe, n=n, autocorrelation=rho, **shape)
    margin = math.inf if error is None else normal_quantile(0.5 + _CONFIDENCE / 2) * error
    low, high = (sharpe - margin, sharpe + margin) if math.isfinite(margin) else (None, None)
    annual = (None, None) if low is None or high is None else (low * year, high * year)
    form_2012 = probabilistic_sharpe_ratio.explained(sharpe=sharpe, n=n, autocorrelation=rho, **shape)
    form_2026 = probabilistic_sharpe_ratio.explained(sharpe=sharpe, n=n, autocorrelation=rho, form="2026", **shape)
    length = minimum_track_record_length.explained(sharpe=sharpe, autocorrelation=rho, **shape)
    return {
        "sharpe_ratio": Figure(sharpe, n, low, high),
        "annual_sharpe_ratio": Figure(sharpe * year, n, *annual),
        "probabilistic_sharpe_ratio": Figure.of(form_2012, n),
        "probabilistic_sharpe_ratio_2026": Figure.of(form_2026, n),
        "minimum_track_record_length": Figure.of(length, n),
        "skew": Figure(moments.skew, n),
        "kurtosis": Figure(moments.kurtosis, n),
        "autocorrelation": Figure(moments.autocorrelation, n),
    }


@kernel
def _returns_path(equity: Floats) -> tuple[float, int, int, float]:
    returns, n = np.empty(BLOCK), len(equity) - 1
    wins, moved = 0, 0
    below, total = np.zeros(4), np.zeros(4)
    for first in range(1, len(equity), BLOCK):
        count = min(BLOCK, len(equity) - first)
        before, after = equity[first - 1 :], equity[first:]
        for k in range(count):
            returns[k] = after[k] / before[k] - 1.0 if before[k] > 0.0 else 0.0
        for k in range(count):  # without branches: the signs of returns cannot be predicted
            moved += returns[k] != 0.0
            wins += returns[k] > 0.0
        for k in range(count):
            returns[k] = min(returns[k], 0.0) * returns[k]
        k = 0
        while k + 4 <= count:
            for j in range(4):
                below[j] += returns[k + j]
                total[j] += after[k + j]
            k += 4
        while k < count:
            below[0] += returns[k]
            total[0] += after[k]
            k += 1
    downside = np.sqrt(np.sum(below) / n) if n else 0.0
    return downside, wins, moved, (equity[0] + np.sum(total)) / (n + 1)


@kernel
def _drawdowns(equity: Floats) -> tuple[float, int, int]:
    peak, peak_at, deepest, deepest_peak, deepest_length, longest = equity[0], 0, 0.0, -1, 0, 0
    for first in range(1, len(equity), BLOCK):
        part = equity[first : first + BLOCK]
        peaks = 0
        for k in range(len(part)):
            peaks += part[k] >= peak
        # under water all along, only the lowest row counts
        step, lowest = (1, peak) if peaks else (len(part), _lowest(part))
        for k in range(step - 1, len(part), step):
            value, t = part[k] if peaks else lowest, first + k
            if value >= peak:
                peak, peak_at = value, t
                continue
            longest = max(longest, t - peak_at)
            if value < peak * (1.0 - deepest):
                deepest, deepest_peak = 1.0 - value / peak, peak_at
            if peak_at == deepest_peak:
                deepest_length = t - peak_at
    return deepest, deepest_length, longest


@kernel
def _lowest(values: Floats) -> float:
    a = b = c = d = values[0]
    k = 0
    while k + 4 <= len(values):
        p, q, r, s = values[np.uint64(k)], values[np.uint64(k + 1)], values[np.uint64(k + 2)], values[np.uint64(k + 3)]
        a, b, c, d = p if p < a else a, q if q < b else b, r if r < c else c, s if s < d else d
        k += 4
    while k < len(values):
        a = min(a, values[k])
        k += 1
    lowest: float = min(min(a, b), min(c, d))
    return lowest


@kernel
def simple_returns(equity: Floats, start: int) -> Floats:
    """Return equity[t] / equity[t - 1] - 1 for t > start, (T - 1 - start,); 0 after equity has reached zero."""
    out = np.empty(max(len(equity) - 1 - start, 0))
    for k in range(len(out)):
        before = equity[start + k]
        out[k] = equity[start + k + 1] / before - 1.0 if before > 0.0 else 0.0
    return out


def daily_returns(times: Times, equity: Floats, start: int) -> Floats:
    """Return the returns from the last row of each UTC day to that of the next, from row `start` on."""
    ends = _last_rows_of_days(times[start:])
    worth = equity[start:][ends]
    if len(times) - start < 2:
        return np.empty(0)
    if ends[0] == 0:  # the first day ends on the row that is the base of all
        worth = worth[1:] if len(worth) > 1 else worth
    before = np.concatenate([equity[start : start + 1], worth[:-1]])
    returns: Floats = np.divide(worth, before, out=np.ones_like(worth), where=before > 0.0) - 1.0
    return returns


@kernel
def _last_rows_of_days(times: Times) -> NDArray[np.int64]:
    day_us, rows = 86_400_000_000, len(times)
    out, count, row = np.empty(min(64, rows), np.int64), 0, 0
    while row < rows:
        following = (times[row] // day_us + 1) * day_us
        low, step = row, 1
        while low + step < rows and times[low + step] < following:  # ever longer steps, then half by half
            low += step
            step *= 2
        high = min(low + step, rows)
        while high - low > 1:
            middle = (low + high) // 2
            if times[middle] < following:
                low = middle
            else:
                high = middle
        if count == len(out):
            larger = np.empty(min(2 * len(out), rows), np.int64)
            larger[:count] = out
            out = larger
        out[count] = low
        count += 1
        row = low + 1
    return out[:count].copy()
