"""A walk-forward study is out of sample, repeatable, cancellable, and refuses models that saw the test."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tradewright.errors import Cancelled, InSample, InvalidInput, TooFewRows
from tradewright.evaluation.evidence import Evidence
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.features.sets import FeatureSet
from tradewright.learning.models import GradientBoosting, LinearBaseline
from tradewright.learning.schedule import ModelSchedule
from tradewright.learning.training import train, training_data
from tradewright.market.panel import Panel
from tradewright.research.backtest import backtest
from tradewright.research.forecasting import forecast_statistics
from tradewright.research.retraining import retrained
from tradewright.research.walk_forward import Study, walk_forward
from tradewright.strategies.model import ModelStrategy

QUICK = GradientBoosting(trees=15, depth=3, leaves=7, learning_rate=0.1, seeds=2)
FEATURES = FeatureSet(("return_1", "return_5", "volatility_20", "close_location_1", "field:x"))
WORLD = planted_sign_world(0.6, 1_200, 2, seed=5)


def _study(panel: Panel = WORLD, **rest: object) -> Study:
    given = {"horizon": 2, "splits": 3, "features": FEATURES, **rest}
    return walk_forward(QUICK, panel, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def study() -> Study:
    return _study()


def test_no_model_is_used_on_rows_its_labels_read(study: Study) -> None:
    starts = [entry.valid_from_us for entry in study.schedule.entries]
    assert starts == [int(WORLD.times[fold.test_start]) for fold in study.folds]
    for entry, fold in zip(study.schedule.entries, study.folds, strict=True):
        last = entry.model.trained_span[1]
        assert last < entry.trained_before_us <= entry.valid_from_us
        assert entry.trained_before_us == int(WORLD.times[fold.test_start - 2])


def test_rows_before_the_first_test_are_outside_the_statistics(study: Study) -> None:
    assert study.folds[0].test_start == 480
    assert study.tested_span == (int(WORLD.times[480]), int(WORLD.times[-1]))
    assert len(study.result.returns) == 1_200 - 480 - 1
    assert study.forecast_statistics.n == 2 * (720 - 3)
    assert study.forecast_statistics.n_independent == 717


def test_the_same_inputs_give_the_same_models_and_result(study: Study) -> None:
    again = _study()
    assert again.schedule.id == study.schedule.id
    ours, theirs = (s.schedule.entries for s in (study, again))
    assert all(a.model.to_bytes() == b.model.to_bytes() for a, b in zip(ours, theirs, strict=True))
    assert np.array_equal(again.result.equity, study.result.equity)
    assert _study(seed=8).schedule.id != study.schedule.id


def test_what_comes_after_the_end_row_changes_nothing(study: Study) -> None:
    close = WORLD.close.copy()
    close[1_000:] *= 3
    other = replace(WORLD, close=close, data_version="")
    ours, theirs = _study(end_row=1_000), _study(other, end_row=1_000)
    assert np.array_equal(ours.result.equity, theirs.result.equity)
    assert ours.forecast_statistics == theirs.forecast_statistics


def test_the_linear_baseline_walks_the_same_folds(study: Study) -> None:
    assert study.baseline.learner == "linear_baseline"
    ours, theirs = (s.schedule.entries for s in (study, study.baseline))
    assert [e.valid_from_us for e in ours] == [e.valid_from_us for e in theirs]
    assert study.baseline.forecast_statistics.n == study.forecast_statistics.n


def test_earnings_without_foresight_are_no_evidence() -> None:
    quick = GradientBoosting(trees=40, depth=3, leaves=8, learning_rate=0.08, seeds=2)
    lucky = walk_forward(quick, planted_sign_world(0.5, 2_000, 3, 2), horizon=1, splits=4)
    assert lucky.result.evidence is Evidence.WEAK
    assert lucky.forecast_statistics.hit_rate < 0.5
    assert lucky.evidence is Evidence.NONE
    assert lucky.reasons[0].startswith("the forecasts did not tell direction better than chance: p = 0.6")


def test_the_summary_is_plain_json(study: Study) -> None:
    summary = json.loads(json.dumps(study.to_summary(), allow_nan=False))
    assert summary["evidence"] == study.evidence.value
    assert summary["settings"]["features"] == list(FEATURES.names)
    assert summary["baseline"]["learner"] == "linear_baseline"


def test_a_model_trained_on_the_whole_span_is_refused_and_if_asked_for_marked() -> None:
    data = training_data(WORLD, FEATURES, 2)
    model = train(QUICK, data, data.labels.end_row >= 0, 7)
    start = int(WORLD.times[480])
    schedule = ModelSchedule([(model, start, start)], 2, FEATURES.names, WORLD.interval, WORLD.ids)
    with pytest.raises(InSample, match="learned from data up to"):
        backtest(ModelStrategy(schedule), WORLD)
    marked = backtest(ModelStrategy(schedule), WORLD, in_sample=True)
    assert marked.evidence is Evidence.LEAKING
    assert "leak.in_sample" in {finding.code for finding in marked.findings}


def test_progress_rises_to_one_and_what_it_raises_ends_the_study() -> None:
    seen: list[float] = []

    def stop_late(done: float, _: str) -> None:
        seen.append(done)
        if done > 0.5:
            raise Cancelled("stopped by a person")

    with pytest.raises(Cancelled, match="stopped by a person"):
        _study(progress=stop_late)
    whole: list[float] = []
    _study(progress=lambda done, _: whole.append(done))
    assert whole == sorted(whole)
    assert whole[-1] == 1.0
    assert len(seen) < len(whole)


def test_a_study_of_a_plain_estimator_gives_a_result() -> None:
    from sklearn.linear_model import LogisticRegression

    late = FeatureSet(("field:x",))
    found = walk_forward(LogisticRegression(), WORLD, horizon=1, splits=2, features=late)
    assert found.evaluation.learner == "LogisticRegression"
    assert found.forecast_statistics.hit_rate > 0.55


def test_impossible_spans_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no span of a panel of 1200 rows"):
        _study(start_row=5, end_row=1_300)
    with pytest.raises(TooFewRows, match="at least 200"):
        _study(end_row=150)


def test_forecast_statistics_match_a_count_by_hand() -> None:
    probability = np.array([[0.6, 0.6, 0.4, 0.4, np.nan, 0.7]]).T
    y = np.array([[1.0, -1.0, -2.0, 0.5, 1.0, np.nan]]).T
    found = forecast_statistics(probability, y, 1)
    assert (found.n, found.hit_rate, found.base_rate, found.brier_base) == (4, 0.5, 0.5, 0.25)
    assert found.brier == pytest.approx((0.16 + 0.36 + 0.16 + 0.36) / 4)
    assert forecast_statistics(np.tile(probability, (9, 1)), np.tile(y, (9, 1)), 3).n_independent == 12
    with pytest.raises(TooFewRows, match="4 forecasts"):
        forecast_statistics(probability, y, 3)


def test_linear_baseline_alone_can_be_the_model() -> None:
    found = walk_forward(LinearBaseline(), WORLD, horizon=1, splits=2, features=FEATURES)
    assert found.forecast_statistics.hit_rate_low > 0.5
    assert found.schedule.id == found.baseline.schedule.id


def test_retraining_appends_a_model_that_learned_up_to_the_end_and_applies_after_it(study: Study) -> None:
    longer = planted_sign_world(0.6, 1_200, 2, seed=5)
    schedule = retrained(study.schedule, QUICK, longer)
    assert schedule.entries[:-1] == study.schedule.entries
    last = schedule.entries[-1]
    assert last.valid_from_us == int(longer.times[-1]) + 1
    assert last.model.trained_span[1] == int(longer.times[1_200 - 2 - 1])
    assert last.trained_before_us == int(longer.times[1_200 - 2])
    assert retrained(study.schedule, QUICK, longer).id == schedule.id
    backtest(ModelStrategy(schedule), WORLD, start_row=480)
    with pytest.raises(InvalidInput, match="ends before the schedule's last model applies"):
        retrained(study.schedule, QUICK, longer.rows(0, 700))
    with pytest.raises(InvalidInput, match="other instruments"):
        retrained(study.schedule, QUICK, longer.columns([0]))
