"""Scores become probabilities, rising and honest."""

from __future__ import annotations

import numpy as np
import pytest

from tradewright.learning.calibration import Calibration, calibrate


def _draw(n: int, slope: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    margins = random.normal(size=n)
    return margins, random.random(n) < 1 / (1 + np.exp(-slope * margins - 0.2))


def test_a_sigmoid_recovers_the_slope_that_made_the_outcomes() -> None:
    margins, rising = _draw(900, 1.5)
    found = calibrate(margins, rising, 1)
    assert found.kind == "sigmoid"
    assert found.knots[:, 0] == pytest.approx([1.5, 0.2], abs=0.25)


def test_overlapping_labels_count_by_their_horizon() -> None:
    margins, rising = _draw(4_000, 1.0)
    assert calibrate(margins, rising, 5).kind == "sigmoid"
    assert calibrate(margins, rising, 4).kind == "isotonic"


def test_isotonic_calibration_is_close_to_the_truth_and_never_falls() -> None:
    margins, rising = _draw(40_000, 1.0)
    found = calibrate(margins, rising, 1)
    grid = np.linspace(-2, 2, 41)
    probability = found.apply(grid)
    assert found.kind == "isotonic"
    assert (np.diff(probability) >= 0).all()
    assert np.abs(probability - 1 / (1 + np.exp(-grid - 0.2))).max() < 0.05
    assert found.apply(np.array([-1e9, 1e9])).tolist() == [found.knots[1, 0], found.knots[1, -1]]


@pytest.mark.parametrize("n", [500, 5_000])
def test_a_score_that_points_the_wrong_way_says_nothing(n: int) -> None:
    margins, rising = _draw(n, -1.0)
    probability = calibrate(margins, rising, 1).apply(np.array([-1.0, 0.0, 1.0]))
    assert np.ptp(probability) < 0.02
    assert probability[0] == pytest.approx(rising.mean(), abs=0.02)


def test_a_constant_score_gives_the_base_rate() -> None:
    rising = np.arange(3_000) % 4 != 0
    for horizon in (1, 10):
        probability = calibrate(np.full(3_000, 0.3), rising, horizon).apply(np.array([0.3]))
        assert probability[0] == pytest.approx(0.75, abs=0.01)


def test_a_missing_score_stays_missing_and_one_is_as_many() -> None:
    for knots in (np.array([[2.0], [0.1]]), np.array([[-1.0, 0.0, 1.0], [0.3, 0.5, 0.9]])):
        calibration = Calibration(knots)
        margins = np.array([-3.0, -0.4, 0.0, 0.7, 5.0, np.nan])
        many = calibration.apply(margins)
        alone = [calibration.apply(margins[i : i + 1])[0] for i in range(6)]
        assert np.array_equal(many, alone, equal_nan=True)
        assert np.isnan(many[-1])


@pytest.mark.parametrize("n", [500, 20_000])
def test_the_base_rate_of_all_training_rows_overrules_that_of_the_slice(n: int) -> None:
    margins, rising = _draw(n, 1.0)
    probability = calibrate(margins, rising, 1, 0.4).apply(margins)
    assert probability.mean() == pytest.approx(0.4, abs=1e-3)
    assert (np.diff(probability[np.argsort(margins)]) >= 0).all()
