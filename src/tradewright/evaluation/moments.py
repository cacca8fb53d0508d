"""Moments of a return series, compiled: one meaning of mean, deviation, skew and kurtosis everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from tradewright.compiled import kernel
from tradewright.errors import InvalidInput
from tradewright.market.panel import Floats

_NORMAL = NormalDist()

BLOCK = 256
"""Returns that are added at once, so that what lies between the steps stays in the fastest cache."""

SUMS = 9
"""How many numbers `add_block` keeps."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of n returns: mean, std (ddof=1), skew and kurtosis (population; Pearson, normal = 3), first autocorrelation.

    Moments that do not exist (fewer than 2 returns, or no variance) are NaN.
    """

    n: int
    mean: float
    std: float
    skew: float
    kurtosis: float
    autocorrelation: float

    @property
    def sharpe(self) -> float | None:
        """Mean over std, per period; None without variance."""
        return self.mean / self.std if self.std > 0 else None


def moments(returns: ArrayLike) -> Moments:
    """Return the moments of a (T,) array of returns. Raises InvalidInput when one of them is not finite."""
    values = np.ascontiguousarray(returns, np.float64)
    if values.ndim != 1:
        raise InvalidInput(f"returns must be one series of shape (T,), got {values.shape}")
    sums = np.zeros(SUMS)
    _add(values, sums)
    return of_sums(sums)


def of_sums(sums: Floats) -> Moments:
    """Return the moments of the returns that `add_block` has added up. Raises InvalidInput when one is not finite."""
    n = int(sums[0])
    if n == 0:
        return Moments(0, math.nan, math.nan, math.nan, math.nan, math.nan)
    pilot, s1, s2, s3, s4, cross, first, last = (float(x) for x in sums[1:])
    off = s1 / n  # from the pilot to the mean
    mean = pilot + off
    if not math.isfinite(mean):
        raise InvalidInput("returns must be finite; drop or fill the missing ones first")
    m2 = s2 / n - off * off
    if n < 2 or m2 <= 1e-30 * mean * mean:
        return Moments(n, mean, 0.0 if n >= 2 else math.nan, math.nan, math.nan, math.nan)
    m3 = s3 / n - 3 * off * s2 / n + 2 * off**3
    m4 = s4 / n - 4 * off * s3 / n + 6 * off * off * s2 / n - 3 * off**4
    lagged = (cross - off * (2 * s1 - first - last) + (n - 1) * off * off) / n
    return Moments(n, mean, math.sqrt(m2 * n / (n - 1)), m3 / m2**1.5, m4 / (m2 * m2), lagged / m2)


@kernel
def _add(values: Floats, sums: Floats) -> None:
    block = np.empty(BLOCK)
    for first in range(0, len(values), BLOCK):
        part = values[first : first + BLOCK]
        block[: len(part)] = part
        add_block(block, len(part), sums)


@kernel
def add_block(x: Floats, count: int, sums: Floats) -> None:
    """Add x[:count] to `sums` (SUMS,), zeros at first; x is overwritten.

    Kept: count, pilot, sums of y, y^2, y^3, y^4 and y times the y before, first and last y, where y is x less the
    pilot, the mean of the first block. So one pass loses no digits: the variance is at least the share of the first
    block times the square of the distance from pilot to mean.
    """
    if sums[0] == 0.0:
        total = 0.0
        for k in range(count):
            total += x[k]
        sums[1] = total / count
        sums[7] = x[0] - sums[1]
    pilot = sums[1]
    for k in range(count):
        x[k] -= pilot
    before = sums[8]
    a1, a2, a3, a4, ax = sums[2], sums[3], sums[4], sums[5], sums[6]
    b1, b2, b3, b4, bx = 0.0, 0.0, 0.0, 0.0, 0.0
    c1, c2, c3, c4, cx = 0.0, 0.0, 0.0, 0.0, 0.0
    d1, d2, d3, d4, dx = 0.0, 0.0, 0.0, 0.0, 0.0
    t = 0
    while t + 4 <= count:
        y0, y1, y2, y3 = x[np.uint64(t)], x[np.uint64(t + 1)], x[np.uint64(t + 2)], x[np.uint64(t + 3)]
        q0, q1, q2, q3 = y0 * y0, y1 * y1, y2 * y2, y3 * y3
        a1, b1, c1, d1 = a1 + y0, b1 + y1, c1 + y2, d1 + y3
        a2, b2, c2, d2 = a2 + q0, b2 + q1, c2 + q2, d2 + q3
        a3, b3, c3, d3 = a3 + q0 * y0, b3 + q1 * y1, c3 + q2 * y2, d3 + q3 * y3
        a4, b4, c4, d4 = a4 + q0 * q0, b4 + q1 * q1, c4 + q2 * q2, d4 + q3 * q3
        ax, bx, cx, dx = ax + y0 * before, bx + y1 * y0, cx + y2 * y1, dx + y3 * y2
        before = y3
        t += 4
    while t < count:
        y = x[t]
        a1, a2, a3, a4, ax = a1 + y, a2 + y * y, a3 + y * y * y, a4 + y * y * y * y, ax + y * before
        before = y
        t += 1
    sums[0] += count
    sums[2], sums[3], sums[4] = (a1 + b1) + (c1 + d1), (a2 + b2) + (c2 + d2), (a3 + b3) + (c3 + d3)
    sums[5], sums[6], sums[8] = (a4 + b4) + (c4 + d4), (ax + bx) + (cx + dx), before


def normal_cdf(x: float) -> float:
    """Return the standard normal distribution function at x, accurate in both tails."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def normal_quantile(p: float) -> float:
    """Return z with normal_cdf(z) = p, for 0 < p < 1."""
    return _NORMAL.inv_cdf(p)
