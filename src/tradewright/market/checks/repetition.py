"""What is there again and again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradewright.market.checks.series import Series
from tradewright.market.instruments import Interval
from tradewright.market.verdicts import Finding

STALE_ROWS = {Interval.DAY: 10, Interval.HOUR: 24}
STALE_ROWS_INTRADAY = 60


def stale_runs(series: Series) -> Iterator[Finding]:
    """Yield runs of one close."""
    least = STALE_ROWS.get(series.interval, STALE_ROWS_INTRADAY)
    starts = np.flatnonzero(np.append(True, np.diff(series.close) != 0))
    lengths = np.diff(np.append(starts, len(series)))
    stale = np.repeat(lengths >= least, lengths)
    if stale.any():
        detail = f"the same close {least} times in a row or more (longest: {lengths.max()})"
        yield series.finding("stale_run", series.by_share(stale), detail, stale)
