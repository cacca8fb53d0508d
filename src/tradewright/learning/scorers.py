"""What a trained learner is, reduced to arrays: rows in, margins (log odds of y > 0) out, without its library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tradewright.compiled import kernel
from tradewright.errors import InvalidInput
from tradewright.learning.trees import Forest
from tradewright.market.panel import Floats

Arrays = Mapping[str, np.ndarray[Any, Any]]
CLIP = 5.0  # standard deviations beyond which a linear model does not extrapolate


class Scorer(Protocol):
    """A trained function of rows."""

    @property
    def kind(self) -> str: ...

    def margins(self, rows: Floats) -> Floats:
        """Return (n,) log odds of contiguous (n, F) rows; one row alone gives the bits it gives among many."""
        ...

    def arrays(self) -> Arrays:
        """Return what `scorer_of` needs to make it again."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TreeScorer:
    """Boosted trees, several seeds averaged into one forest."""

    forest: Forest
    kind: str = "trees"

    def margins(self, rows: Floats) -> Floats:
        """Return (n,) log odds."""
        return self.forest.margins(rows)

    def arrays(self) -> Arrays:
        """Return the padded trees."""
        sizes = np.array([self.forest.features, int(self.forest.zero_missing)], dtype=np.int64)
        return {"nodes": self.forest.nodes, "values": self.forest.values, "sizes": sizes}


@dataclass(frozen=True, slots=True, eq=False)
class LinearScorer:
    """coefficients . clip((x - centre) / scale, -5, 5) + intercept; a missing value counts as the training mean."""

    centre: Floats
    scale: Floats
    coefficients: Floats
    intercept: float
    kind: str = "linear"

    def margins(self, rows: Floats) -> Floats:
        """Return (n,) log odds."""
        return _linear(rows, self.centre, self.scale, self.coefficients, self.intercept)

    def arrays(self) -> Arrays:
        """Return scaler and coefficients."""
        intercept = np.array([self.intercept])
        return {
            "centre": self.centre,
            "scale": self.scale,
            "coefficients": self.coefficients,
            "intercept": intercept,
        }


@dataclass(frozen=True, slots=True, eq=False)
class EstimatorScorer:
    """A fitted object with predict_proba. It lives as long as the process: there is no way to keep it as arrays.

    fill: (F,) what stands in for a missing value, None when the estimator takes NaN itself.
    """

    estimator: Any
    fill: Floats | None
    kind: str = "estimator"

    def margins(self, rows: Floats) -> Floats:
        """Return (n,) log odds, rounded to 6 decimals: the last bits of a matrix product depend on the batch size."""
        if len(rows) == 0:
            return np.empty(0)
        known = rows if self.fill is None else np.where(np.isnan(rows), self.fill, rows)
        p = np.clip(self.estimator.predict_proba(known)[:, 1].astype(np.float64), 1e-12, 1.0 - 1e-12)
        return np.asarray(np.round(np.log(p / (1.0 - p)), 6))

    def arrays(self) -> Arrays:
        """Raises InvalidInput."""
        name = type(self.estimator).__name__
        raise InvalidInput(
            f"a model of the estimator {name} cannot be stored: it has no form without its library; "
            "use GradientBoosting or LinearBaseline for what is to be kept"
        )


def scorer_of(kind: str, arrays: Arrays) -> Scorer:
    """Return the scorer that gave these arrays. Raises InvalidInput for an unknown kind."""
    if kind == "trees":
        features, zero_missing = (int(n) for n in arrays["sizes"])
        return TreeScorer(Forest(arrays["nodes"], arrays["values"], features, bool(zero_missing)))
    if kind == "linear":
        parts = (arrays["centre"], arrays["scale"], arrays["coefficients"])
        return LinearScorer(*parts, intercept=float(arrays["intercept"][0]))
    raise InvalidInput(f"stored model of unknown kind {kind!r}; it was written by a newer version")


@kernel
def _linear(rows: Floats, centre: Floats, scale: Floats, coefficients: Floats, intercept: float) -> Floats:
    out = np.empty(rows.shape[0])
    for n in range(rows.shape[0]):
        total = intercept
        for f in range(rows.shape[1]):
            x = rows[n, f]
            if not math.isnan(x):
                total += coefficients[f] * min(max((x - centre[f]) / scale[f], -CLIP), CLIP)
        out[n] = total
    return out
