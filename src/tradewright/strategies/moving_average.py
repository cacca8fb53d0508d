"""The moving-average cross: hold while the short mean is above the long one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewright.compiled import kernel
from tradewright.errors import InvalidInput
from tradewright.market.panel import Floats, Panel
from tradewright.strategies.contract import State, TargetKind, Targets
from tradewright.strategies.growth import NEVER, growth_steps

TIE = 1e-12
"""Means closer than this share of the price are equal: below it lies rounding, not information."""

LAPS = 64
"""Running sums are taken anew from the ring every so many laps around it."""


@dataclass(frozen=True, slots=True)
class MovingAverageCross:
    """Holds `units` of each instrument while the mean of its last `fast` closes is above that of its last `slow`.

    Else flat; undecided (NaN) until `slow` closes are there and on rows without a bar. The target is repeated on every
    row. Means are taken over the total-return index, so a split or dividend is no signal; after a split the target is
    left alone (NaN) until it changes, since the units held have changed with the split. Means that differ by less than
    one part in 10^12 count as equal. Raises InvalidInput unless 1 <= fast < slow and units is a finite number above 0.
    """

    fast: int = 20
    slow: int = 50
    units: float = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.fast, int) and isinstance(self.slow, int) and 1 <= self.fast < self.slow):
            raise InvalidInput(f"moving averages need whole numbers 1 <= fast < slow, got {self.fast!r}, {self.slow!r}")
        if not (np.isfinite(self.units) and self.units > 0):
            raise InvalidInput(f"units must be a finite number above 0, got {self.units!r}")

    @property
    def name(self) -> str:
        """The name in registry, reports and ledger."""
        return "moving_average_cross"

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters, by name."""
        return asdict(self)

    @property
    def kind(self) -> TargetKind:
        """Targets are units."""
        return TargetKind.UNITS

    @property
    def warm_up(self) -> int:
        """Rows before the first decision."""
        return self.slow - 1

    def start(self, panel: Panel) -> State:
        """Return the state before the first row."""
        n = panel.shape[1]
        return {
            "ring": np.zeros((n, self.slow)),
            "seen": np.zeros(n, np.int64),
            "sums": np.zeros((n, 2)),
            "anchor": np.zeros(n),
            "factor": np.ones(n),
            "target": np.full(n, np.nan),
            "quiet": np.zeros(n, np.bool_),
            "last_time": np.full(n, NEVER, np.int64),
        }

    def advance(self, state: State, rows: Panel) -> Floats:
        """Return the targets of `rows`, (len(rows), N), and move `state` past them in place."""
        total, split = growth_steps(rows, state["last_time"])
        out = np.empty(rows.shape)
        _advance(
            rows.close,
            total,
            split,
            self.fast,
            float(self.units),
            state["ring"],
            state["seen"],
            state["sums"],
            state["anchor"],
            state["factor"],
            state["target"],
            state["quiet"],
            out,
        )
        return out

    def targets(self, panel: Panel) -> Targets:
        """Return the targets of the whole panel: `advance` from `start`."""
        return Targets(self.advance(self.start(panel), panel), self.kind)


@kernel
def _advance(
    close: Floats,
    total: Floats,
    split: Floats,
    fast: int,
    units: float,
    ring: Floats,
    seen: NDArray[np.int64],
    sums: Floats,
    anchor: Floats,
    factor: Floats,
    target: Floats,
    quiet: NDArray[np.bool_],
    out: Floats,
) -> None:
    slow = ring.shape[1]
    actions = len(total) > 0
    for c in range(close.shape[1]):
        count, base, grown, held, silent = seen[c], anchor[c], factor[c], target[c], quiet[c]
        sum_fast, sum_slow = sums[c, 0], sums[c, 1]
        place = count % slow
        behind = (place + slow - fast) % slow
        for t in range(len(close)):
            price = close[t, c]
            if not np.isfinite(price):
                out[t, c] = np.nan
                continue
            if actions:
                grown *= total[t, c]
                silent = silent or split[t, c] != 1.0
            price *= grown
            if count == 0:
                base = price
            x = price - base
            sum_fast += x - ring[c, behind]
            sum_slow += x - ring[c, place]
            ring[c, place] = x
            place += 1
            behind += 1
            count += 1
            if behind == slow:
                behind = 0
            if place == slow:
                place = 0
                if count % (slow * LAPS) == 0:  # sum anew, so that rounding does not pile up
                    sum_slow = 0.0
                    for k in range(slow):
                        sum_slow += ring[c, k]
                    sum_fast = 0.0
                    for k in range(slow - fast, slow):
                        sum_fast += ring[c, k]
            if count < slow:
                out[t, c] = np.nan
                continue
            now = units if sum_fast / fast - sum_slow / slow > TIE * abs(price) else 0.0
            if now != held:
                held, silent = now, False
            out[t, c] = np.nan if silent and now != 0.0 else now
        seen[c], anchor[c], factor[c], target[c], quiet[c] = count, base, grown, held, silent
        sums[c, 0], sums[c, 1] = sum_fast, sum_slow
