"""How good forecasts were, given what happened: hits, calibration, and what the base rate alone would have given."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tradewright.errors import TooFewRows
from tradewright.evaluation.forecasts import (
    brier_score,
    expected_calibration_error,
    information_coefficient,
    pesaran_timmermann,
    wilson_interval,
)
from tradewright.market.panel import Floats


@dataclass(frozen=True, slots=True)
class ForecastStatistics:
    """Out-of-sample forecasts against outcomes, all instruments pooled.

    n: forecasts. n_independent: n / horizon, because labels of h bars overlap; every interval and test uses it.
    Instruments that move together make it smaller still. hit_rate: share with the right side of 0.5, and its Wilson
    interval (95%). base_rate: share of rising outcomes. brier: of the forecasts; brier_base: of always saying
    base_rate, which nobody knew beforehand. calibration_error: 10 equal-width bins on P(up). information_coefficient:
    correlation of probability and scaled label, pooled. direction_statistic, direction_p: Pesaran-Timmermann,
    one-sided, None with direction_reason when a side never occurs.
    """

    n: int
    n_independent: int
    hit_rate: float
    hit_rate_low: float
    hit_rate_high: float
    base_rate: float
    brier: float | None
    brier_base: float
    calibration_error: float | None
    information_coefficient: float | None
    direction_statistic: float | None
    direction_p: float | None
    direction_reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def forecast_statistics(probability: Floats, y: Floats, horizon: int) -> ForecastStatistics:
    """Return the statistics of forecasts (T, N) against labels (T, N), over the pairs where both are known.

    Raises TooFewRows when fewer than 2 x horizon pairs are.
    """
    known = np.isfinite(probability) & np.isfinite(y)
    p, outcome = probability[known], y[known]
    n = len(p)
    if n < 2 * horizon:
        raise TooFewRows(f"{n} forecasts with known outcomes are too few to judge; at least {2 * horizon} are needed")
    up, rose = p > 0.5, outcome > 0
    cells = [int((a & b).sum()) for a in (up, ~up) for b in (rose, ~rose)]
    direction = pesaran_timmermann(
        **dict(zip(("up_up", "up_down", "down_up", "down_down"), (c // horizon for c in cells), strict=True))
    )
    hits, base = int((up == rose).sum()), float(rose.mean())
    low, high = wilson_interval(hits // horizon, n // horizon)
    return ForecastStatistics(
        n=n,
        n_independent=n // horizon,
        hit_rate=hits / n,
        hit_rate_low=low,
        hit_rate_high=high,
        base_rate=base,
        brier=brier_score(p, rose),
        brier_base=base * (1.0 - base),
        calibration_error=expected_calibration_error(p, rose),
        information_coefficient=information_coefficient(p, outcome),
        direction_statistic=direction.statistic,
        direction_p=direction.p_value,
        direction_reason=direction.reason,
    )
