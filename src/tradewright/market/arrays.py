"""What panels are made of: the types of their arrays, the names of their columns, and actions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Positions = NDArray[np.intp]
Times = NDArray[np.int64]

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")


@dataclass(frozen=True, slots=True)
class Action:
    """A dated corporate action of column `instrument` (an index into the panel).

    time_us: the first row at or after it trades on the new terms. known_at_us: when it could be known.
    split: new units per old unit (7.0 for seven for one), 1.0 when none. dividend: cash per unit, before the split of
    the same day, 0.0 when none.
    """

    instrument: int
    time_us: int
    known_at_us: int
    split: float = 1.0
    dividend: float = 0.0
