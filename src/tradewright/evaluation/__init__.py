"""Figures, overfitting statistics, leak detectors, synthetic worlds and reports: pure functions over values."""

from tradewright.evaluation.causality import replay_prefixes
from tradewright.evaluation.evidence import Evidence
from tradewright.evaluation.forecasts import (
    binomial_p_value,
    brier_score,
    expected_calibration_error,
    information_coefficient,
    log_loss,
    maximum_calibration_error,
    murphy_decomposition,
    pesaran_timmermann,
    wilson_interval,
)
from tradewright.evaluation.moments import moments
from tradewright.evaluation.overfitting import (
    adjusted_p_values,
    haircut,
    haircut_sharpe_ratio,
    overfitting_of_noise,
    probability_of_backtest_overfitting,
)
from tradewright.evaluation.sharpe import (
    annual_sharpe_factor,
    deflated_sharpe_ratio,
    expected_maximum_sharpe_ratio,
    minimum_backtest_length,
    minimum_track_record_length,
    probabilistic_sharpe_ratio,
    sharpe_ratio,
    sharpe_ratio_standard_error,
)
from tradewright.evaluation.worlds import planted_sign_world

__all__ = [
    "Evidence",
    "adjusted_p_values",
    "annual_sharpe_factor",
    "binomial_p_value",
    "brier_score",
    "deflated_sharpe_ratio",
    "expected_calibration_error",
    "expected_maximum_sharpe_ratio",
    "haircut",
    "haircut_sharpe_ratio",
    "information_coefficient",
    "log_loss",
    "maximum_calibration_error",
    "minimum_backtest_length",
    "minimum_track_record_length",
    "moments",
    "murphy_decomposition",
    "overfitting_of_noise",
    "pesaran_timmermann",
    "planted_sign_world",
    "probabilistic_sharpe_ratio",
    "probability_of_backtest_overfitting",
    "replay_prefixes",
    "sharpe_ratio",
    "sharpe_ratio_standard_error",
    "wilson_interval",
]
