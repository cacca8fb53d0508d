"""What a strategy is: a function from a panel to targets.

A *kernel strategy* also says how to go on from a state, row by row. Its batch is `advance(start(panel), panel)`, live
is `advance(state, one row)`: the same compiled loop, so the two agree bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tradewright.errors import InvalidInput
from tradewright.market.panel import Floats, Panel

State = dict[str, np.ndarray[Any, Any]]

LARGEST = 1e15
"""What a target may be at most: beyond it a float64 no longer tells whole units apart, and their worth overflows."""


class TargetKind(StrEnum):
    """What a target number means."""

    UNITS = "units"
    WEIGHTS = "weights"  # shares of equity


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """(T, N) float64: NaN leaves the position as it is, 0 is flat, a number rebalances to it. Row t is decided at the
    close of row t and filled at row t + 1 at the earliest."""

    values: Floats
    kind: TargetKind = TargetKind.UNITS

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float64:
            raise InvalidInput(f"targets must be float64 of shape (T, N), got {self.values.dtype} {self.values.shape}")


@runtime_checkable
class Strategy(Protocol):
    """Turns a panel into targets. Row t may depend on rows 0..t only; every backtest checks it.

    A strategy that does not decide, but hands on targets that were made elsewhere, has an attribute `given` that is
    True: nobody can check how they were made, so its results are no evidence.
    """

    @property
    def name(self) -> str: ...

    @property
    def params(self) -> Mapping[str, Any]: ...

    def targets(self, panel: Panel) -> Targets: ...


@runtime_checkable
class KernelStrategy(Strategy, Protocol):
    """A strategy that can go on from a state.

    It may also have `advance_into(state, rows, out)`, which writes what `advance` returns to `out`, (len(rows), N) and
    contiguous; long batches then need no second copy.
    """

    @property
    def kind(self) -> TargetKind: ...

    @property
    def warm_up(self) -> int: ...

    def start(self, panel: Panel) -> State: ...

    def advance(self, state: State, rows: Panel) -> Floats:
        """Return the targets of `rows`, (len(rows), N), and move `state` past them in place."""
        ...
