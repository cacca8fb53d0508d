"""Whatever the sizes and gaps, no training label's interval touches its test span."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from tradewright.errors import TooFewRows
from tradewright.learning.splits import purged, walk_forward_folds


@given(
    rows=st.integers(10, 400),
    splits=st.integers(1, 12),
    horizon=st.integers(1, 20),
    embargo=st.integers(0, 10),
    delay=st.integers(0, 9),
)
def test_walk_forward_training_ends_before_the_test_begins(
    rows: int, splits: int, horizon: int, embargo: int, delay: int
) -> None:
    try:
        folds = walk_forward_folds(0, rows, splits, horizon, embargo)
    except TooFewRows:
        assume(False)
        return
    ends = np.arange(rows)[:, None] + 1 + horizon + np.array([[0, delay]])  # a late bar makes a label longer
    ends = np.where(ends < rows, ends, -1)
    for fold in folds:
        learned = fold.train_mask(ends)
        assert (ends[learned] < fold.test_start - embargo).all()
        assert np.nonzero(learned)[0].max(initial=-1) < fold.test_start
        assert fold.test_start < fold.test_stop
    tested = np.concatenate([np.arange(f.test_start, f.test_stop) for f in folds])
    assert np.array_equal(tested, np.arange(folds[0].test_start, rows))


@given(
    n=st.integers(2, 120),
    longest=st.integers(0, 15),
    first=st.integers(0, 100),
    length=st.integers(1, 40),
    embargo=st.integers(0, 10),
    seed=st.integers(0, 99),
)
def test_two_sided_purging_leaves_no_touching_interval(
    n: int, longest: int, first: int, length: int, embargo: int, seed: int
) -> None:
    starts = np.arange(n)
    ends = starts + np.random.default_rng(seed).integers(0, longest + 1, n)
    first = min(first, n - 1)
    stop = min(first + length, n)
    kept = purged(starts, ends, first, stop, embargo)
    last = ends[first:stop].max()
    for i in np.flatnonzero(kept):
        assert ends[i] < first or starts[i] > last + embargo
