"""What a portfolio was worth at every bar since it was opened, and what that says. Pure.

Returns are time-weighted: money paid in or out between two moments is no gain or loss. Daily ones go from the last
moment of a UTC day to that of the next; the day that is running counts up to now.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from tradewright.clock import DAY_US
from tradewright.market.panel import Floats, Times

MIN_DAYS = 20  # returns of days below which nothing is said per year
_YEAR_US = 365.25 * DAY_US
_HELD = "assets:positions:"


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """times: (T,) ascending. equity: (T,). paid: (T,) what was paid in since the moment before, less what was taken."""

    times: Times
    equity: Floats
    paid: Floats


@dataclass(frozen=True, slots=True)
class Figures:
    """total_return, maximum_drawdown: fractions. days: how many daily returns the annual figures are of; these are None
    below MIN_DAYS, the Sharpe ratio where the returns do not vary too."""

    total_return: float
    maximum_drawdown: float
    days: int
    annual_volatility: float | None
    annual_sharpe_ratio: float | None


def instruments_of(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return every instrument that the lines of a ledger ever held, in order of their ids."""
    accounts = (line["account"] for line in lines)
    return sorted({each.removeprefix(_HELD) for each in accounts if each.startswith(_HELD)})


def worth(
    lines: Sequence[Mapping[str, Any]], currency: str, made_us: int, closes: Mapping[str, tuple[Times, Floats]]
) -> Worth:
    """Return what a portfolio was worth at its first line and at every close since.

    lines: of its ledger, any order. made_us: the moment that stands for one without lines. closes: (times, closes) by
    instrument, ascending. Moments at which something was held that had no close yet are left out.
    """
    opened = min((line["time"] for line in lines), default=made_us)
    bars = [times[times > opened] for times, _ in closes.values()]
    booked = np.array([line["time"] for line in lines], dtype=np.int64)
    times = np.unique(np.concatenate([np.array([opened], dtype=np.int64), booked, *bars]))
    equity = _running(lines, times, "assets:cash", currency)
    for instrument, (seen, values) in closes.items():
        units = _running(lines, times, _HELD + instrument, instrument)
        equity = equity + np.where(units == 0.0, 0.0, units * _last_known(seen, values, times))
    for instrument in set(instruments_of(lines)) - set(closes):
        equity = np.where(_running(lines, times, _HELD + instrument, instrument) == 0.0, equity, np.nan)
    deposits = -_running(lines, times, "equity:deposits", currency)
    known = np.isfinite(equity)
    return Worth(times[known], equity[known], np.diff(deposits[known], prepend=0.0))


def figures(path: Worth) -> Figures:
    """Return what the path of a portfolio says."""
    grown = np.cumprod(np.concatenate([[1.0], 1.0 + _returns(path.equity, path.paid)]))
    drawdown = float(np.max(1.0 - grown / np.maximum.accumulate(grown)))
    days, span_us = _daily(path.times, grown), int(path.times[-1] - path.times[0])
    if len(days) < MIN_DAYS or span_us == 0:
        return Figures(float(grown[-1] - 1.0), drawdown, len(days), None, None)
    year = math.sqrt(len(days) / (span_us / _YEAR_US))
    deviation = float(np.std(days, ddof=1))
    sharpe = float(np.mean(days)) / deviation * year if deviation > 0 else None
    return Figures(float(grown[-1] - 1.0), drawdown, len(days), deviation * year, sharpe)


def thinned(path: Worth, points: int) -> list[tuple[int, float]]:
    """Return (time, equity) of at most `points` moments, evenly spread, the first and the last among them."""
    count = len(path.times)
    chosen = np.unique(np.linspace(0, count - 1, min(points, count)).round().astype(np.int64))
    return list(zip(path.times[chosen].tolist(), path.equity[chosen].tolist(), strict=True))


def _running(lines: Sequence[Mapping[str, Any]], times: Times, account: str, currency: str) -> Floats:
    mine = sorted(
        (
            (line["time"], line["amount"])
            for line in lines
            if (line["account"], line["currency"]) == (account, currency)
        ),
        key=lambda pair: pair[0],
    )
    total, sums = Decimal(0), [0.0]
    for _, amount in mine:
        total += amount
        sums.append(float(total))
    at = np.searchsorted(np.array([time for time, _ in mine], dtype=np.int64), times, side="right")
    found: Floats = np.array(sums)[at]
    return found


def _last_known(seen: Times, values: Floats, times: Times) -> Floats:
    good = np.isfinite(values)
    padded = np.concatenate([[np.nan], values[good]])
    found: Floats = padded[np.searchsorted(seen[good], times, side="right")]
    return found


def _returns(equity: Floats, paid: Floats) -> Floats:
    before, after = equity[:-1], equity[1:] - paid[1:]
    found: Floats = np.divide(after, before, out=np.ones_like(after), where=before > 0.0) - 1.0
    return found


def _daily(times: Times, grown: Floats) -> Floats:
    day = times // DAY_US
    last = grown[np.append(day[1:] != day[:-1], True)]
    found: Floats = np.diff(last) / last[:-1] if len(last) > 1 and bool((last[:-1] > 0).all()) else np.empty(0)
    return found
