"""Models: the same inputs give the same bytes, bytes give the model back, and predicting needs no training library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.naive_bayes import GaussianNB

from tradewright.errors import InvalidInput, TooFewRows
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.features.sets import FeatureSet
from tradewright.learning.learners import learner_of
from tradewright.learning.model import Model
from tradewright.learning.models import GradientBoosting, LinearBaseline
from tradewright.learning.schedule import ModelSchedule, ScheduleEntry
from tradewright.learning.training import TrainingData, train, training_data
from tradewright.market.panel import Flags, Floats

SMALL = GradientBoosting(trees=15, depth=3, leaves=7, seeds=2)
PANEL = planted_sign_world(0.6, 900, 2, seed=11)
NAMES = ("return_1", "return_5", "volatility_20", "field:x")


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return training_data(PANEL, FeatureSet(NAMES), 1)


class Coin:
    """The smallest thing that has fit and predict_proba."""

    def fit(self, x: Floats, y: np.ndarray) -> None:
        self.share = float(y.mean())

    def predict_proba(self, x: Floats) -> Floats:
        assert not np.isnan(x).any()
        return np.repeat([[1 - self.share, self.share]], len(x), axis=0)


def _before(data: TrainingData, row: int) -> Flags:
    return (data.labels.end_row >= 0) & (data.labels.end_row < row)


@pytest.mark.parametrize("learner", [SMALL, LinearBaseline()], ids=["trees", "linear"])
def test_the_same_inputs_give_the_same_bytes_and_another_seed_others(
    learner: GradientBoosting | LinearBaseline, data: TrainingData
) -> None:
    first = train(learner, data, _before(data, 600), 7)
    again = train(learner, training_data(PANEL, FeatureSet(NAMES), 1), _before(data, 600), 7)
    assert first.to_bytes() == again.to_bytes()
    assert first.id == again.id
    assert first.id.startswith("mdl_")
    assert train(learner, data, _before(data, 600), 8).id != first.id


@pytest.mark.parametrize("learner", [SMALL, LinearBaseline()], ids=["trees", "linear"])
def test_a_model_read_back_predicts_the_same_bits(
    learner: GradientBoosting | LinearBaseline, data: TrainingData
) -> None:
    model = train(learner, data, _before(data, 600), 7)
    read = Model.from_bytes(model.to_bytes())
    assert (read.id, read.lineage, read.to_bytes()) == (model.id, model.lineage, model.to_bytes())
    one, other = (m.predict(data.values, data.labels.sigma) for m in (model, read))
    assert np.array_equal(one.probability, other.probability, equal_nan=True)
    assert np.array_equal(one.expected_return, other.expected_return, equal_nan=True)


def test_lineage_says_what_a_model_was_made_from(data: TrainingData) -> None:
    model = train(SMALL, data, _before(data, 600), 7)
    times = PANEL.times
    assert model.trained_span == (int(times[40]), int(times[599]))
    assert model.lineage["data_version"] == PANEL.data_version
    assert model.lineage["params"] == dict(SMALL.params)
    assert model.lineage["seed"] == 7
    assert set(model.lineage["libraries"]) == {"lightgbm", "numpy", "numba", "scikit-learn"}
    assert len(model.lineage["code"]) == 16


def test_learning_sees_no_row_of_the_future(data: TrainingData) -> None:
    short = PANEL.rows(0, 600)
    part = training_data(short, FeatureSet(NAMES), 1)
    known = _before(data, 600)
    from_part = train(SMALL, part, known[:600], 7)
    from_whole = train(SMALL, data, known, 7)
    rows = np.ascontiguousarray(data.values[600:].reshape(-1, len(NAMES)))
    assert np.array_equal(from_part.scorer.margins(rows), from_whole.scorer.margins(rows))


def test_a_planted_sign_is_learned_and_calibrated() -> None:
    data = training_data(planted_sign_world(0.6, 3_000, 2, seed=11), FeatureSet(NAMES), 1)
    model = train(SMALL, data, _before(data, 2_000), 7)
    forecast = model.predict(data.values[2_000:], data.labels.sigma[2_000:])
    sign = data.values[2_000:, :, 3]
    assert forecast.probability[sign > 0].mean() == pytest.approx(0.6, abs=0.05)
    assert forecast.probability[sign < 0].mean() == pytest.approx(0.4, abs=0.05)
    assert (forecast.expected_return[sign > 0] > 0).mean() > 0.95


def test_the_expected_return_is_sigma_times_the_weighted_mean_moves(data: TrainingData) -> None:
    model = train(SMALL, data, _before(data, 600), 7)
    forecast = model.predict(data.values, data.labels.sigma)
    p = forecast.probability
    expected = data.labels.sigma * (p * model.mean_up - (1 - p) * model.mean_down)
    assert np.array_equal(forecast.expected_return, expected, equal_nan=True)
    y = data.labels.y[_before(data, 600)]
    assert model.mean_up == pytest.approx(y[y > 0].mean())
    assert model.mean_down == pytest.approx(-y[y <= 0].mean())


def test_there_is_no_forecast_without_volatility_or_without_any_feature(data: TrainingData) -> None:
    model = train(LinearBaseline(), data, _before(data, 600), 7)
    features = data.values[600:603].copy()
    features[1, 0] = np.nan
    sigma = data.labels.sigma[600:603].copy()
    sigma[2, 1] = np.nan
    forecast = model.predict(features, sigma)
    silent = np.isnan(forecast.probability)
    assert silent.tolist() == [[False, False], [True, False], [False, True]]
    assert np.array_equal(np.isnan(forecast.expected_return), silent)
    assert np.isnan(model.predict(features).expected_return).all()
    with pytest.raises(InvalidInput, match=r"reads \(k, N, 4\) features"):
        model.predict(features[:, :, :3], sigma)


def test_one_row_at_a_time_gives_the_bits_of_the_batch(data: TrainingData) -> None:
    for learner in (SMALL, LinearBaseline()):
        model = train(learner, data, _before(data, 600), 7)
        batch = model.predict(data.values, data.labels.sigma)
        rows = [model.predict(data.values[t : t + 1], data.labels.sigma[t : t + 1]) for t in range(100, 300)]
        live = np.concatenate([r.probability for r in rows])
        assert np.array_equal(live, batch.probability[100:300], equal_nan=True)
        single = np.ascontiguousarray(data.values[200, :1])
        assert model.probability(single) == batch.probability[200, 0]


def test_any_estimator_with_fit_and_predict_proba_plugs_in(data: TrainingData) -> None:
    gappy = data.values.copy()
    gappy[::7, 0, 1] = np.nan
    full = TrainingData(data.panel, data.features, gappy, data.labels)
    for estimator in (GaussianNB(), HistGradientBoostingClassifier(max_iter=5), Coin()):
        model = train(learner_of(estimator), full, _before(data, 600), 7)
        assert model.kind == type(estimator).__name__
        assert np.isfinite(model.predict(gappy[600:630], data.labels.sigma[600:630]).probability).all()
    with pytest.raises(InvalidInput, match="cannot be stored"):
        model.to_bytes()
    with pytest.raises(InvalidInput, match="int cannot be trained"):
        learner_of(3)


def test_too_little_to_learn_from_is_said(data: TrainingData) -> None:
    with pytest.raises(TooFewRows, match="at least 200"):
        train(SMALL, data, _before(data, 100), 7)
    with pytest.raises(TooFewRows, match="no label is known"):
        train(SMALL, data, _before(data, 0), 7)


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x81\xa6format\xa1x", b"\x80"])
def test_bytes_that_are_no_model_are_refused(junk: bytes) -> None:
    with pytest.raises(InvalidInput, match="are no stored model"):
        Model.from_bytes(junk)


def test_a_schedule_refuses_disorder_and_models_used_too_early(data: TrainingData) -> None:
    model = train(LinearBaseline(), data, _before(data, 600), 7)
    rest = (1, NAMES, PANEL.interval, PANEL.ids)
    entry = ScheduleEntry(model, 100, 200)
    schedule = ModelSchedule([entry, (model, 250, 300)], *rest)
    assert [schedule.at(t) for t in (199, 200, 299, 300)] == [-1, 0, 0, 1]
    assert schedule.appended(ScheduleEntry(model, 300, 400)).at(400) == 2
    assert schedule.id == ModelSchedule([entry, (model, 250, 300)], *rest).id != ModelSchedule([entry], *rest).id
    with pytest.raises(InvalidInput, match="ascends"):
        ModelSchedule([entry, entry], *rest)
    with pytest.raises(InvalidInput, match="before its training labels matured"):
        ModelSchedule([(model, 201, 200)], *rest)
    with pytest.raises(InvalidInput, match="another horizon"):
        ModelSchedule([entry], 2, *rest[1:])


def _run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_predicting_from_bytes_loads_no_training_library(data: TrainingData, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(train(SMALL, data, _before(data, 600), 7).to_bytes())
    code = (
        "import sys, pathlib, numpy as np\n"
        "from tradewright.learning.model import Model\n"
        "import tradewright.strategies.model, tradewright.learning.models\n"
        f"model = Model.from_bytes(pathlib.Path({str(path)!r}).read_bytes())\n"
        "model.predict(np.zeros((1, 2, 4)), np.ones((1, 2)))\n"
        "heavy = ('lightgbm', 'sklearn', 'scipy.stats', 'scipy.optimize', 'pandas', 'arch', 'skfolio')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    assert _run(code) == "[]"


def test_a_missing_openmp_library_is_named_with_its_package(tmp_path: Path) -> None:
    broken = tmp_path / "lightgbm"
    broken.mkdir()
    text = "libgomp.so.1: cannot open shared object file: No such file or directory"
    (broken / "__init__.py").write_text(f"raise OSError({text!r})\n")
    code = (
        "from tradewright.errors import LibraryMissing\n"
        "from tradewright.learning.learners import import_lightgbm\n"
        "try:\n    import_lightgbm()\n"
        "except LibraryMissing as error:\n    print(error.package, '|', error.message)\n"
    )
    package, _, message = _run(code, PYTHONPATH=str(tmp_path)).partition(" | ")
    assert package == "libgomp1"
    assert "apt-get install libgomp1" in message
