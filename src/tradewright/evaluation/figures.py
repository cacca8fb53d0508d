"""Return and risk figures of an equity curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradewright.clock import DAY_US
from tradewright.compiled import kernel
from tradewright.evaluation.forecasts import wilson_interval
from tradewright.evaluation.moments import Moments, normal_quantile
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


def describe(equity: Floats, returns: Floats, moments: Moments, trading: Trading, per_year: float) -> dict[str, Figure]:
    """Return the figures of a tested span by name.

    equity: (n + 1,). returns: (n,), net, per period, with their `moments`. per_year: periods in a year.
    Shares are fractions (0.1 is 10 %); lengths are rows; `sharpe_ratio`, `skew`, `kurtosis`, `autocorrelation` are per
    period, names with `annual` per year. hit_rate counts the rows that moved equity.
    """
    n, years = len(returns), len(returns) / per_year
    total = float(equity[-1] / equity[0] - 1.0)
    downside, wins, moved, drawdown, length, under = _path(equity, returns)
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
        "annual_turnover": Figure(trading.notional / float(np.mean(equity)) / years, n) if n else _too_few(n),
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
def _path(equity: Floats, returns: Floats) -> tuple[float, int, int, float, int, int]:
    below, wins, moved = 0.0, 0, 0
    for r in returns:  # without branches: the signs of returns cannot be predicted
        moved += r != 0.0
        wins += r > 0.0
        below += min(r, 0.0) * r
    peak, peak_at, deepest, deepest_peak, deepest_length, longest = equity[0], 0, 0.0, -1, 0, 0
    for t in range(1, len(equity)):
        value = equity[t]
        if value >= peak:
            peak, peak_at = value, t
            continue
        if t - peak_at > longest:
            longest = t - peak_at
        if value < peak * (1.0 - deepest):
            deepest, deepest_peak = 1.0 - value / peak, peak_at
        if peak_at == deepest_peak:
            deepest_length = t - peak_at
    downside = np.sqrt(below / len(returns)) if len(returns) else 0.0
    return downside, wins, moved, deepest, deepest_length, longest


@kernel
def simple_returns(equity: Floats, start: int) -> Floats:
    """Return equity[t] / equity[t - 1] - 1 for t > start, (T - 1 - start,); 0 after equity has reached zero."""
    out = np.empty(max(len(equity) - 1 - start, 0))
    for k in range(len(out)):
        before = equity[start + k]
        out[k] = equity[start + k + 1] / before - 1.0 if before > 0.0 else 0.0
    return out


@kernel
def daily_returns(times: Times, equity: Floats, start: int) -> Floats:
    """Return the returns from the last row of each UTC day to that of the next, from row `start` on."""
    day_us = 86_400_000_000
    out = np.empty(max(len(equity) - 1 - start, 0))
    count, base, day = 0, equity[start], times[start] // day_us
    for t in range(start + 1, len(equity)):
        following = times[t] // day_us
        if following != day:
            if t - 1 > start:
                out[count] = equity[t - 1] / base - 1.0 if base > 0.0 else 0.0
                count += 1
                base = equity[t - 1]
            day = following
    if len(out):
        out[count] = equity[-1] / base - 1.0 if base > 0.0 else 0.0
        count += 1
    return out[:count].copy()
