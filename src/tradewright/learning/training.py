"""From features and labels to a calibrated Model: learn on the earlier part, calibrate on the later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import numpy as np

from tradewright.errors import TooFewRows
from tradewright.features.sets import FeatureSet
from tradewright.learning.calibration import calibrate
from tradewright.learning.labels import Labels, label
from tradewright.learning.learners import Learner, Samples
from tradewright.learning.model import Model
from tradewright.market.panel import Flags, Floats, Panel

CALIBRATION_SHARE = 0.2
MINIMUM_SAMPLES = 200
_LIBRARIES = ("lightgbm", "numpy", "numba", "scikit-learn")
_CODE = ("features", "learning")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """A panel with its features (T, N, F) and labels, computed once for all folds."""

    panel: Panel
    features: FeatureSet
    values: Floats
    labels: Labels


def training_data(panel: Panel, features: FeatureSet, horizon: int) -> TrainingData:
    """Return features and labels of every row of `panel`."""
    return TrainingData(panel, features, features.advance(features.start(panel), panel), label(panel, horizon))


def train(learner: Learner, data: TrainingData, usable: Flags, seed: int, **lineage: Any) -> Model:
    """Return a model learned from the labels marked in `usable`, (T, N).

    The last fifth of its rows is kept for calibration; labels reaching into it are purged from the rest. The model
    says in `lineage` what it was made from; further facts are added from the keywords. Raises TooFewRows when there
    are fewer than 200 labels to learn from, or all of them point one way.
    """
    labels = data.labels
    marked = usable & np.isfinite(labels.y)
    rows = np.flatnonzero(marked.any(axis=1))
    if len(rows) == 0:
        raise TooFewRows("no label is known in the training rows; hand in more rows or a shorter horizon")
    cut = int(rows[-1]) + 1 - round((int(rows[-1]) + 1 - int(rows[0])) * CALIBRATION_SHARE)
    at = np.arange(len(marked))[:, None]
    early, late = marked & (labels.end_row < cut), marked & (at >= cut)
    samples, held = _samples(data, early), _samples(data, late)
    share = float((samples.y > 0).mean()) if len(samples) else 0.0
    if len(samples) < MINIMUM_SAMPLES or len(held) < 2 or not 0.0 < share < 1.0:
        raise TooFewRows(
            f"{len(samples)} labels to learn from and {len(held)} to calibrate on, {share:.0%} of them rising, are not "
            f"enough; at least {MINIMUM_SAMPLES} with both directions are needed"
        )
    scorer = learner.learn(samples, seed)
    y = labels.y[marked]
    calibration = calibrate(scorer.margins(held.x), held.y > 0, labels.horizon, float((y > 0).mean()))
    made_from = _lineage(learner, data, marked, cut, seed)
    return Model(
        kind=learner.name,
        features=data.features.names,
        horizon=labels.horizon,
        scorer=scorer,
        calibration=calibration,
        mean_up=float(y[y > 0].mean()),
        mean_down=float(-y[y <= 0].mean()) if bool((y <= 0).any()) else 0.0,
        lineage={**made_from, **lineage},
    )


def _samples(data: TrainingData, which: Flags) -> Samples:
    x = np.ascontiguousarray(data.values[which])
    return Samples(x, data.labels.y[which], np.nonzero(which)[0], data.labels.horizon)


def _lineage(learner: Learner, data: TrainingData, marked: Flags, cut: int, seed: int) -> Mapping[str, Any]:
    times, rows = data.panel.times, np.flatnonzero(marked.any(axis=1))
    return {
        "data_version": data.panel.data_version,
        "instruments": list(data.panel.ids),
        "interval": data.panel.interval.value,
        "label": f"(exit / entry - 1) / (ewma_volatility_40 x sqrt({data.labels.horizon}))",
        "trained_span": [int(times[rows[0]]), int(times[data.labels.end_row[marked].max()])],
        "calibrated_from": int(times[cut]),
        "labels": int(marked.sum()),
        "learner": learner.name,
        "params": dict(learner.params),
        "seed": seed,
        "code": code_hash(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


@cache
def code_hash() -> str:
    """Return a digest of the source of everything that decides what a model is: features and learning."""
    hasher = hashlib.sha256()
    root = files("tradewright")
    for package in _CODE:
        for file in sorted(root.joinpath(package).iterdir(), key=lambda f: f.name):
            if file.name.endswith(".py"):
                hasher.update(file.name.encode() + b"\0" + file.read_bytes())
    hasher.update(root.joinpath("market", "reference.py").read_bytes())
    return hasher.hexdigest()[:16]
