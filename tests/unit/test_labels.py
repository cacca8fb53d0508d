"""The label is the realised return over the volatility known before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tradewright.evaluation.worlds import planted_sign_world
from tradewright.learning.labels import advance_volatility, label, start_volatility
from tradewright.market.reference import reference_prices


def test_a_label_is_the_reference_return_over_volatility_times_root_horizon() -> None:
    panel = planted_sign_world(0.5, 200, 2, seed=2)
    labels = label(panel, 4)
    moves = np.diff(np.log(panel.close[:101, 1]))
    weights = (39 / 41) ** np.arange(100)[::-1]
    sigma = np.sqrt((weights * moves**2).sum() / weights.sum()) * 2
    assert labels.sigma[100, 1] == pytest.approx(sigma, rel=1e-12)
    assert labels.y[100, 1] == pytest.approx((panel.open[105, 1] / panel.open[101, 1] - 1) / sigma, rel=1e-12)
    assert labels.end_row[100, 1] == 105


def test_labels_without_a_past_or_a_future_are_missing() -> None:
    panel = planted_sign_world(0.5, 100, 1, seed=2)
    labels = label(panel, 4)
    known = np.flatnonzero(np.isfinite(labels.y[:, 0]))
    assert (known[0], known[-1]) == (40, 94)
    assert (labels.end_row[~np.isfinite(labels.y)] == -1).all()


def test_a_delayed_exit_makes_the_interval_longer() -> None:
    panel = planted_sign_world(0.5, 100, 1, seed=2)
    halted = panel.tradable.copy()
    halted[60:63] = False
    labels = label(replace(panel, tradable=halted, data_version=""), 4)
    assert labels.end_row[55, 0] == 63
    assert reference_prices(panel, 4).exit_row[55, 0] == 60


def test_a_row_outside_the_universe_has_no_label() -> None:
    panel = planted_sign_world(0.5, 100, 1, seed=2)
    member = panel.member.copy()
    member[50] = False
    assert np.isnan(label(replace(panel, member=member, data_version=""), 4).y[50, 0])


def test_sigma_row_by_row_is_sigma_of_the_batch() -> None:
    panel = planted_sign_world(0.5, 100, 2, seed=2)
    state = start_volatility(panel)
    rows = np.concatenate([advance_volatility(state, panel.rows(t, t + 1), 4) for t in range(100)])
    assert np.array_equal(rows, label(panel, 4).sigma, equal_nan=True)
