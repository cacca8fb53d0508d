"""The array types of panels, and the names of their columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Times = NDArray[np.int64]

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
