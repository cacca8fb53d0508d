"""One prediction against LightGBM's own call, and one live bar of many instruments against its budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tradewright.evaluation.worlds import planted_sign_world
from tradewright.features.catalogue import FEATURES
from tradewright.features.sets import FeatureSet
from tradewright.learning.learners import GradientBoosting, import_lightgbm
from tradewright.learning.schedule import ModelSchedule
from tradewright.learning.training import train, training_data
from tradewright.learning.trees import parse_lightgbm
from tradewright.strategies.model import ModelStrategy

Row = tuple[str, str, float, float, float]  # what, peer, ours median, peer median, ratio
TREES, DEPTH, COLUMNS = 200, 5, 40
INSTRUMENTS = 1_000
LIVE_BUDGET_MS = 250.0


def run(folder: Path) -> list[Row]:
    """Return the measured rows. folder is not needed: the peer is a dependency of the package itself.

    Times are microseconds for a prediction and milliseconds for a live bar; ratio is peer / ours. The calls alternate
    in blocks, so that a busy machine slows both. Raises AssertionError when the two do not give the same sums.
    """
    return [*_single_prediction(), _live_bar()]


def _booster() -> tuple[Any, np.ndarray]:
    lightgbm = import_lightgbm()
    draw = np.random.default_rng(7)
    x = draw.normal(size=(20_000, COLUMNS))
    x[draw.random(x.shape) < 0.02] = np.nan
    y = (np.nan_to_num(x[:, :10]).sum(axis=1) + draw.normal(size=len(x)) > 0).astype(float)
    params = {"objective": "binary", "max_depth": DEPTH, "num_leaves": 31, "num_threads": 1, "verbosity": -1}
    return lightgbm.train(params, lightgbm.Dataset(x, label=y, params=params), TREES), x


def _single_prediction() -> list[Row]:
    booster, x = _booster()
    forest = parse_lightgbm([booster.model_to_string()])
    assert np.abs(forest.margins(x) - booster.predict(x, raw_score=True)).max() <= 1e-12
    rows = [np.ascontiguousarray(x[i : i + 1]) for i in range(1_000)]
    ours: list[int] = []
    theirs: list[int] = []
    for _ in range(20):
        _time(forest.margins, rows, ours)
        _time(lambda row: booster.predict(row, raw_score=True, num_threads=1), rows[:200], theirs)
    table = []
    for name, share in (("p50", 50), ("p99", 99)):
        mine, peer = (float(np.percentile(times, share)) / 1_000 for times in (ours, theirs))
        what = f"one prediction, {TREES} trees x depth {DEPTH} x {COLUMNS} features, {name}, us"
        table.append((what, "LightGBM Booster.predict", mine, peer, peer / mine))
    return table


def _time(call: Callable[[np.ndarray], Any], rows: list[np.ndarray], into: list[int]) -> None:
    for row in rows:
        began = time.perf_counter_ns()
        call(row)
        into.append(time.perf_counter_ns() - began)


def _live_bar() -> Row:
    few = planted_sign_world(0.55, 900, 4, seed=7)
    features = FeatureSet((*FEATURES, "field:x"))
    data = training_data(few, features, 1)
    learner = GradientBoosting(trees=TREES, seeds=1)
    model = train(learner, data, (data.labels.end_row >= 0) & (data.labels.end_row < 600), 7)
    many = planted_sign_world(0.55, 330, INSTRUMENTS, seed=8)
    last = model.trained_span[1]
    start = int(many.times[290])
    schedule = ModelSchedule([(model, min(last, start), start)], 1, features.names, many.interval, many.ids)
    strategy = ModelStrategy(schedule)
    state = strategy.start(many)
    strategy.advance(state, many.rows(0, 300))
    times = []
    for t in range(300, 330):
        row = many.rows(t, t + 1)
        began = time.perf_counter_ns()
        strategy.advance(state, row)
        times.append((time.perf_counter_ns() - began) / 1e6)
    ours = float(np.median(times))
    what = f"live bar, {INSTRUMENTS} instruments x {len(features)} features: update, predict, decide, ms"
    return what, "budget", ours, LIVE_BUDGET_MS, LIVE_BUDGET_MS / ours
