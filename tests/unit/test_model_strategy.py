"""The strategy that trades a schedule: flat before its first model, within its budget, batch equal to live."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tradewright.errors import InvalidInput
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.features.sets import FeatureSet
from tradewright.learning.models import GradientBoosting, LinearBaseline
from tradewright.learning.schedule import ModelSchedule
from tradewright.learning.training import train, training_data
from tradewright.market.instruments import Interval
from tradewright.market.panel import Floats, Panel
from tradewright.strategies.contract import KernelStrategy, TargetKind
from tradewright.strategies.model import ModelStrategy

NAMES = ("return_1", "volatility_20", "rank_return_5", "field:x")


def _panel() -> Panel:
    panel = planted_sign_world(0.7, 700, 4, seed=21)
    absent = np.random.default_rng(0).random(panel.shape) < 0.05
    columns = {n: np.where(absent, np.nan, getattr(panel, n)) for n in ("open", "high", "low", "close", "volume")}
    return replace(panel, **columns, present=~absent, tradable=~absent, data_version="")


PANEL = _panel()


@pytest.fixture(scope="module")
def schedule() -> ModelSchedule:
    data = training_data(PANEL, FeatureSet(NAMES), 3)
    entries = []
    for learner, row in ((GradientBoosting(trees=10, depth=3, leaves=7, seeds=1), 400), (LinearBaseline(), 550)):
        usable = (data.labels.end_row >= 0) & (data.labels.end_row < row)
        entries.append((train(learner, data, usable, 7), int(PANEL.times[row]), int(PANEL.times[row])))
    return ModelSchedule(entries, 3, NAMES, PANEL.interval, PANEL.ids)


def _weights(targets: Floats) -> Floats:
    """What the targets hold row by row, NaN meaning as before."""
    held = np.zeros(targets.shape[1])
    out = np.empty_like(targets)
    for t, row in enumerate(targets):
        held = np.where(np.isnan(row), held, row)
        out[t] = held
    return out


def test_it_is_a_kernel_strategy_of_weights(schedule: ModelSchedule) -> None:
    strategy = ModelStrategy(schedule)
    assert isinstance(strategy, KernelStrategy)
    assert strategy.kind is TargetKind.WEIGHTS
    assert strategy.warm_up == 40
    assert strategy.params["schedule"] == schedule.id


def test_row_by_row_and_resumed_it_gives_the_bits_of_the_batch(schedule: ModelSchedule) -> None:
    strategy = ModelStrategy(schedule)
    batch, forecast = strategy.advance_with_forecast(strategy.start(PANEL), PANEL)
    assert np.array_equal(batch, strategy.targets(PANEL).values, equal_nan=True)
    state = strategy.start(PANEL)
    for t in range(len(PANEL)):
        if t % 97 == 0:
            state = {name: array.copy() for name, array in state.items()}
        row, said = strategy.advance_with_forecast(state, PANEL.rows(t, t + 1))
        assert np.array_equal(row[0], batch[t], equal_nan=True)
        for name in ("probability", "expected_return", "sigma"):
            assert np.array_equal(getattr(said, name)[0], getattr(forecast, name)[t], equal_nan=True)


def test_a_prefix_of_the_panel_gives_a_prefix_of_the_targets(schedule: ModelSchedule) -> None:
    strategy = ModelStrategy(schedule)
    whole = strategy.targets(PANEL).values
    for cut in (300, 450, 560, 699):
        assert np.array_equal(strategy.targets(PANEL.rows(0, cut)).values, whole[:cut], equal_nan=True)


def test_rows_before_the_first_model_are_flat_and_silent(schedule: ModelSchedule) -> None:
    strategy = ModelStrategy(schedule)
    targets, forecast = strategy.advance_with_forecast(strategy.start(PANEL), PANEL)
    assert (targets[:400] == 0).all()
    assert np.isnan(forecast.probability[:400]).all()
    assert np.array_equal(np.isfinite(forecast.probability[400:]), PANEL.present[400:])
    assert (_weights(targets)[400:].sum(axis=1) > 0.1).mean() > 0.5


def test_each_row_is_told_by_the_model_valid_then(schedule: ModelSchedule) -> None:
    strategy = ModelStrategy(schedule)
    data = training_data(PANEL, FeatureSet(NAMES), 3)
    _, forecast = strategy.advance_with_forecast(strategy.start(PANEL), PANEL)
    for entry, rows in zip(schedule.entries, (slice(400, 550), slice(550, 700)), strict=True):
        alone = entry.model.predict(data.values[rows], data.labels.sigma[rows])
        assert np.array_equal(forecast.probability[rows], alone.probability, equal_nan=True)


def test_weights_are_long_only_and_within_the_budget(schedule: ModelSchedule) -> None:
    for band in (0.0, 0.25, 2.0):
        weights = _weights(ModelStrategy(schedule, band=band).targets(PANEL).values)
        assert (weights >= 0).all()
        assert weights.sum(axis=1).max() <= 0.95 + 1e-12


def test_a_wider_band_trades_less_and_a_higher_threshold_holds_less(schedule: ModelSchedule) -> None:
    changes = [
        np.isfinite(ModelStrategy(schedule, band=b).targets(PANEL).values[400:]).sum() for b in (0.0, 0.25, 0.75)
    ]
    assert changes[0] > changes[1] > changes[2] > 0
    held = [_weights(ModelStrategy(schedule, threshold=t).targets(PANEL).values).sum() for t in (0.0, 0.05, 0.15)]
    assert held[0] > held[1] > held[2]


def test_a_missing_bar_leaves_its_position_alone(schedule: ModelSchedule) -> None:
    targets = ModelStrategy(schedule).targets(PANEL).values[400:]
    assert np.isnan(targets[~PANEL.present[400:]]).all()


def test_what_leaves_the_universe_is_sold_and_has_no_forecast(schedule: ModelSchedule) -> None:
    member = PANEL.member.copy()
    member[500:600, 2] = False
    panel = replace(PANEL, member=member, data_version="")
    strategy = ModelStrategy(schedule)
    targets, forecast = strategy.advance_with_forecast(strategy.start(panel), panel)
    weights = _weights(targets)
    assert np.isnan(forecast.probability[500:600, 2]).all()
    assert weights[400:500, 2].max() > 0
    first = 500 + int(np.argmax(PANEL.present[500:600, 2]))
    assert (weights[first:600, 2] == 0).all()
    assert weights[600:, 2].max() > 0


def test_trained_spans_end_before_the_rows_they_are_used_on(schedule: ModelSchedule) -> None:
    spans = ModelStrategy(schedule).trained_spans()
    assert [valid for _, _, valid in spans] == [int(PANEL.times[400]), int(PANEL.times[550])]
    assert all(first < last < valid for first, last, valid in spans)


def test_impossible_parameters_and_another_interval_are_refused(schedule: ModelSchedule) -> None:
    with pytest.raises(InvalidInput, match=r"budget <= 0\.95"):
        ModelStrategy(schedule, budget=1.2)
    hourly = replace(PANEL, interval=Interval.HOUR, data_version="")
    with pytest.raises(InvalidInput, match="trained on 1d bars, the panel has 1h"):
        ModelStrategy(schedule).start(hourly)
