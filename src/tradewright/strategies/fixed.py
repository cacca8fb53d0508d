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
from tradewright.strategies.contract import LARGEST, State, TargetKind, Targets


@dataclass(frozen=True, eq=False)
class FixedTargets:
    """Replays a (T, N) array of targets, row by row; (T,) serves a panel of one instrument.

    values: NaN leaves the position as it is, 0 is flat, a number rebalances to it. kind: "units" or "weights" (shares
    of equity). Nothing can be said about how the numbers were made, so a result of them is no evidence (`given`).
    Raises InvalidInput for another kind or shape, for texts and booleans, and beyond 10^15.
    """

    given: ClassVar[bool] = True
    """The targets come from elsewhere."""

    values: Floats
    kind: TargetKind

    def __init__(self, targets: ArrayLike, kind: str | TargetKind = TargetKind.UNITS) -> None:
        _refuse_other_than_numbers(targets)
        try:
            values = np.array(targets, dtype=np.float64, order="C")
            chosen = TargetKind(kind)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"fixed targets: {error}; targets are numbers, kind is 'units' or 'weights'") from error
        values = values.reshape(-1, 1) if values.ndim == 1 else values
        if values.ndim != 2:
            raise InvalidInput(f"fixed targets must be a (T, N) array, got shape {values.shape}")
        beyond = values[np.abs(values) > LARGEST]
        if beyond.size:
            raise InvalidInput(f"fixed targets must be NaN or lie within {LARGEST:g} of 0, got {beyond[0]:g}")
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


def _refuse_other_than_numbers(targets: ArrayLike) -> None:
    # NumPy would read a text as the number it spells, and True as 1
    rows = targets if isinstance(targets, list | tuple) else []
    cells = (cell for row in rows for cell in (row if isinstance(row, list | tuple) else [row]))
    odd = [cell for cell in cells if isinstance(cell, str | bytes | bool | np.bool_)][:1]
    if odd or (isinstance(targets, np.ndarray) and targets.dtype.kind in "bSU"):
        seen = repr(odd[0])[:60] if odd else f"an array of {np.asarray(targets).dtype}"
        raise InvalidInput(f"fixed targets are numbers, null (NaN) to leave a position alone; got {seen}")
