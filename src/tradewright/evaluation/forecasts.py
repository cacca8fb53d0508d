"""Whether forecasts of direction and probability are any good."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tradewright.errors import InvalidInput, TooFewRows
from tradewright.evaluation.moments import normal_cdf, normal_quantile
from tradewright.evaluation.values import Value, statistic
from tradewright.market.panel import Floats


def wilson_interval(hits: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson (1927) interval of a share: `hits` of `n`. Golden case G23. Raises InvalidInput when n < 1."""
    if not 0 <= hits <= n or n < 1:
        raise InvalidInput(f"a share needs 0 <= hits <= n and n of at least 1, got {hits!r} of {n!r}")
    z = normal_quantile(0.5 + confidence / 2)
    share, square = hits / n, z * z / n
    middle = (share + square / 2) / (1 + square)
    margin = z / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return max(middle - margin, 0.0), min(middle + margin, 1.0)


def binomial_p_value(hits: int, n: int, *, chance: float = 0.5) -> float:
    """Return P(at least `hits` of `n`) when each has `chance`, exactly. Golden case G23."""
    if not (0 <= hits <= n and n >= 1 and 0 < chance < 1):
        raise InvalidInput(f"a binomial test needs 0 <= hits <= n and 0 < chance < 1, got {hits!r}, {n!r}, {chance!r}")
    logs = (math.lgamma(n + 1), math.log(chance), math.log1p(-chance))
    terms = [
        logs[0] - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * logs[1] + (n - k) * logs[2]
        for k in range(hits, n + 1)
    ]
    return min(math.fsum(math.exp(term) for term in terms), 1.0)


@dataclass(frozen=True, slots=True)
class DirectionTest:
    """Pesaran-Timmermann: share of right directions, the share that independence would give, statistic, one-sided p."""

    hit_rate: float
    expected: float
    statistic: float | None
    p_value: float | None
    n: int
    reason: str = ""


def pesaran_timmermann(*, up_up: int, up_down: int, down_up: int, down_down: int) -> DirectionTest:
    """Return whether direction was forecast better than chance, given how often each direction occurs.

    The first word is the forecast, the second what happened. Drift alone earns hits and no statistic. Source: Pesaran,
    Timmermann (1992). Golden cases G15, G16. statistic is None when one direction never occurs.
    """
    n = up_up + up_down + down_up + down_down
    if n < 2 or min(up_up, up_down, down_up, down_down) < 0:
        raise TooFewRows(f"the test of direction needs at least 2 forecasts, got {n}")
    hit = (up_up + down_down) / n
    actual, forecast = (up_up + down_up) / n, (up_up + up_down) / n
    expected = actual * forecast + (1 - actual) * (1 - forecast)
    of_hit = expected * (1 - expected) / n
    of_expected = (
        (2 * actual - 1) ** 2 * forecast * (1 - forecast) / n
        + (2 * forecast - 1) ** 2 * actual * (1 - actual) / n
        + 4 * actual * forecast * (1 - actual) * (1 - forecast) / n**2
    )
    if not of_hit - of_expected > 0:
        return DirectionTest(hit, expected, None, None, n, "one direction was never forecast or never happened")
    score = (hit - expected) / math.sqrt(of_hit - of_expected)
    return DirectionTest(hit, expected, score, normal_cdf(-score), n)


def _pair(probabilities: ArrayLike, outcomes: ArrayLike) -> tuple[Floats, Floats]:
    p, y = np.asarray(probabilities, np.float64).ravel(), np.asarray(outcomes, np.float64).ravel()
    if len(p) != len(y):
        raise InvalidInput(f"there are {len(p)} forecasts and {len(y)} outcomes; give one outcome for each forecast")
    if len(p) and not (bool(np.all((p >= 0) & (p <= 1))) and bool(np.all((y == 0) | (y == 1)))):
        raise InvalidInput("forecasts must be probabilities between 0 and 1, outcomes 0 or 1")
    return p, y


_EMPTY = "there are no forecasts"


@statistic
def brier_score(probabilities: ArrayLike, outcomes: ArrayLike) -> Value:
    """Return the mean squared error of probabilities of 1. outcomes: 0 or 1. Source: Brier (1950). Golden case G17."""
    p, y = _pair(probabilities, outcomes)
    return Value(float(np.mean((p - y) ** 2))) if len(p) else Value(None, _EMPTY)


@statistic
def log_loss(probabilities: ArrayLike, outcomes: ArrayLike) -> Value:
    """Return the mean of -ln(probability given to what happened); None when that was ever 0. Golden case G17."""
    p, y = _pair(probabilities, outcomes)
    given = np.where(y == 1, p, 1 - p)
    if not len(p) or bool(np.any(given == 0)):
        return Value(None, _EMPTY if not len(p) else "something happened that had been given probability 0")
    return Value(float(np.mean(-np.log(given))))


@statistic
def expected_calibration_error(probabilities: ArrayLike, outcomes: ArrayLike, *, bins: int = 10) -> Value:
    """Return sum over bins of (share of forecasts) |mean forecast - mean outcome|, on P(up), not on confidence.

    bins: equal width, [low, high), the last one closed. Depends on the bins: say how many. Golden case G17.
    """
    parts = reliability(probabilities, outcomes, bins=bins)
    n = int(np.sum(parts.count))
    if not n:
        return Value(None, _EMPTY)
    return Value(float(np.sum(parts.count * np.abs(parts.forecast - parts.outcome)) / n))


@statistic
def maximum_calibration_error(probabilities: ArrayLike, outcomes: ArrayLike, *, bins: int = 10) -> Value:
    """Return the largest |mean forecast - mean outcome| of a bin. Golden case G17."""
    parts = reliability(probabilities, outcomes, bins=bins)
    return Value(float(np.max(np.abs(parts.forecast - parts.outcome)))) if len(parts.count) else Value(None, _EMPTY)


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Of each bin that holds a forecast: how many, their mean, the share that came true."""

    count: NDArray[np.int64]
    forecast: Floats
    outcome: Floats


def reliability(probabilities: ArrayLike, outcomes: ArrayLike, *, bins: int = 10) -> Reliability:
    """Return the reliability table of probabilities over equal-width bins."""
    p, y = _pair(probabilities, outcomes)
    if bins < 1:
        raise InvalidInput(f"bins must be at least 1, got {bins!r}")
    place = np.minimum((p * bins + 1e-12).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    used = count > 0
    forecast = np.bincount(place, p, bins)[used] / count[used]
    outcome = np.bincount(place, y, bins)[used] / count[used]
    return Reliability(count[used], forecast, outcome)


@dataclass(frozen=True, slots=True)
class MurphyParts:
    """Brier score = reliability - resolution + uncertainty, over distinct forecasts."""

    reliability: float
    resolution: float
    uncertainty: float


def murphy_decomposition(probabilities: ArrayLike, outcomes: ArrayLike) -> MurphyParts:
    """Return the parts of the Brier score, grouping equal forecasts. Source: Murphy (1973). Golden case G18."""
    p, y = _pair(probabilities, outcomes)
    if not len(p):
        raise TooFewRows(_EMPTY)
    values, place, count = np.unique(p, return_inverse=True, return_counts=True)
    came = np.bincount(place, y) / count
    base = float(np.mean(y))
    calibration = float(np.sum(count * (values - came) ** 2)) / len(p)
    resolution = float(np.sum(count * (came - base) ** 2)) / len(p)
    return MurphyParts(calibration, resolution, base * (1 - base))


@statistic
def information_coefficient(forecasts: ArrayLike, returns: ArrayLike, *, rank: bool = False) -> Value:
    """Return the correlation of forecasts with what followed, over the pairs where both are numbers.

    (T,) or (T, N); a matrix is taken row by row and the mean over rows returned, as for cross sections. rank: Spearman
    instead of Pearson, ties averaged. None when no row has two pairs and variance in both.
    """
    f, r = np.asarray(forecasts, np.float64), np.asarray(returns, np.float64)
    if f.shape != r.shape or f.ndim not in (1, 2):
        raise InvalidInput(f"forecasts {f.shape} and returns {r.shape} must have the same shape, (T,) or (T, N)")
    found = [_correlation(a, b, rank) for a, b in zip(np.atleast_2d(f), np.atleast_2d(r), strict=True)]
    kept = [value for value in found if value is not None]
    return Value(math.fsum(kept) / len(kept)) if kept else Value(None, "too few pairs, or one has no variance")


def _correlation(a: Floats, b: Floats, rank: bool) -> float | None:
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 2:
        return None
    if rank:
        a, b = average_ranks(a), average_ranks(b)
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else None


def average_ranks(values: Floats) -> Floats:
    """Return ranks from 1, ties averaged."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2.0)[place]
