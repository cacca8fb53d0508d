"""What the clock says at the end of a row, UTC, the same for every column that has a bar."""

from __future__ import annotations

import numpy as np

from tradewright.clock import DAY_US
from tradewright.market.panel import Floats, Times


def day_of_week(times: Times) -> Floats:
    """0 for Monday to 6 for Sunday."""
    return ((times // DAY_US + 3) % 7).astype(np.float64)


def month_position(times: Times) -> Floats:
    """Share of the calendar month that has passed, 0 on its first day, below 1 on its last."""
    days = times.astype("datetime64[us]").astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    first, following = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]")
    return np.asarray((days - first).astype(np.float64) / (following - first).astype(np.float64))


def month_of_year(times: Times) -> Floats:
    """1 for January to 12 for December."""
    return (times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12 + 1).astype(np.float64)


def time_of_day(times: Times) -> Floats:
    """Share of the UTC day that has passed, 0 to below 1."""
    return (times % DAY_US) / DAY_US
