"""Batch, row by row and resumed from a copied state give the same bits, whatever is missing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewright.evaluation.worlds import planted_sign_world
from tradewright.features.catalogue import FEATURES
from tradewright.features.sets import FeatureSet
from tradewright.market.panel import Action, Panel

ALL = FeatureSet((*FEATURES, "field:x"))


def _gappy(seed: int, missing: float, actions: int) -> Panel:
    draw = np.random.default_rng(seed)
    panel = planted_sign_world(0.5, 280, 3, seed=seed)
    absent = draw.random(panel.shape) < missing
    columns = {n: np.where(absent, np.nan, getattr(panel, n)) for n in ("open", "high", "low", "close", "volume")}
    columns["volume"][draw.random(panel.shape) < missing / 2] = np.nan
    found = tuple(
        Action(
            int(draw.integers(3)),
            int(panel.times[draw.integers(280)]),
            int(panel.times[draw.integers(280)]),
            split=float(draw.choice([1.0, 2.0, 0.1])),
            dividend=float(draw.choice([0.0, 0.4])),
        )
        for _ in range(actions)
    )
    return replace(panel, **columns, present=~absent, tradable=~absent, actions=found, data_version="")


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    missing=st.sampled_from([0.0, 0.05, 0.5]),
    actions=st.integers(0, 6),
    cuts=st.lists(st.integers(0, 280), max_size=4),
)
def test_any_cutting_of_the_rows_gives_the_bits_of_the_batch(
    seed: int, missing: float, actions: int, cuts: list[int]
) -> None:
    panel = _gappy(seed, missing, actions)
    batch = ALL.advance(ALL.start(panel), panel)
    state = ALL.start(panel)
    edges = [0, *sorted(cuts), 280]
    for first, stop in pairwise(edges):
        resumed = {name: array.copy() for name, array in state.items()}
        part = ALL.advance(state, panel.rows(first, stop))
        assert np.array_equal(part, batch[first:stop], equal_nan=True)
        again = ALL.advance(resumed, panel.rows(first, stop))
        assert np.array_equal(again, part, equal_nan=True)


def test_row_by_row_gives_the_bits_of_the_batch_and_the_same_state() -> None:
    panel = _gappy(5, 0.1, 5)
    state, whole = ALL.start(panel), ALL.start(panel)
    batch = ALL.advance(whole, panel)
    rows = np.concatenate([ALL.advance(state, panel.rows(t, t + 1)) for t in range(len(panel))])
    assert np.array_equal(rows, batch, equal_nan=True)
    assert all(np.array_equal(state[name], whole[name]) for name in whole)
    assert np.isnan(batch[~panel.present][:, : len(FEATURES)]).all()
