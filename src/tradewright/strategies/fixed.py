"""Targets that were made elsewhere, replayed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from tradewright.errors import InvalidInput
from tradewright.market.panel import Floats, Panel
from tradewright.strategies.contract import State, TargetKind, Targets


@dataclass(frozen=True, eq=False)
class FixedTargets:
    """Replays a (T, N) array of targets, row by row; (T,) serves a panel of one instrument.

    values: NaN leaves the position as it is, 0 is flat, a number rebalances to it. kind: "units" or "weights" (shares
    of equity). Nothing can be said about how the numbers were made, so a result of them is no evidence (`given`).
    Raises InvalidInput for another kind or shape, or for an infinite number.
    """

    given: ClassVar[bool] = True
    """The targets come from elsewhere."""

    values: Floats
    kind: TargetKind

    def __init__(self, targets: ArrayLike, kind: str | TargetKind = TargetKind.UNITS) -> None:
        try:
            values = np.array(targets, dtype=np.float64, order="C")
            chosen = TargetKind(kind)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"fixed targets: {error}; targets are numbers, kind is 'units' or 'weights'") from error
        values = values.reshape(-1, 1) if values.ndim == 1 else values
        if values.ndim != 2 or bool(np.isinf(values).any()):
            raise InvalidInput(f"fixed targets must be a finite (T, N) array, NaN allowed, got shape {values.shape}")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "kind", chosen)

    @property
    def name(self) -> str:
        """The name in registry, reports and ledger."""
        return "fixed_targets"

    @property
    def params(self) -> Mapping[str, Any]:
        """Kind, shape and content digest of the targets."""
        digest = hashlib.sha256(self.values.tobytes()).hexdigest()[:32]
        return {
            "kind": self.kind.value,
            "rows": self.values.shape[0],
            "columns": self.values.shape[1],
            "sha256": digest,
        }

    @property
    def warm_up(self) -> int:
        """None."""
        return 0

    def check(self, panel: Panel) -> None:
        """Raise InvalidInput unless there is one target for each row and column of `panel`."""
        if self.values.shape != panel.shape:
            raise InvalidInput(
                f"fixed targets have shape {self.values.shape} and the panel has {panel.shape}; give one row of "
                "targets for each row of the panel, NaN where nothing changes"
            )

    def start(self, panel: Panel) -> State:
        """Return the state before the first row. Raises InvalidInput when the columns do not fit."""
        if self.values.shape[1] != panel.shape[1]:
            raise InvalidInput(f"fixed targets have {self.values.shape[1]} columns, the panel has {panel.shape[1]}")
        return {"row": np.zeros(1, np.int64)}

    def advance(self, state: State, rows: Panel) -> Floats:
        """Return the next len(rows) targets. Raises InvalidInput when there are fewer."""
        first = int(state["row"][0])
        last = first + len(rows)
        if last > len(self.values):
            raise InvalidInput(f"fixed targets end after {len(self.values)} rows; row {last} was asked for")
        state["row"][0] = last
        return self.values[first:last]

    def targets(self, panel: Panel) -> Targets:
        """Return the first len(panel) rows of targets."""
        return Targets(self.advance(self.start(panel), panel), self.kind)
