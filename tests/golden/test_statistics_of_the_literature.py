"""Values printed in papers, or computed in an independent library, at 1e-6."""

import math

import numpy as np
import pytest

from tradewright.evaluation import (
    adjusted_p_values,
    annual_sharpe_factor,
    binomial_p_value,
    brier_score,
    deflated_sharpe_ratio,
    expected_calibration_error,
    expected_maximum_sharpe_ratio,
    haircut,
    log_loss,
    maximum_calibration_error,
    minimum_backtest_length,
    minimum_track_record_length,
    moments,
    murphy_decomposition,
    pesaran_timmermann,
    probabilistic_sharpe_ratio,
    probability_of_backtest_overfitting,
    sharpe_ratio,
    sharpe_ratio_standard_error,
    wilson_interval,
)
from tradewright.evaluation.sharpe import maximum_moments

YEAR = math.sqrt(12)
SAMPLE = [0.012, -0.008, 0.015, 0.004, -0.011, 0.021, 0.006, -0.002, 0.009, -0.014]
SAMPLE += [0.018, 0.003, 0.007, -0.005, 0.011, 0.002, -0.019, 0.016, 0.008, 0.001]


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-6)


def test_g1_to_g3_probabilistic_sharpe_ratio() -> None:
    fat = {"skew": -2.448, "kurtosis": 10.164}
    assert probabilistic_sharpe_ratio(sharpe=0.458, n=24) == near(0.981675)
    assert probabilistic_sharpe_ratio(sharpe=0.458, n=24, **fat) == near(0.913361)  # type: ignore[arg-type]
    assert probabilistic_sharpe_ratio(sharpe=0.458, n=36, **fat) == near(0.953505)  # type: ignore[arg-type]
    assert probabilistic_sharpe_ratio(sharpe=0.036 / 0.079, n=24, **fat) == near(0.912709)  # type: ignore[arg-type]


def test_g4_to_g6_minimum_track_record_length() -> None:
    length = minimum_track_record_length(sharpe=2 / YEAR, benchmark=1 / YEAR, skew=-0.72, kurtosis=5.78)
    assert length == near(59.895099)
    for q, years in ((250, 2.731188), (52, 2.828834), (12, 3.239801)):
        found = minimum_track_record_length(sharpe=2 / math.sqrt(q), benchmark=1 / math.sqrt(q))
        assert found is not None
        assert found / q == near(years)
    for annual, years in ((0.0, 0.715216), (0.5, 1.080335)):
        found = minimum_track_record_length(sharpe=0.7079, benchmark=annual / YEAR, skew=-0.225, kurtosis=2.957)
        assert found is not None
        assert found / 12 == near(years)


def test_g7_and_g8_deflated_sharpe_ratio() -> None:
    daily, variance = 2.5 / math.sqrt(250), 0.5 / 250
    assert expected_maximum_sharpe_ratio(trials=100, variance=variance) == near(0.113172)
    for trials, skew, kurtosis, value in ((100, -3, 10, 0.900397), (46, -3, 10, 0.950502), (88, 0, 3, 0.950491)):
        found = deflated_sharpe_ratio(
            sharpe=daily, n=1250, trials=trials, variance=variance, skew=skew, kurtosis=kurtosis
        )
        assert found == near(value)


def test_g9_the_2026_form() -> None:
    sharpe = 0.036 / 0.079
    shape = {"skew": -2.448, "kurtosis": 10.164, "autocorrelation": 0.2}
    assert sharpe_ratio_standard_error(sharpe=sharpe, n=24, **shape) == near(0.379490)  # type: ignore[arg-type]
    for benchmark, probability, length in ((0.0, 0.965832, 19.543167), (0.1, 0.900476, 39.368998)):
        given = {"sharpe": sharpe, "benchmark": benchmark, "form": "2026", **shape}
        assert probabilistic_sharpe_ratio(n=24, **given) == near(probability)  # type: ignore[arg-type]
        assert minimum_track_record_length(**given) == near(length)  # type: ignore[arg-type]


def test_g10_the_2026_deflated_ratio() -> None:
    sharpe = 0.036 / 0.079
    assert expected_maximum_sharpe_ratio(trials=10, variance=0.1) == near(0.497932)
    assert math.sqrt(0.1) * maximum_moments(10)[1] == near(0.185565)
    assert deflated_sharpe_ratio(sharpe=sharpe, n=24, trials=10, variance=0.1, form="2026") == near(0.409977)


@pytest.mark.parametrize(
    ("n", "mean", "deviation"), [(2, 0.564190, 0.825645), (10, 1.538753, 0.586808), (100, 2.507594, 0.429424)]
)
def test_the_maximum_of_normals_is_integrated_exactly(n: int, mean: float, deviation: float) -> None:
    assert maximum_moments(n) == (near(mean), near(deviation))


def test_few_trials_take_the_exact_maximum_and_many_the_published_one() -> None:
    assert expected_maximum_sharpe_ratio(trials=2, variance=1.0) == near(0.564190)
    assert expected_maximum_sharpe_ratio(trials=10, variance=1.0) == near(1.574598)
    assert expected_maximum_sharpe_ratio(trials=100, variance=1.0) == near(2.530603)
    assert expected_maximum_sharpe_ratio(trials=1, variance=0.0) == 0.0


@pytest.mark.parametrize(
    ("method", "adjusted"),
    [
        ("bonferroni", [0.03, 0.054, 0.0768, 0.081, 0.27, 0.36]),
        ("holm", [0.03, 0.045, 0.0512, 0.0512, 0.09, 0.09]),
        ("bhy", [0.0496125] * 4 + [0.06, 0.06]),
    ],
)
def test_g11_adjusted_p_values(method: str, adjusted: list[float]) -> None:
    p = [0.005, 0.009, 0.0128, 0.0135, 0.045, 0.06]
    assert adjusted_p_values(p, method=method).tolist() == near_all(adjusted)  # type: ignore[arg-type]
    assert adjusted_p_values(p[::-1], method=method).tolist() == near_all(adjusted[::-1])  # type: ignore[arg-type]


def near_all(values: list[float]) -> object:
    return pytest.approx(values, abs=1e-6)


def test_g12_haircut_by_bonferroni() -> None:
    cut = haircut(sharpe=1 / YEAR, n=120, trials=100, autocorrelation=0.1)
    assert cut.before * YEAR == near(0.912245)
    assert cut.p_value == near(0.00465123)
    assert cut.adjusted_p_value == near(0.465123)
    assert cut.sharpe * YEAR == near(0.231731)
    assert cut.haircut == near(0.745977)


def generated(rows: int, columns: int, seed: int, drift: float) -> np.ndarray:  # type: ignore[type-arg]
    x, matrix = seed, np.empty((rows, columns))
    for t in range(rows):
        for j in range(columns):
            x = (1103515245 * x + 12345) % 2**31
            matrix[t, j] = (x / 2**31 - 0.5) * 0.02 + drift * j
    return matrix


def test_g13_probability_of_backtest_overfitting() -> None:
    found = probability_of_backtest_overfitting(generated(160, 10, 2024, 0.0004), blocks=8)
    assert len(found.logits) == 70
    assert found == near(0.028571)
    assert float(found.logits.mean()) == near(0.928781)
    assert found.slope == near(-0.668738)


def test_g14_a_logit_of_zero_counts_as_overfitted() -> None:
    found = probability_of_backtest_overfitting(generated(120, 7, 12345, 0.0), blocks=8)
    assert found == near(0.985714)
    assert float(np.mean(found.logits < 0)) == near(0.9)
    assert float(found.logits.mean()) == near(-1.459952)


def test_g15_and_g16_direction_is_not_drift() -> None:
    skill = pesaran_timmermann(up_up=70, up_down=40, down_up=35, down_down=55)
    assert (skill.hit_rate, skill.expected) == (0.625, near(0.5025))
    assert (skill.statistic, skill.p_value) == (near(3.495389), near(0.000236686))
    drift = pesaran_timmermann(up_up=150, up_down=10, down_up=36, down_down=4)
    assert (drift.hit_rate, drift.statistic, drift.p_value) == (0.77, near(0.833497), near(0.202282))


def test_g17_calibration() -> None:
    p = [0.12, 0.22, 0.33, 0.41, 0.57, 0.63, 0.68, 0.83, 0.91, 0.96]
    y = [0, 0, 1, 0, 1, 0, 1, 1, 1, 1]
    assert brier_score(p, y) == near(0.140260)
    assert log_loss(p, y) == near(0.427609)
    assert expected_calibration_error(p, y, bins=5) == near(0.12)
    assert expected_calibration_error(p, y) == near(0.246)
    assert maximum_calibration_error(p, y, bins=5) == near(0.225)


def test_g18_murphy_parts() -> None:
    p, y = [0.2] * 4 + [0.5] * 4 + [0.8] * 4, [0, 0, 0, 1, 0, 1, 1, 0, 1, 1, 1, 0]
    parts = murphy_decomposition(p, y)
    assert (parts.reliability, parts.resolution, parts.uncertainty) == (near(0.001667), near(0.041667), near(0.25))
    assert brier_score(p, y) == near(0.21)


def test_g19_a_raw_series() -> None:
    m = moments(SAMPLE)
    assert sharpe_ratio(SAMPLE) == near(0.338640)
    assert (m.skew, m.kurtosis) == (near(-0.424181), near(2.392357))
    given = {"sharpe": m.sharpe, "n": m.n, "skew": m.skew, "kurtosis": m.kurtosis}
    assert probabilistic_sharpe_ratio(**given) == near(0.912579)  # type: ignore[arg-type]
    assert probabilistic_sharpe_ratio(benchmark=0.1, **given) == near(0.830501)  # type: ignore[arg-type]


def test_g21_annual_factor() -> None:
    assert annual_sharpe_factor(periods=12, autocorrelations=[0.2**k for k in range(1, 12)]) == near(2.878849)
    assert annual_sharpe_factor(periods=12, autocorrelations=[0.3, 0.1, -0.05]) == near(2.703635)
    assert annual_sharpe_factor(periods=12) == near(YEAR)


def test_g23_binomial_and_wilson() -> None:
    assert binomial_p_value(540, 1000) == near(0.00622207)
    assert binomial_p_value(520, 1000) == near(0.108724)
    assert wilson_interval(540, 1000) == (near(0.509015), near(0.570679))


def test_g24_minimum_backtest_length() -> None:
    assert minimum_backtest_length(trials=45, sharpe_annual=1.0) == near(4.998087)
    assert minimum_backtest_length(trials=1000, sharpe_annual=1.0) == near(10.595816)


def test_g19_agrees_with_skfolio() -> None:
    from skfolio.measures import probabilistic_sharpe_ratio as peer

    m = moments(SAMPLE)
    ours = probabilistic_sharpe_ratio(sharpe=m.sharpe or 0.0, n=m.n, skew=m.skew, kurtosis=m.kurtosis)
    assert ours == near(float(peer(np.array(SAMPLE))))
