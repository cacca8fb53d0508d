"""What can learn: each takes samples and gives a Scorer. Libraries are imported when something is really trained."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tradewright.errors import InvalidInput, LibraryMissing
from tradewright.learning.scorers import CLIP, EstimatorScorer, LinearScorer, Scorer, TreeScorer
from tradewright.learning.trees import parse_lightgbm
from tradewright.market.panel import Floats
from tradewright.market.reference import Rows


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Training rows: x (n, F), y (n,) scaled labels, row (n,) the decision row of each, horizon of the labels."""

    x: Floats
    y: Floats
    row: Rows
    horizon: int

    def __len__(self) -> int:
        return len(self.y)


@runtime_checkable
class Learner(Protocol):
    """Anything that learns P(y > 0) from samples."""

    @property
    def name(self) -> str: ...

    @property
    def params(self) -> Mapping[str, Any]: ...

    def learn(self, samples: Samples, seed: int) -> Scorer:
        """Return a scorer; the same samples and seed give the same arrays."""
        ...


LEAF_ROWS = 200


@dataclass(frozen=True, slots=True)
class GradientBoosting:
    """Shallow boosted trees (LightGBM), several seeds averaged into one model: one trial.

    Labels of h bars overlap, so each seed learns from every h-th row only, each from another phase: samples within a
    seed do not overlap. With fewer seeds than bars the step is the number of seeds: together they use every row.
    trees, depth, leaves, learning_rate, l2: as in LightGBM. min_leaf: smallest share of rows in a leaf, which
    holds at least 200 rows (a quarter of all where there are fewer than 800): below that its mean is noise.
    feature_fraction, row_fraction: shares drawn for each tree. bins: histogram bins.
    """

    trees: int = 80
    depth: int = 5
    leaves: int = 31
    learning_rate: float = 0.03
    min_leaf: float = 0.01
    feature_fraction: float = 0.5
    row_fraction: float = 0.7
    l2: float = 10.0
    bins: int = 63
    seeds: int = 5

    def __post_init__(self) -> None:
        if not (1 <= self.depth <= 12 and self.trees >= 1 and self.seeds >= 1 and 2 <= self.leaves <= 2**self.depth):
            raise InvalidInput(
                "GradientBoosting needs depth 1 to 12, trees and seeds of at least 1 and 2 to 2^depth leaves, got "
                f"depth={self.depth}, trees={self.trees}, seeds={self.seeds}, leaves={self.leaves}"
            )

    @property
    def name(self) -> str:
        """`gradient_boosting`."""
        return "gradient_boosting"

    @property
    def params(self) -> Mapping[str, Any]:
        """All settings."""
        return asdict(self)

    def learn(self, samples: Samples, seed: int) -> Scorer:
        """Return the averaged trees. Raises LibraryMissing where LightGBM cannot be loaded."""
        lightgbm = import_lightgbm()
        texts, step = [], min(samples.horizon, self.seeds)
        for number in range(self.seeds):
            mine = samples.row % step == number % step
            x, y = np.ascontiguousarray(samples.x[mine]), (samples.y[mine] > 0).astype(np.float32)
            settings = self._settings(len(y), seed * 1_000 + number)
            data = lightgbm.Dataset(x, label=y, params=settings, free_raw_data=True)
            texts.append(lightgbm.train(settings, data, self.trees).model_to_string())
        return TreeScorer(parse_lightgbm(texts))

    def _settings(self, rows: int, seed: int) -> dict[str, Any]:
        return {
            "objective": "binary",
            "max_depth": self.depth,
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": min(max(round(self.min_leaf * rows), LEAF_ROWS), max(rows // 4, 2)),
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.row_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "max_bin": self.bins,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }


@dataclass(frozen=True, slots=True)
class LinearBaseline:
    """Logistic regression with a ridge penalty, what the trees must beat. strength: inverse penalty (C there)."""

    strength: float = 0.01

    @property
    def name(self) -> str:
        """`linear_baseline`."""
        return "linear_baseline"

    @property
    def params(self) -> Mapping[str, Any]:
        """All settings."""
        return asdict(self)

    def learn(self, samples: Samples, seed: int) -> Scorer:
        """Return scaler and coefficients, both from these samples only; nothing here is random."""
        from sklearn.linear_model import LogisticRegression  # training only

        known, centre = ~np.isnan(samples.x), _means(samples.x)
        count = np.maximum(known.sum(axis=0), 1)
        scale = np.sqrt((np.where(known, samples.x - centre, 0.0) ** 2).sum(axis=0) / count)
        scale = np.where(scale > 0, scale, 1.0)
        x = np.where(known, np.clip((samples.x - centre) / scale, -CLIP, CLIP), 0.0)
        fitted = LogisticRegression(C=self.strength, solver="newton-cholesky").fit(x, samples.y > 0)
        return LinearScorer(centre, scale, fitted.coef_[0].astype(np.float64), float(fitted.intercept_[0]))


@dataclass(frozen=True, slots=True, eq=False)
class Plugged:
    """Any estimator with fit and predict_proba. A fresh copy is fitted each time.

    Where its scikit-learn tags do not say that it takes NaN, missing values become the training mean of their column.
    """

    estimator: Any

    @property
    def name(self) -> str:
        """The estimator's class."""
        return type(self.estimator).__name__

    @property
    def params(self) -> Mapping[str, Any]:
        """The estimator's parameters, as text where they are no plain values."""
        given = self.estimator.get_params() if hasattr(self.estimator, "get_params") else {}
        return {k: v if isinstance(v, (int, float, str, bool, type(None))) else repr(v) for k, v in given.items()}

    def learn(self, samples: Samples, seed: int) -> Scorer:
        """Return the fitted estimator; its random_state is set to `seed` where it has one."""
        from sklearn.base import clone  # training only
        from sklearn.utils import get_tags

        known = hasattr(self.estimator, "__sklearn_tags__")
        fresh = clone(self.estimator) if known else copy.deepcopy(self.estimator)
        if "random_state" in self.params:
            fresh.set_params(random_state=seed)
        takes_nan = known and get_tags(fresh).input_tags.allow_nan
        fill = None if takes_nan else _means(samples.x)
        x = samples.x if fill is None else np.where(np.isnan(samples.x), fill, samples.x)
        fresh.fit(x, (samples.y > 0).astype(int))
        return EstimatorScorer(fresh, fill)


def learner_of(model: Any) -> Learner:
    """Return `model` as a learner. Raises InvalidInput for what neither learns nor has fit and predict_proba."""
    if isinstance(model, Learner):
        return model
    if callable(getattr(model, "fit", None)) and callable(getattr(model, "predict_proba", None)):
        return Plugged(model)
    raise InvalidInput(
        f"{type(model).__name__} cannot be trained; hand in GradientBoosting(), LinearBaseline() or an estimator "
        "with fit and predict_proba"
    )


def _means(x: Floats) -> Floats:
    known = ~np.isnan(x)
    return np.asarray(np.where(known, x, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def import_lightgbm() -> Any:
    """Return the lightgbm module. Raises LibraryMissing naming the package that is not installed."""
    try:
        import lightgbm
    except OSError as error:
        if "libgomp" in str(error):
            raise LibraryMissing(
                "LightGBM needs the OpenMP library libgomp.so.1, which is not installed; install the package libgomp1 "
                "(Debian, Ubuntu: apt-get install libgomp1) or libgomp (Fedora, Alpine) and run it again",
                package="libgomp1",
            ) from error
        raise LibraryMissing(f"LightGBM cannot be loaded: {error}", package="lightgbm") from error
    except ImportError as error:
        raise LibraryMissing(f"LightGBM is not installed: {error}; pip install lightgbm", package="lightgbm") from error
    return lightgbm
