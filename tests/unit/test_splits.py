"""No training label touches what is tested."""

from __future__ import annotations

import numpy as np
import pytest

from tradewright.errors import InvalidInput, TooFewRows
from tradewright.learning.splits import purged, walk_forward_folds


def test_closed_intervals_are_purged_and_embargoed_as_in_g26() -> None:
    starts = np.arange(20)
    kept = purged(starts, starts + 3, 8, 12, 2)
    assert np.flatnonzero(kept).tolist() == [0, 1, 2, 3, 4, 17, 18, 19]


def test_folds_expand_from_one_anchor_and_their_tests_follow_one_another() -> None:
    folds = walk_forward_folds(0, 1000, 6, 5)
    assert [f.train_start for f in folds] == [0] * 6
    assert folds[0].test_start == 400
    assert [a.test_stop for a in folds[:-1]] == [b.test_start for b in folds[1:]]
    assert folds[-1].test_stop == 1000
    assert all(f.purge_before == f.test_start - 5 for f in folds)
    assert walk_forward_folds(0, 1000, 6, 5, embargo=0)[0].purge_before == 400


def test_a_label_ending_on_the_purge_row_is_not_learned_from() -> None:
    fold = walk_forward_folds(0, 100, 2, 3, embargo=0)[0]
    end_row = np.arange(100)[:, None] + 4
    end_row[96:] = -1
    assert np.flatnonzero(fold.train_mask(end_row)).max() == fold.test_start - 5


@pytest.mark.parametrize("arguments", [(0, 5, 5), (8, 0, 5), (8, 5, -1)])
def test_impossible_folds_are_refused(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidInput):
        walk_forward_folds(0, 1000, arguments[0], arguments[1], arguments[2])


def test_too_few_rows_say_what_to_do() -> None:
    with pytest.raises(TooFewRows, match="hand in more rows"):
        walk_forward_folds(0, 20, 15, 5)
