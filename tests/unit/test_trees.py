"""Compiled trees choose LightGBM's leaf for every input and add up to its score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tradewright.errors import InvalidInput
from tradewright.learning.learners import import_lightgbm
from tradewright.learning.trees import Forest, parse_lightgbm
from tradewright.market.panel import Floats

PARAMS = {"objective": "binary", "max_depth": 5, "num_leaves": 31, "num_threads": 1, "verbosity": -1, "max_bin": 63}


def _booster(rows: int = 6_000, features: int = 12, rounds: int = 40, seed: int = 0, **params: Any) -> Any:
    lightgbm = import_lightgbm()
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(rows, features))
    x[draw.random(x.shape) < 0.1] = np.nan
    x[draw.random(x.shape) < 0.1] = 0.0
    y = (np.nan_to_num(x[:, 0]) * np.nan_to_num(x[:, 1]) + draw.normal(size=rows) > 0).astype(float)
    settings = {**PARAMS, **params}
    return lightgbm.train(settings, lightgbm.Dataset(x, label=y, params=settings), rounds)


def _thresholds(forest: Forest) -> Floats:
    inner = forest.values[:, : forest.nodes.shape[1]]
    return inner[np.isfinite(inner)]


def _inputs(forest: Forest, n: int, seed: int = 1) -> Floats:
    """Normal values, thresholds themselves, their neighbours on both sides, zeros, tiny values, NaN and infinities."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, forest.features))
    at = draw.choice(_thresholds(forest), size=x.shape)
    kind = draw.integers(0, 12, size=x.shape)
    special = {1: at, 2: at, 3: np.nextafter(at, np.inf), 4: np.nextafter(at, -np.inf), 5: np.nan, 6: np.inf}
    special |= {7: -np.inf, 8: 0.0, 9: -0.0, 10: 1e-36, 11: -1e-36}
    for number, value in special.items():
        x = np.where(kind == number, value, x)
    return np.ascontiguousarray(x)


def _leaf_places(booster: Any, forest: Forest, x: Floats) -> None:
    """Assert that equal LightGBM leaves are equal padded places and the other way round, tree by tree."""
    theirs, ours = booster.predict(x, pred_leaf=True), forest.leaves(x)
    for tree in range(ours.shape[1]):
        pairs = np.unique(np.stack([theirs[:, tree], ours[:, tree]]), axis=1)
        leaf_value = np.array([booster.get_leaf_output(tree, int(leaf)) for leaf in pairs[0]])
        assert np.array_equal(forest.values[tree, forest.nodes.shape[1] + pairs[1]], leaf_value)
        assert len(np.unique(pairs[1])) == pairs.shape[1], "one place holds two leaves"


@pytest.mark.parametrize(
    "params",
    [{}, {"use_missing": False}, {"zero_as_missing": True}, {"max_depth": 3, "num_leaves": 6}],
    ids=["missing is NaN", "missing is zero's side", "zero is missing", "few leaves"],
)
def test_every_leaf_is_lightgbms_on_a_hundred_thousand_rows(params: dict[str, Any]) -> None:
    booster = _booster(**params)
    forest = parse_lightgbm([booster.model_to_string()])
    assert forest.zero_missing == bool(params.get("zero_as_missing"))
    x = _inputs(forest, 100_000)
    _leaf_places(booster, forest, x)
    assert np.abs(forest.margins(x) - booster.predict(x, raw_score=True)).max() <= 1e-12


def test_leaves_that_ended_early_repeat_themselves_below() -> None:
    booster = _booster(min_data_in_leaf=900, rounds=20)
    forest = parse_lightgbm([booster.model_to_string()])
    x = _inputs(forest, 20_000)
    assert np.abs(forest.margins(x) - booster.predict(x, raw_score=True)).max() <= 1e-12


def test_a_model_that_found_nothing_to_split_is_its_constant() -> None:
    booster = _booster(min_data_in_leaf=5_000, rounds=3)
    forest = parse_lightgbm([booster.model_to_string()])
    x = _inputs(parse_lightgbm([_booster().model_to_string()]), 10)
    assert forest.margins(x) == pytest.approx(booster.predict(x, raw_score=True), abs=1e-12)


def test_several_seeds_are_one_forest_with_their_mean() -> None:
    boosters = [_booster(seed=seed, rounds=7) for seed in range(3)]
    forest = parse_lightgbm([b.model_to_string() for b in boosters])
    x = _inputs(forest, 5_000)
    mean = np.mean([b.predict(x, raw_score=True) for b in boosters], axis=0)
    assert np.abs(forest.margins(x) - mean).max() <= 1e-12


def test_one_row_gives_the_bits_it_gives_among_many() -> None:
    forest = parse_lightgbm([_booster(rounds=9).model_to_string()])
    x = _inputs(forest, 200)
    alone = np.concatenate([forest.margins(x[i : i + 1]) for i in range(len(x))])
    assert np.array_equal(alone, forest.margins(x))


def test_the_flat_forest_walks_like_the_leaf_kernel() -> None:
    forest = parse_lightgbm([_booster(rounds=9).model_to_string()])
    x = _inputs(forest, 1_000)
    inner = forest.nodes.shape[1]
    by_leaf = np.zeros(len(x))
    for tree, places in enumerate(forest.leaves(x).T):
        by_leaf += forest.values[tree, inner + places]
    assert np.abs(by_leaf - forest.margins(x)).max() <= 1e-15


def test_what_the_kernel_cannot_do_is_refused_with_the_remedy() -> None:
    lightgbm = import_lightgbm()
    draw = np.random.default_rng(0)
    x = np.stack([draw.integers(0, 8, 3_000), draw.normal(size=3_000)], axis=1)
    y = np.isin(x[:, 0], [1, 4, 6]).astype(float)
    data = lightgbm.Dataset(x, label=y, categorical_feature=[0], params=PARAMS)
    with pytest.raises(InvalidInput, match="categorical splits"):
        parse_lightgbm([lightgbm.train(PARAMS, data, 5).model_to_string()])
    with pytest.raises(InvalidInput, match="too deep to pad"):
        parse_lightgbm([_booster(max_depth=-1, num_leaves=400, min_data_in_leaf=2).model_to_string()])
    with pytest.raises(InvalidInput, match="reads 12 features"):
        parse_lightgbm([_booster(rounds=2).model_to_string()]).margins(np.zeros((1, 3)))
