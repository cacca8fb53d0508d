"""The strategy that trades what a model schedule says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewright.compiled import kernel
from tradewright.errors import InvalidInput
from tradewright.features.sets import FeatureSet
from tradewright.learning.labels import VOLATILITY, advance_volatility, start_volatility
from tradewright.learning.model import Forecast
from tradewright.learning.schedule import ModelSchedule
from tradewright.market.panel import Flags, Floats, Panel
from tradewright.strategies.contract import State, TargetKind, Targets

_FEATURES, _VOLATILITY, _HELD, _EDGE = "features.", "volatility.", "held", "edge"


@dataclass(frozen=True, slots=True)
class ModelStrategy:
    """Long-only weights from the calibrated forecasts of a model schedule.

    Every instrument with a forecast has a slot of equal risk, `budget` x (1 / sigma) / sum(1 / sigma). It is filled by
    min(1, edge / full_edge) once the edge exceeds `threshold`, and emptied when it falls to `threshold` / 2 or below.
    The edge is p - 0.5, averaged exponentially over as many rows as the forecast looks ahead: what was bought for five
    bars is not sold after one. A weight is changed only when it would move by more than `band` slots or to zero, so
    that costs do not eat the edge. Weights sum to `budget` at most. Row t uses the model valid then; rows before the
    first model are flat. What is no member of the universe has no forecast and is sold.
    Raises InvalidInput for parameters out of range.
    """

    schedule: ModelSchedule
    threshold: float = 0.01
    full_edge: float = 0.05
    budget: float = 0.95
    band: float = 0.25
    features: FeatureSet = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not (0 <= self.threshold < 0.5 and 0 < self.full_edge <= 0.5 and 0 < self.budget <= 0.95 and self.band >= 0):
            raise InvalidInput(
                "ModelStrategy needs 0 <= threshold < 0.5, 0 < full_edge <= 0.5, 0 < budget <= 0.95 and band >= 0, got "
                f"{self.threshold}, {self.full_edge}, {self.budget}, {self.band}"
            )
        object.__setattr__(self, "features", FeatureSet(self.schedule.features))

    @property
    def name(self) -> str:
        """`model`."""
        return "model"

    @property
    def params(self) -> Mapping[str, Any]:
        """Schedule id, its models, and the sizing parameters."""
        return {
            "schedule": self.schedule.id,
            "models": [entry.model.id for entry in self.schedule.entries],
            "threshold": self.threshold,
            "full_edge": self.full_edge,
            "budget": self.budget,
            "band": self.band,
        }

    @property
    def kind(self) -> TargetKind:
        """Shares of equity."""
        return TargetKind.WEIGHTS

    @property
    def warm_up(self) -> int:
        """Bars before every feature has a number."""
        return max(self.features.warm_up, VOLATILITY.warm_up)

    def trained_spans(self) -> list[tuple[int, int, int]]:
        """Return (first, last, valid_from) in microseconds for each entry, in order of validity.

        The entry's model learned from rows first..last, both included, labels' ends with them; it is in force from
        valid_from until the next entry's.
        """
        return [(*entry.model.trained_span, entry.valid_from_us) for entry in self.schedule.entries]

    def targets(self, panel: Panel) -> Targets:
        """Return the weights of every row."""
        return Targets(self.advance(self.start(panel), panel), TargetKind.WEIGHTS)

    def start(self, panel: Panel) -> State:
        """Return the state before the first row. Raises InvalidInput for a panel of another interval."""
        if panel.interval is not self.schedule.interval:
            raise InvalidInput(
                f"the models were trained on {self.schedule.interval.value} bars, the panel has {panel.interval.value}"
            )
        state = {_FEATURES + name: array for name, array in self.features.start(panel).items()}
        state.update({_VOLATILITY + name: array for name, array in start_volatility(panel).items()})
        state[_HELD] = np.zeros(panel.shape[1])
        state[_EDGE] = np.full(panel.shape[1], np.nan)
        return state

    def advance(self, state: State, rows: Panel) -> Floats:
        """Return the targets of `rows` and move `state` past them."""
        return self.advance_with_forecast(state, rows)[0]

    def advance_with_forecast(self, state: State, rows: Panel) -> tuple[Floats, Forecast]:
        """Return targets (k, N) and the forecasts they came from; NaN where no model is valid or there is no bar."""
        values = self.features.advance(_part(state, _FEATURES), rows)
        sigma = advance_volatility(_part(state, _VOLATILITY), rows, self.schedule.horizon)
        sigma = np.where(rows.member, sigma, np.nan)
        starts = np.array([entry.valid_from_us for entry in self.schedule.entries])
        entry = np.searchsorted(starts, rows.times, side="right") - 1
        forecast = self._forecast(values, sigma, entry)
        smoothing = 2.0 / (self.schedule.horizon + 1.0)
        sizing = np.array([self.threshold, self.full_edge, self.budget, self.band, smoothing])
        leaves = rows.present & ~rows.member
        return _weights(state[_HELD], state[_EDGE], forecast.probability, sigma, leaves, entry, sizing), forecast

    def _forecast(self, values: Floats, sigma: Floats, entry: NDArray[np.int64]) -> Forecast:
        whole = Forecast(*(np.full(sigma.shape, np.nan) for _ in range(3)))
        for number in np.unique(entry[entry >= 0]):
            mine = entry == number
            part = self.schedule.entries[number].model.predict(values[mine], sigma[mine])
            whole.probability[mine] = part.probability
            whole.expected_return[mine] = part.expected_return
            whole.sigma[mine] = part.sigma
        return whole


def _part(state: State, prefix: str) -> State:
    # the arrays are shared, so moving the part moves the whole
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


@kernel
def _weights(
    held: Floats,
    edges: Floats,
    probability: Floats,
    sigma: Floats,
    leaves: Flags,
    entry: NDArray[np.int64],
    sizing: Floats,
) -> Floats:
    threshold, full_edge, budget, band, smoothing = sizing
    rows, columns = probability.shape
    out = np.full((rows, columns), np.nan)
    wanted = np.empty(columns)
    for row in range(rows):
        if entry[row] < 0:
            out[row] = 0.0
            held[:] = 0.0
            continue
        risk = 0.0
        for column in range(columns):
            if not math.isnan(probability[row, column]) and sigma[row, column] > 0.0:
                risk += 1.0 / sigma[row, column]
        total = 0.0
        for column in range(columns):
            if leaves[row, column]:
                out[row, column] = 0.0
                held[column] = 0.0
            wanted[column] = held[column]
            if math.isnan(probability[row, column]) or not sigma[row, column] > 0.0:
                total += held[column]
                continue
            slot = budget / sigma[row, column] / risk
            edge = probability[row, column] - 0.5
            if not math.isnan(edges[column]):
                edge = edges[column] + (edge - edges[column]) * smoothing
            edges[column] = edge
            least = 0.5 * threshold if held[column] > 0.0 else threshold
            wanted[column] = slot * min(edge / full_edge, 1.0) if edge > least else 0.0
            moves = abs(wanted[column] - held[column]) > band * slot
            if moves or (wanted[column] == 0.0 and held[column] > 0.0):
                out[row, column] = wanted[column]
                held[column] = wanted[column]
            total += held[column]
        if total > budget:
            _trim(held, wanted, probability[row], sigma[row], budget, out[row])
    return out


@kernel
def _trim(held: Floats, wanted: Floats, probability: Floats, sigma: Floats, budget: float, out: Floats) -> None:
    # weights left alone inside their bands can add up to more than the budget: move all that have a bar, then scale
    kept, free = 0.0, 0.0
    for column in range(len(held)):
        if math.isnan(probability[column]) or not sigma[column] > 0.0:
            kept += held[column]
        else:
            free += wanted[column]
    scale = min(1.0, max(budget - kept, 0.0) / free) if free > 0.0 else 0.0
    for column in range(len(held)):
        if not math.isnan(probability[column]) and sigma[column] > 0.0:
            out[column] = wanted[column] * scale
            held[column] = wanted[column] * scale
