"""The strategies that ship and their registry."""

from __future__ import annotations

import numpy as np
import pytest

from tradewright.errors import InvalidInput, UnknownName
from tradewright.evaluation.causality import decide
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Action, Panel
from tradewright.strategies import STRATEGIES, BuyAndHold, FixedTargets, MovingAverageCross, code_hash, make, schema
from tradewright.strategies.contract import KernelStrategy

DAY = 86_400_000_000


def closes(values: np.ndarray, **rest: object) -> Panel:  # type: ignore[type-arg]
    table = np.asarray(values, np.float64).reshape(len(values), -1)
    instruments = tuple(Instrument(f"equity:S{i}") for i in range(table.shape[1]))
    return Panel.of(DAY * np.arange(1, len(table) + 1), instruments, Interval.DAY, table, **rest)  # type: ignore[arg-type]


def plain_cross(close: np.ndarray, fast: int, slow: int) -> np.ndarray:  # type: ignore[type-arg]
    out = np.full(len(close), np.nan)
    for t in range(slow - 1, len(close)):
        out[t] = float(close[t - fast + 1 : t + 1].mean() > close[t - slow + 1 : t + 1].mean())
    return out


@pytest.mark.parametrize(("fast", "slow"), [(1, 2), (3, 10), (20, 50)])
def test_the_cross_compares_the_means_of_the_last_closes(fast: int, slow: int) -> None:
    close = np.exp(np.cumsum(np.random.default_rng(fast).normal(0, 0.01, (700, 3)), axis=0))
    found = MovingAverageCross(fast, slow).targets(closes(close)).values
    for column in range(3):
        np.testing.assert_array_equal(found[:, column], plain_cross(close[:, column], fast, slow))


def test_the_cross_takes_equal_means_for_no_cross_and_skips_missing_bars() -> None:
    flat = MovingAverageCross(2, 5).targets(closes(np.full(50, 0.1))).values
    assert set(flat[4:, 0]) == {0.0}
    close = np.random.default_rng(1).normal(100, 1, 60)
    holed = np.insert(close, [10, 30, 30], np.nan)
    found = MovingAverageCross(2, 5).targets(closes(holed)).values[:, 0]
    assert np.isnan(found[np.isnan(holed)]).all()
    np.testing.assert_array_equal(found[~np.isnan(holed)], plain_cross(close, 2, 5))


def test_a_split_is_no_signal_and_leaves_the_units_alone() -> None:
    close = np.linspace(100, 160, 40)
    close[20:] /= 4
    panel = closes(close, actions=(Action(0, 21 * DAY, 21 * DAY, split=4.0),))
    found = MovingAverageCross(2, 5).targets(panel).values[:, 0]
    assert set(found[4:20]) == {1.0}
    assert np.isnan(found[20:]).all()


@pytest.mark.parametrize("strategy", [MovingAverageCross(3, 8), BuyAndHold(), FixedTargets(np.eye(90)[:, :2])])
def test_resuming_a_copied_state_row_by_row_equals_the_batch(strategy: KernelStrategy) -> None:
    close = np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.02, (90, 2)), axis=0))
    close[30:34, 1] = np.nan
    actions = (Action(0, 41 * DAY, 40 * DAY, split=2.0), Action(1, 33 * DAY, 33 * DAY, dividend=0.05))
    panel = closes(close, actions=actions)
    batch = strategy.targets(panel).values
    state = strategy.start(panel)
    rows = [strategy.advance(state, panel.rows(0, 35))]
    state = {name: array.copy() for name, array in state.items()}
    rows += [strategy.advance(state, panel.rows(t, t + 1)) for t in range(35, 90)]
    np.testing.assert_array_equal(np.vstack(rows), batch)


def test_buy_and_hold_decides_each_instrument_once_where_it_first_has_a_bar() -> None:
    close = np.full((5, 2), 10.0)
    close[:3, 1] = np.nan
    found = BuyAndHold(0.8).targets(closes(close)).values
    assert (found[0, 0], found[3, 1]) == (0.4, 0.4)
    assert np.isfinite(found).sum() == 2


@pytest.mark.parametrize("given", [(50, 20), (0, 5), (2.5, 5), (5, 5)])
def test_impossible_averages_are_refused(given: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match="1 <= fast < slow"):
        MovingAverageCross(*given)


def test_fixed_targets_must_fit_the_panel() -> None:
    panel = closes(np.ones(5))
    with pytest.raises(InvalidInput, match=r"shape \(4, 1\) and the panel has \(5, 1\)"):
        FixedTargets(np.zeros(4)).check(panel)
    with pytest.raises(InvalidInput, match="end after 4 rows"):
        FixedTargets(np.zeros(4)).targets(panel)
    with pytest.raises(InvalidInput, match="columns"):
        FixedTargets(np.zeros((5, 2))).targets(panel)
    with pytest.raises(InvalidInput, match="kind is"):
        FixedTargets([1.0], kind="shares")
    with pytest.raises(InvalidInput, match="got inf"):
        FixedTargets([np.inf])


def test_strategies_are_made_by_name_with_hints_for_what_is_wrong() -> None:
    assert make("moving_average_cross", {"fast": 5, "slow": 10}) == MovingAverageCross(5, 10)
    assert make("buy_and_hold") == BuyAndHold()
    assert make("fixed_targets", {"targets": [[None], [1]], "kind": "weights"}).params["rows"] == 2
    with pytest.raises(UnknownName, match="did you mean moving_average_cross"):
        make("moving_average")
    with pytest.raises(UnknownName, match="did you mean slow"):
        make("moving_average_cross", {"slwo": 3})
    with pytest.raises(InvalidInput, match="fast must be a integer, got 'x'"):
        make("moving_average_cross", {"fast": "x"})
    with pytest.raises(InvalidInput, match="needs the parameter targets"):
        make("fixed_targets")


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_schema_names_its_parameters(name: str) -> None:
    described = schema(name)
    assert described["properties"]
    assert described["additionalProperties"] is False
    assert described["description"]


def test_the_code_hash_names_the_code_and_not_the_parameters() -> None:
    assert code_hash(MovingAverageCross(2, 3)) == code_hash(MovingAverageCross())
    assert code_hash(MovingAverageCross()) != code_hash(BuyAndHold())


def test_every_row_checked_one_by_one_finds_nothing() -> None:
    panel = planted_sign_world(0.5, 300, 3, seed=1)
    decided = decide(MovingAverageCross(3, 9), panel, checks="full")
    assert decided.findings == ()
    np.testing.assert_array_equal(decided.targets.values, MovingAverageCross(3, 9).targets(panel).values)
