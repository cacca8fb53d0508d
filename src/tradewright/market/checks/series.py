"""What a check of a series reads, and how it tells what it found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradewright.market.actions import became_of_a_unit
from tradewright.market.arrays import Action, Flags, Floats, Positions, Times
from tradewright.market.checks.thresholds import MANY, NEARBY, ROWS_KEPT
from tradewright.market.frames import VALUES
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.verdicts import Finding, Verdict

SPLIT_SEEN = 1.2  # a smaller one than this, or its inverse, cannot be told from the moves of a day


class Series:
    """Arrays of one resolved series, as the checks below read them.

    returns, opening: (T - 1,) log total returns from close to close and from close to open. unshown: (T,) rows on whose
    splits the prices say nothing.
    """

    def __init__(
        self,
        instrument: Instrument,
        interval: Interval,
        frame: pl.DataFrame,
        close_only: bool,
        pre_adjusted: bool,
        actions: Sequence[Action],
    ) -> None:
        self.instrument, self.interval = instrument, interval
        self.close_only, self.pre_adjusted = close_only, pre_adjusted
        self.times: Times = frame["time"].to_numpy()
        self.open, self.high, self.low, self.close, self.volume = (
            frame[name].fill_null(np.nan).to_numpy() for name in VALUES
        )
        units, self._cash = became_of_a_unit(self.times, actions)
        self.unshown = self._unshown(np.log(units[1:]))
        self._units = np.where(self.unshown, 1.0, units)
        self.returns = self._grown(self.close)

    @cached_property
    def opening(self) -> Floats:
        return self._grown(self.open)

    @cached_property
    def step(self) -> float:
        """The smallest step of the close, 0 if it never moves."""
        steps = np.abs(np.diff(self.close))
        return float(steps[steps > 0.0].min(initial=np.inf)) if (steps > 0.0).any() else 0.0

    def around(self, values: Floats, at: Positions) -> Floats:
        """The median of NEARBY values on each side of each position, as many at an end."""
        window = min(2 * NEARBY + 1, len(values))
        begin = np.clip(at - NEARBY, 0, len(values) - window)
        found = np.lib.stride_tricks.sliding_window_view(values, window)[begin]
        return np.asarray(np.nanmedian(found, axis=1) if np.isnan(found).any() else np.median(found, axis=1))

    def _grown(self, price: Floats) -> Floats:
        return np.asarray(np.log((price * self._units + self._cash)[1:] / self.close[:-1]))

    def _unshown(self, splits: Floats) -> Flags:
        unshown = np.zeros(len(self.close), dtype=np.bool_)
        large = np.flatnonzero(np.abs(splits) > np.log(SPLIT_SEEN))
        for price in (self.open, self.close):  # both must be nearer to no split than to this one, if there are both
            moves = np.log(price[large + 1] / self.close[large])
            unshown[large + 1] = ~(np.abs(moves + splits[large]) < np.abs(moves))
            large = large[unshown[large + 1]]
        return unshown

    def __len__(self) -> int:
        return len(self.times)

    def finding(self, code: str, severity: Verdict, detail: str, rows: NDArray[Any]) -> Finding:
        """rows: a mask over, or positions in, the series."""
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        times = tuple(int(t) for t in self.times[at[:ROWS_KEPT]])
        return Finding(code, severity, f"{len(at)} of {len(self)} rows: {detail}", self.instrument.id, len(at), times)

    def by_share(self, rows: Flags) -> Verdict:
        return Verdict.SUSPECT if rows.mean() > MANY else Verdict.USABLE
