"""Buy once, hold for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tradewright.errors import InvalidInput
from tradewright.market.panel import Floats, Panel
from tradewright.strategies.contract import State, TargetKind, Targets


@dataclass(frozen=True, slots=True)
class BuyAndHold:
    """Buys equal weights once, `weight` of equity in all, each instrument on the first row where it has a bar.

    Then leaves everything as it is. Raises InvalidInput unless 0 < weight <= 1.
    """

    weight: float = field(default=0.95, metadata={"exclusiveMinimum": 0, "maximum": 1})

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise InvalidInput(f"weight is the share of equity to invest, above 0 and at most 1, got {self.weight!r}")

    @property
    def name(self) -> str:
        """The name in registry, reports and ledger."""
        return "buy_and_hold"

    @property
    def params(self) -> Mapping[str, Any]:
        """The parameters, by name."""
        return asdict(self)

    @property
    def kind(self) -> TargetKind:
        """Targets are shares of equity."""
        return TargetKind.WEIGHTS

    @property
    def warm_up(self) -> int:
        """None."""
        return 0

    def start(self, panel: Panel) -> State:
        """Return the state before the first row."""
        return {"bought": np.zeros(panel.shape[1], np.bool_)}

    def advance(self, state: State, rows: Panel) -> Floats:
        """Return the targets of `rows`, (len(rows), N), and move `state` past them in place."""
        bought = state["bought"]
        out = np.full(rows.shape, np.nan)
        for column in np.flatnonzero(~bought):
            present = rows.present[:, column]
            if present.any():
                out[int(np.argmax(present)), column] = self.weight / rows.shape[1]
                bought[column] = True
        return out

    def targets(self, panel: Panel) -> Targets:
        """Return the targets of the whole panel."""
        return Targets(self.advance(self.start(panel), panel), self.kind)
