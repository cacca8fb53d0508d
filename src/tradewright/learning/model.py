"""A trained model as a value: arrays, calibration and lineage; its id is derived from its content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from tradewright.errors import InvalidInput
from tradewright.ids import derive
from tradewright.learning.calibration import Calibration
from tradewright.learning.scorers import Scorer, scorer_of
from tradewright.market.panel import Floats

_FORMAT = "tradewright-model-1"


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What a model says, each (k, N), NaN where it says nothing.

    probability: calibrated P(return over the horizon > 0). expected_return: a fraction over the horizon. sigma:
    volatility of that return, known at the decision row.
    """

    probability: Floats
    expected_return: Floats
    sigma: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model ready to predict. Equal content gives an equal `id`.

    kind: the learner's name. features: the columns its rows must have, in order. horizon: bars of its forecast.
    mean_up, mean_down: mean |y| of the rising and falling training labels, in units of sigma. lineage: what it was made
    from (data version, trained span, parameters, seed, code hash, library versions), JSON values.
    """

    kind: str
    features: tuple[str, ...]
    horizon: int
    scorer: Scorer
    calibration: Calibration
    mean_up: float
    mean_down: float
    lineage: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            stored = self.scorer.kind != "estimator"
            content = self.to_bytes() if stored else repr(sorted(self.lineage.items())).encode()
            object.__setattr__(self, "id", derive("mdl", hashlib.sha256(content).hexdigest()))

    @property
    def trained_span(self) -> tuple[int, int]:
        """First decision row and last row a training label read, microseconds, both included."""
        first, last = self.lineage["trained_span"]
        return int(first), int(last)

    def predict(self, features: Floats, sigma: Floats | None = None) -> Forecast:
        """Return the forecast for features (k, N, F) as `FeatureSet(self.features)` gives them.

        sigma: (k, N) from `learning.labels.advance_volatility`; where it is NaN there is no forecast. Without it,
        expected return and sigma are NaN. A row of which every feature is NaN has no forecast. One row or many: the
        same bits. Raises InvalidInput for another number of features.
        """
        if features.ndim != 3 or features.shape[2] != len(self.features):
            raise InvalidInput(
                f"the model {self.id} reads (k, N, {len(self.features)}) features, got shape {features.shape}"
            )
        shape = features.shape[:2]
        rows = np.ascontiguousarray(features.reshape(-1, features.shape[2]))
        probability = self.calibration.apply(self.scorer.margins(rows)).reshape(shape)
        silent = np.isnan(rows).all(axis=1).reshape(shape)
        known = np.full(shape, np.nan) if sigma is None else sigma
        if sigma is not None:
            silent = silent | ~np.isfinite(sigma)
        probability = np.where(silent, np.nan, probability)
        move = probability * self.mean_up - (1.0 - probability) * self.mean_down
        return Forecast(probability, known * move, np.where(silent, np.nan, known))

    def probability(self, row: Floats) -> float:
        """Return P(return > 0) for one row of features, (1, F) contiguous float64: the fast path for one prediction."""
        return float(self.calibration.apply(self.scorer.margins(row))[0])

    def to_bytes(self) -> bytes:
        """Return the model as bytes, the same for the same content. Raises InvalidInput for a plugged-in estimator."""
        arrays = {**self.scorer.arrays(), "calibration": self.calibration.knots}
        packed = [
            (name, arrays[name].dtype.str, list(arrays[name].shape), np.ascontiguousarray(arrays[name]).tobytes())
            for name in sorted(arrays)
        ]
        return msgspec.msgpack.encode(
            {
                "format": _FORMAT,
                "kind": self.kind,
                "scorer": self.scorer.kind,
                "features": list(self.features),
                "horizon": self.horizon,
                "mean_up": self.mean_up,
                "mean_down": self.mean_down,
                "lineage": dict(self.lineage),
                "arrays": packed,
            },
            order="sorted",
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Model:
        """Return the model that gave `data`. Raises InvalidInput for anything else."""
        try:
            read = msgspec.msgpack.decode(data)
            if not isinstance(read, dict) or read.get("format") != _FORMAT:
                raise ValueError("not in the format " + _FORMAT)
            arrays = {n: np.frombuffer(raw, dtype).reshape(shape).copy() for n, dtype, shape, raw in read["arrays"]}
            calibration = Calibration(arrays.pop("calibration"))
            scorer = scorer_of(read["scorer"], arrays)
            return cls(
                read["kind"], tuple(read["features"]), read["horizon"], scorer, calibration,
                read["mean_up"], read["mean_down"], read["lineage"],
            )  # fmt: skip
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"these {len(data)} bytes are no stored model: {error}; train it again") from error
