"""The Sharpe ratio and what it proves.

House conventions: a Sharpe ratio is per period, never annual: mean over std (ddof=1). skew and kurtosis are population
moments, kurtosis is Pearson (normal = 3). Every function is a `Statistic`: it returns a float, or None where there is
no finite answer; `.explained(...)` says why. form="2012" is Bailey and Lopez de Prado, variance at the observed ratio
and n - 1; form="2026" is Lopez de Prado, Lipton and Zoonekynd, variance at the benchmark and n.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tradewright.errors import InvalidInput
from tradewright.evaluation.moments import moments, normal_cdf, normal_quantile
from tradewright.evaluation.values import Value, statistic

Form = Literal["2012", "2026"]
EULER = 0.5772156649015329
EXACT_BELOW = 10
"""Expected maxima of fewer trials are integrated; from here on the published approximation is used."""


@statistic
def sharpe_ratio(returns: ArrayLike, *, benchmark: float | ArrayLike = 0.0) -> Value:
    """Return mean / std (ddof=1) of the returns in excess of `benchmark`, per period.

    returns: (T,), finite. benchmark: a return per period, or (T,). None with fewer than two returns or no variance.
    Source: Sharpe (1994). Golden case G19.
    """
    values = np.asarray(returns, np.float64) - np.asarray(benchmark, np.float64)
    m = moments(values)
    if m.n < 2:
        return Value(None, f"a Sharpe ratio needs at least 2 returns, there are {m.n}")
    if m.sharpe is None:
        return Value(None, "the returns have no variance")
    return Value(m.sharpe)


def sharpe_variance(*, sharpe: float, skew: float = 0.0, kurtosis: float = 3.0, autocorrelation: float = 0.0) -> float:
    """Return n times the sampling variance of a per-period Sharpe ratio.

    With autocorrelation 0: 1 - skew SR + (kurtosis - 1) / 4 SR^2 (Mertens 2002). With first autocorrelation r the three
    terms are (1+r)/(1-r), (1+r+r^2)/(1-r^2) and (1+r^2)/(1-r^2) times that (Lopez de Prado and others 2026, AR(1)).
    Raises InvalidInput unless -1 < autocorrelation < 1.
    """
    r = autocorrelation
    if not -1.0 < r < 1.0:
        raise InvalidInput(f"autocorrelation must lie between -1 and 1, got {r!r}")
    square = 1.0 - r * r
    first = (1.0 + r) / (1.0 - r)
    second = (1.0 + r + r * r) / square * skew * sharpe
    third = (1.0 + r * r) / square * (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    return first - second + third


@statistic
def sharpe_ratio_standard_error(
    *,
    sharpe: float,
    n: int,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
    form: Form = "2026",
) -> Value:
    """Return the standard error of a per-period Sharpe ratio.

    sqrt(variance / n) in the 2026 form (golden case G9; with normal moments it is Lo's 2002 sqrt((1 + SR^2/2) / n)),
    sqrt(variance / (n - 1)) in the 2012 form.
    """
    count = _count(n, form)
    variance = sharpe_variance(sharpe=sharpe, skew=skew, kurtosis=kurtosis, autocorrelation=autocorrelation)
    if variance < 0:
        return Value(None, _IMPOSSIBLE)
    return Value(math.sqrt(variance / count))


@statistic
def probabilistic_sharpe_ratio(
    *,
    sharpe: float,
    n: int,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
    form: Form = "2012",
) -> Value:
    """Return the probability that the true Sharpe ratio exceeds `benchmark`, both per period.

    Z[(sharpe - benchmark) sqrt(n - 1) / sqrt(V(sharpe))] in the 2012 form, Z[(sharpe - benchmark) sqrt(n) /
    sqrt(V(benchmark))] in the 2026 form, V from `sharpe_variance`. Source: Bailey, Lopez de Prado, The Sharpe Ratio
    Efficient Frontier (2012). Golden cases G1 to G3, G9, G19.
    """
    count = _count(n, form)
    at = sharpe if form == "2012" else benchmark
    variance = sharpe_variance(sharpe=at, skew=skew, kurtosis=kurtosis, autocorrelation=autocorrelation)
    if not variance > 0:
        return Value(None, _IMPOSSIBLE)
    return Value(normal_cdf((sharpe - benchmark) * math.sqrt(count / variance)))


@statistic
def minimum_track_record_length(
    *,
    sharpe: float,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
    confidence: float = 0.95,
    form: Form = "2012",
) -> Value:
    """Return the number of returns that would make the probabilistic Sharpe ratio reach `confidence`.

    1 + V(sharpe) (z / (sharpe - benchmark))^2 in the 2012 form, V(benchmark) (...)^2 in the 2026 form. None when sharpe
    does not exceed benchmark: no length would do. Golden cases G4 to G6, G9.
    """
    if not 0 < confidence < 1:
        raise InvalidInput(f"confidence must lie between 0 and 1, got {confidence!r}")
    if not sharpe > benchmark:
        return Value(None, f"the ratio {sharpe:.6g} does not exceed the benchmark {benchmark:.6g}: no length is enough")
    at = sharpe if form == "2012" else benchmark
    variance = sharpe_variance(sharpe=at, skew=skew, kurtosis=kurtosis, autocorrelation=autocorrelation)
    if not variance > 0:
        return Value(None, _IMPOSSIBLE)
    length = variance * (normal_quantile(confidence) / (sharpe - benchmark)) ** 2
    return Value(length + (1.0 if form == "2012" else 0.0))


@statistic
def expected_maximum_sharpe_ratio(*, trials: int, variance: float, form: Form = "2012") -> Value:
    """Return the expected largest Sharpe ratio of `trials` skilless trials whose ratios have `variance`.

    sqrt(variance) times the expected maximum of that many standard normals: exact quadrature below 10 trials, else
    (1 - g) Zinv(1 - 1/N) + g Zinv(1 - 1/(N e)), g Euler's constant (Bailey, Lopez de Prado 2014; too high by 2.3 per
    cent at N = 10, 0.9 at N = 100). One trial gives 0. form is accepted for symmetry; both use this. Golden case G7.
    """
    if trials < 1 or int(trials) != trials:
        raise InvalidInput(f"trials must be a whole number of at least 1, got {trials!r}")
    if trials == 1:
        return Value(0.0)
    if not variance > 0 or not math.isfinite(variance):
        return Value(None, f"the Sharpe ratios of the {trials} trials have no variance")
    return Value(math.sqrt(variance) * expected_maximum(int(trials)))


def expected_maximum(n: int) -> float:
    """Return the expected maximum of n standard normals: exact below `EXACT_BELOW`, else the approximation."""
    if n < EXACT_BELOW:
        return maximum_moments(n)[0]
    return (1.0 - EULER) * normal_quantile(1.0 - 1.0 / n) + EULER * normal_quantile(1.0 - 1.0 / (n * math.e))


@cache
def maximum_moments(n: int) -> tuple[float, float]:
    """Return (mean, standard deviation) of the maximum of n standard normals, by quadrature to 1e-10."""
    x = np.linspace(-9.0, 9.0, 20_001)
    cdf = np.array([normal_cdf(float(v)) for v in x])
    density = n * cdf ** (n - 1) * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    step = float(x[1] - x[0])
    mean = float(np.sum(x * density)) * step
    return mean, math.sqrt(float(np.sum((x - mean) ** 2 * density)) * step)


@statistic
def deflated_sharpe_ratio(
    *,
    sharpe: float,
    n: int,
    trials: int,
    variance: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    autocorrelation: float = 0.0,
    form: Form = "2012",
) -> Value:
    """Return the probability that the true Sharpe ratio exceeds what the best of `trials` skilless ones would show.

    variance: of the per-period Sharpe ratios over the trials (ddof=1); near-copies of a trial must be taken out first.
    2012 form: the probabilistic Sharpe ratio against `expected_maximum_sharpe_ratio` (Bailey, Lopez de Prado, The
    Deflated Sharpe Ratio, 2014; golden cases G7, G8). 2026 form: Z[(sharpe - expected maximum) / (sqrt(variance) sd of
    the maximum of that many normals)] (golden case G10). None when several trials have no variance.
    """
    hurdle = expected_maximum_sharpe_ratio.explained(trials=trials, variance=variance)
    if hurdle.value is None:
        return hurdle
    if form == "2026" and trials > 1:
        _count(n, form)
        spread = math.sqrt(variance) * maximum_moments(int(trials))[1]
        return Value(normal_cdf((sharpe - hurdle.value) / spread))
    return probabilistic_sharpe_ratio.explained(
        sharpe=sharpe,
        n=n,
        benchmark=hurdle.value,
        skew=skew,
        kurtosis=kurtosis,
        autocorrelation=autocorrelation,
        form=form,
    )


@statistic
def minimum_backtest_length(*, trials: int, sharpe_annual: float) -> Value:
    """Return the years below which the best of `trials` skilless ones is expected to show `sharpe_annual`.

    (E_N / sharpe_annual)^2. Source: Bailey, Borwein, Lopez de Prado, Zhu (2014). Golden case G24.
    """
    if not sharpe_annual > 0:
        return Value(None, f"the annual ratio {sharpe_annual:.6g} is not above 0")
    hurdle = expected_maximum_sharpe_ratio.explained(trials=trials, variance=1.0)
    return hurdle if hurdle.value is None else Value((hurdle.value / sharpe_annual) ** 2)


def annual_sharpe_factor(*, periods: int, autocorrelations: ArrayLike = ()) -> float:
    """Return eta(q), by which a per-period Sharpe ratio is multiplied to make it annual.

    q / sqrt(q + 2 sum_{k<q} (q - k) rho_k), rho_k the autocorrelations, missing ones 0; sqrt(q) without them. Source:
    Lo (2002), The Statistics of Sharpe Ratios. Golden case G21. Raises InvalidInput when the sum is not positive.
    """
    rho = np.asarray(autocorrelations, np.float64)[: periods - 1]
    inside = periods + 2.0 * float(np.sum((periods - np.arange(1, len(rho) + 1)) * rho))
    if periods < 1 or not inside > 0:
        raise InvalidInput(f"no annual ratio exists for {periods} periods and these autocorrelations")
    return periods / math.sqrt(inside)


_IMPOSSIBLE = "skew and kurtosis are impossible together with this ratio: the variance is not above 0"


def _count(n: int, form: str) -> int:
    if form not in ("2012", "2026"):
        raise InvalidInput(f"form must be '2012' or '2026', got {form!r}")
    if n < 2:
        raise InvalidInput(f"n, the number of returns, must be at least 2, got {n!r}")
    return n - 1 if form == "2012" else n
