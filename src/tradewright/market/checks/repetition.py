"""What is there again and again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradewright.market.arrays import Flags, Positions
from tradewright.market.checks.series import Series
from tradewright.market.instruments import Interval
from tradewright.market.verdicts import Finding, Verdict

STALE_ROWS = {Interval.DAY: 10, Interval.HOUR: 24}
STALE_ROWS_INTRADAY = 60
REPEATED_ROWS = 20  # closes and volumes in a row that are those of an earlier time
_ANCHORS = 4  # of so many rows one is looked up, chosen by what stands in it, in a series of more than _ALL_ROWS
_ALL_ROWS = 20_000
_ODD, _ODDER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # spread the bits of what they multiply
_OFFSETS = 20  # distances between equal rows that are looked at, the most frequent


def stale_runs(series: Series) -> Iterator[Finding]:
    """Yield runs of one close."""
    least = STALE_ROWS.get(series.interval, STALE_ROWS_INTRADAY)
    starts = np.flatnonzero(np.append(True, np.diff(series.close) != 0))
    lengths = np.diff(np.append(starts, len(series)))
    stale = np.repeat(lengths >= least, lengths)
    if stale.any():
        detail = f"the same close {least} times in a row or more (longest: {lengths.max()})"
        yield series.finding("stale_run", series.by_share(stale), detail, stale)


def repeated_blocks(series: Series) -> Iterator[Finding]:
    """Yield rows that repeat the closes and volumes of earlier ones, one after another."""
    if len(series) <= REPEATED_ROWS:
        return
    repeated = np.zeros(len(series), dtype=np.bool_)
    for offset in _offsets(series):
        repeated[offset:] |= _repeats(series, int(offset))
    if repeated.any():
        detail = f"closes and volumes of {REPEATED_ROWS} bars in a row or more are those of an earlier time: a copy"
        yield series.finding("repeated_block", Verdict.SUSPECT, detail, repeated)


def _offsets(series: Series) -> Positions:
    """Distances at which eight rows are equal to earlier ones, where the close moves."""
    marks = series.close.view(np.uint64) * _ODD ^ series.volume.view(np.uint64) * _ODDER
    for rows in (1, 2, 4):
        marks = marks[:-rows] * _ODD ^ marks[rows:] * _ODDER
    looked_up = (series.close[1:] != series.close[:-1])[: len(marks)]
    if len(series) > _ALL_ROWS:
        looked_up &= marks < np.uint64(2**64 // _ANCHORS)
    at = np.flatnonzero(looked_up)
    marks = marks[at]
    ordered = np.sort(marks)
    twice = np.isin(marks, ordered[1:][ordered[1:] == ordered[:-1]])
    at, marks = at[twice], marks[twice]
    order = np.argsort(marks, kind="stable")
    at, marks = at[order], marks[order]
    same = np.flatnonzero(marks[1:] == marks[:-1])
    offsets, counts = np.unique(at[same + 1] - at[same], return_counts=True)
    often = np.argsort(counts, kind="stable")[::-1][:_OFFSETS]
    return np.asarray(offsets[often])


def _repeats(series: Series, offset: int) -> Flags:
    now, then = slice(offset, None), slice(None, -offset)
    same = (series.close[now] == series.close[then]) & (
        series.volume.view(np.uint64)[now] == series.volume.view(np.uint64)[then]
    )
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]])))
    begins, ends = edges[::2], edges[1::2]
    moves = np.append(0, np.cumsum(np.append(False, np.diff(series.close[now]) != 0)))
    kept = (moves[ends] - moves[begins]) * 2 >= np.maximum(REPEATED_ROWS, ends - begins)
    kept &= ends - begins >= REPEATED_ROWS
    rows = np.zeros(len(same) + 1, dtype=np.intp)
    np.add.at(rows, begins[kept], 1)
    np.add.at(rows, ends[kept], -1)
    return np.asarray(rows[:-1].cumsum() > 0)
