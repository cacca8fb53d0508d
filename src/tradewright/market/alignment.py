"""From a long bar frame to the aligned arrays of a panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from tradewright.errors import TooFewRows
from tradewright.market.arrays import COLUMNS, Floats
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.verdicts import DataVerdict


def aligned(
    frame: pl.DataFrame,
    instruments: Sequence[Instrument],
    interval: Interval,
    *,
    close_only: bool,
    pre_adjusted: bool,
    verdict: DataVerdict,
    sources: Sequence[str],
) -> dict[str, Any]:
    """Return the arguments of the panel of a resolved frame (one row per instrument and time).

    A column for each of `instruments`; rows are the union of all times. A bar can be filled in when it is present and,
    unless close_only, has an open. The digest of the content becomes `data_version`. Raises TooFewRows when the frame
    has no row.
    """
    if frame.height == 0:
        names = ", ".join(i.id for i in instruments)
        raise TooFewRows(f"there are no bars of {names} at {interval.value} in what was asked for; ingest some first")
    times = np.sort(frame["time"].unique().to_numpy())
    column = {instrument.id: at for at, instrument in enumerate(instruments)}
    at = frame["instrument"].replace_strict(column, return_dtype=pl.Int64).to_numpy()
    row = np.searchsorted(times, frame["time"].to_numpy())
    shape = (len(times), len(instruments))
    arrays: dict[str, Any] = {name: _placed(frame[name], row, at, shape) for name in COLUMNS}
    if close_only:
        arrays.update({name: np.full(shape, np.nan) for name in COLUMNS if name != "close"})
    present = np.isfinite(arrays["close"])
    return dict(
        times=times,
        instruments=tuple(instruments),
        interval=interval,
        **arrays,
        present=present,
        tradable=present if close_only else present & np.isfinite(arrays["open"]),
        member=present,
        sources=tuple(sources),
        close_only=close_only,
        pre_adjusted=pre_adjusted,
        verdict=verdict,
    )


def _placed(values: pl.Series, row: Any, column: Any, shape: tuple[int, int]) -> Floats:
    placed = np.full(shape, np.nan)
    placed[row, column] = values.fill_null(np.nan).to_numpy()
    return placed
