"""Purged and embargoed splits in time: no training label reads a row of the test span or of the embargo before it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tradewright.errors import InvalidInput, TooFewRows
from tradewright.market.panel import Flags
from tradewright.market.reference import Rows


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of a walk-forward: rows train_start..train_stop-1 may be learned from, test_start..test_stop-1 tested.

    A label of a training row must end before `purge_before` (closed intervals: one that ends on it is purged).
    """

    train_start: int
    train_stop: int
    purge_before: int
    test_start: int
    test_stop: int

    def train_mask(self, end_row: Rows) -> Flags:
        """Return (T, N) which labels may be learned from. end_row: last row each label reads, -1 where unknown."""
        rows = np.arange(len(end_row)).reshape(-1, *([1] * (end_row.ndim - 1)))
        inside = (rows >= self.train_start) & (rows < self.train_stop)
        return np.asarray(inside & (end_row >= 0) & (end_row < self.purge_before))


def purged(starts: Rows, ends: Rows, test_start: int, test_stop: int, embargo: int) -> Flags:
    """Return which samples may be trained on when rows test_start..test_stop-1 are tested (train on both sides).

    Intervals of labels are closed, [starts, ends]. A sample goes when its interval touches one of the test samples'
    intervals, or when it starts within `embargo` rows after the last test label ended. Pinned in test_splits.py.
    Source: Lopez de Prado, Advances in Financial Machine Learning (2018), 7.4.
    """
    tested = (starts >= test_start) & (starts < test_stop)
    last = int(ends[tested].max()) if bool(tested.any()) else test_stop - 1
    return np.asarray((ends < test_start) | (starts > last + embargo))


def walk_forward_folds(
    first_row: int, stop_row: int, splits: int, horizon: int, embargo: int | None = None, first_train: float = 0.4
) -> tuple[Fold, ...]:
    """Return `splits` folds with anchored, expanding training over rows first_row..stop_row-1.

    The first `first_train` of the rows are only trained on; the rest is cut into `splits` consecutive test spans.
    embargo: rows left out between the last row a training label reads and the test span; default `horizon`.
    Raises InvalidInput for splits, horizon or embargo out of range, TooFewRows when a span would be empty.
    """
    gap = horizon if embargo is None else embargo
    if splits < 1 or horizon < 1 or gap < 0:
        raise InvalidInput(f"splits and horizon must be at least 1, embargo at least 0; got {splits}, {horizon}, {gap}")
    rows = stop_row - first_row
    start = first_row + round(rows * first_train)
    if stop_row - start < splits or start - first_row <= gap + horizon + 1:
        raise TooFewRows(
            f"{rows} rows cannot be cut into {splits} folds with horizon {horizon} and embargo {gap}; "
            "hand in more rows, or ask for fewer splits or a shorter horizon"
        )
    edges = np.linspace(start, stop_row, splits + 1).round().astype(int).tolist()
    return tuple(Fold(first_row, a - gap, a - gap, a, b) for a, b in pairwise(edges))
