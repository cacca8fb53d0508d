"""Planted leaks are caught by name; clean strategies raise no blocking finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tradewright.errors import InSample
from tradewright.evaluation.audit import audit_fills, in_sample
from tradewright.evaluation.evidence import Evidence
from tradewright.evaluation.isolation import isolated, scrambled
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.market.panel import Floats, Panel
from tradewright.research.backtest import backtest
from tradewright.simulation.bars import simulate
from tradewright.simulation.costs import Costs
from tradewright.strategies import BuyAndHold, FixedTargets, MovingAverageCross
from tradewright.strategies.contract import State, Strategy, TargetKind, Targets


@dataclass(frozen=True)
class Vectorised:
    """A user's own strategy: weights from a function of the panel."""

    name: str
    weights: Callable[[Panel], Floats]
    params: Mapping[str, Any] = field(default_factory=dict)

    def targets(self, panel: Panel) -> Targets:
        return Targets(0.9 * self.weights(panel) / panel.shape[1], TargetKind.WEIGHTS)


def moves(panel: Panel) -> Floats:
    change = np.zeros(panel.shape)
    change[1:] = panel.close[1:] / panel.close[:-1] - 1
    return change


def later(panel: Panel) -> Floats:
    following = np.zeros(panel.shape)
    following[:-1] = moves(panel)[1:]
    return following


def rolled(values: Floats, rows: int) -> Floats:
    total = np.cumsum(np.vstack([np.zeros((1, values.shape[1])), values]), axis=0)
    out = np.full(values.shape, np.nan)
    out[rows - 1 :] = (total[rows:] - total[:-rows]) / rows
    return out


def centred(panel: Panel) -> Floats:
    mean = np.roll(rolled(panel.close, 5), -2, axis=0)
    mean[-2:] = np.nan
    return panel.close / mean - 1


def standardised(panel: Panel) -> Floats:
    change = moves(panel)
    return (change - change.mean(axis=0)) / (change.std(axis=0) + 1e-12)


def up(values: Floats) -> Floats:
    return np.where(values > 0, 1.0, 0.0)


LEAKS = {
    "L01 next return as feature": lambda p: up(later(p)),
    "L02 centred window": lambda p: up(centred(p)),
    "L03 back-fill": lambda p: up(moves(p)[np.minimum(np.arange(len(p)) // 3 * 3 + 2, len(p) - 1)]),
    "L09 full-sample z-score": lambda p: up(standardised(p) - 0.5),
    "L10 price level of the last row": lambda p: up(p.close / p.close[-1] - 1),
}


@pytest.mark.parametrize("name", sorted(LEAKS))
def test_a_planted_leak_is_caught_by_prefix_replay(name: str) -> None:
    result = backtest(Vectorised(name, LEAKS[name]), planted_sign_world(0.5, 700, 2, seed=3))
    assert result.evidence is Evidence.LEAKING
    assert [f.code for f in result.blocking] == ["leak.prefix_replay"]
    assert "when later rows are known" in result.blocking[0].detail
    assert result.blocking[0].instrument in ("equity:W0", "equity:W1")
    assert result.judgement.reasons[0].startswith("leak.prefix_replay")


@dataclass(frozen=True)
class KernelLeak:
    """A kernel strategy that looks one row ahead, or sizes its state by the whole panel."""

    peeks: bool
    name: str = "kernel_leak"
    params: Mapping[str, Any] = field(default_factory=dict)
    kind: TargetKind = TargetKind.WEIGHTS
    warm_up: int = 0

    def start(self, panel: Panel) -> State:
        return {"mean": np.zeros(1) if self.peeks else np.nanmean(panel.close, axis=0)}

    def advance(self, state: State, rows: Panel) -> Floats:
        if self.peeks:
            return 0.5 * up(later(rows)) / rows.shape[1]
        return 0.5 * up(rows.close - state["mean"]) / rows.shape[1]

    def targets(self, panel: Panel) -> Targets:
        return Targets(self.advance(self.start(panel), panel), self.kind)


@pytest.mark.parametrize("peeks", [True, False])
@pytest.mark.parametrize("checks", ["sampled", "full"])
def test_a_leaking_kernel_strategy_is_caught(peeks: bool, checks: str) -> None:
    result = backtest(KernelLeak(peeks), planted_sign_world(0.5, 5_000, 1, seed=4), checks=checks)
    assert result.evidence is Evidence.LEAKING
    assert result.blocking[0].code == "leak.prefix_replay"


def foresight(panel: Panel) -> Floats:
    return up(later(panel))


def through_the_base(panel: Panel) -> Floats:
    close: Any = panel.close
    while isinstance(close.base, np.ndarray):
        close = close.base
    following = np.zeros(close.shape)
    following[:-1] = close[1:] / close[:-1] - 1
    return up(following)[: len(panel)]


class Remembering:
    """Computes on the first panel it meets and gives parts of that ever after."""

    name = "remembering"
    params: Mapping[str, Any] = {}

    def __init__(self, memory: dict[str, Floats]) -> None:
        self.memory = memory

    def targets(self, panel: Panel) -> Targets:
        known = self.memory.setdefault("first", 0.9 * foresight(panel) / panel.shape[1])
        return Targets(known[: len(panel)].copy(), TargetKind.WEIGHTS)


SHARED: dict[str, Floats] = {}


def shared_memo(panel: Panel) -> Floats:
    return SHARED.setdefault(panel.ids[0], foresight(panel))[: len(panel)]


def test_rows_behind_the_cut_cannot_be_reached_through_the_arrays() -> None:
    result = backtest(Vectorised("base", through_the_base), planted_sign_world(0.5, 700, 2, seed=3))
    assert [f.code for f in result.blocking] == ["leak.prefix_replay"]


def test_what_a_strategy_kept_from_its_first_call_is_not_there_in_a_replay() -> None:
    result = backtest(Remembering({}), planted_sign_world(0.5, 700, 2, seed=3))
    assert [f.code for f in result.blocking] == ["leak.prefix_replay"]


def test_targets_kept_outside_the_strategy_are_no_evidence() -> None:
    world = planted_sign_world(0.5, 700, 2, seed=3)
    whole = foresight(world)
    for weights in (lambda p: whole[: len(p)].copy(), shared_memo):
        result = backtest(Vectorised("outside", weights), world)
        assert result.blocking == ()
        assert [f.code for f in result.findings if f.code.startswith("unproven.")] == ["unproven.unread"]
        assert result.evidence is Evidence.NONE
        assert "not decided from the panel" in result.judgement.reasons[0]


def test_a_strategy_that_fails_on_other_numbers_is_no_evidence() -> None:
    world = planted_sign_world(0.6, 700, 1, seed=3)
    by_day = {int(t): x for t, x in zip(world.times, world.fields["x"], strict=True)}

    def looked_up(panel: Panel) -> Floats:
        return up(np.array([by_day[int(t)] for t in panel.times]))

    result = backtest(Vectorised("looked up", looked_up), world)
    assert result.evidence is Evidence.NONE
    assert "KeyError" in result.judgement.reasons[0]


def test_a_strategy_that_cannot_be_copied_is_checked_as_it_is_and_the_result_says_so() -> None:
    strategy = Vectorised("uncopied", lambda p: up(moves(p)), params={"module": np})
    result = backtest(strategy, planted_sign_world(0.5, 300, 1, seed=3))
    assert [f.code for f in result.findings if f.code.startswith("causality.")] == ["causality.not_copied"]
    assert "cannot pickle 'module' object" in next(f.detail for f in result.findings if "not_copied" in f.code)


def test_replayed_rows_are_copies_and_scrambled_ones_are_other_rows() -> None:
    world = planted_sign_world(0.5, 50, 2, seed=1)
    part, other = isolated(world, 10, 30), scrambled(world, 10, 30, 8, np.random.default_rng(1))
    for name in ("times", "close", "present", "volume"):
        assert getattr(part, name).base is None
        np.testing.assert_array_equal(getattr(part, name), getattr(world, name)[10:30])
        np.testing.assert_array_equal(getattr(other, name)[:8], getattr(world, name)[10:18])
    assert not np.isin(other.close[8:], world.close).any()
    assert (np.diff(other.times) > 0).all()
    assert (other.times[9:] != world.times[19:30]).any()
    np.testing.assert_array_equal(np.sort(other.fields["x"][8:], axis=0), np.sort(world.fields["x"][18:30], axis=0))


@dataclass(frozen=True)
class RarePeek:
    """A kernel strategy that looks ahead on one row in `every` and changes a little on each."""

    every: int
    through_base: bool = False
    name: str = "rare_peek"
    params: Mapping[str, Any] = field(default_factory=dict)
    kind: TargetKind = TargetKind.WEIGHTS
    warm_up: int = 0

    def start(self, panel: Panel) -> State:
        return {"seen": np.zeros(1, np.int64)}

    def advance(self, state: State, rows: Panel) -> Floats:
        seen = int(state["seen"][0])
        state["seen"][0] += len(rows)
        number = seen + np.arange(len(rows))
        out = 0.2 + np.repeat(1e-4 * (number % 3)[:, None], rows.shape[1], axis=1)
        peeks = (rows.close[:, 0] * 1_000).astype(np.int64) % self.every == 0
        if self.through_base:
            ahead = through_the_base(rows)
            known = number < len(ahead)
            out[known] += 0.3 * ahead[number[known]]
        else:
            out[:-1][peeks[:-1]] = 0.45 * up(later(rows))[:-1][peeks[:-1]]
        return out

    def targets(self, panel: Panel) -> Targets:
        return Targets(self.advance(self.start(panel), panel), self.kind)


@pytest.mark.parametrize("strategy", [RarePeek(5), RarePeek(17), RarePeek(40), RarePeek(5, through_base=True)])
def test_a_kernel_that_peeks_on_few_rows_is_caught_one_row_at_a_time(strategy: RarePeek) -> None:
    result = backtest(strategy, planted_sign_world(0.5, 5_000, 1, seed=11))
    assert [f.code for f in result.blocking] == ["leak.prefix_replay"]


@dataclass(frozen=True)
class KernelTable(RarePeek):
    """A kernel strategy that looks its targets up in a table, made beforehand or on its first call."""

    table: dict[str, Floats] = field(default_factory=dict)

    def advance(self, state: State, rows: Panel) -> Floats:
        seen = int(state["seen"][0])
        state["seen"][0] += len(rows)
        known = self.table.setdefault("whole", 0.45 * up(later(rows)))
        return np.resize(known, (seen + len(rows), rows.shape[1]))[seen:].copy()


def test_a_kernel_with_a_table_from_elsewhere_is_no_evidence_and_one_of_its_own_making_leaks() -> None:
    world = planted_sign_world(0.5, 3_000, 1, seed=11)
    brought = backtest(KernelTable(5, table={"whole": 0.45 * up(later(world))}), world)
    assert [f.code for f in brought.findings if f.code.startswith("unproven.")] == ["unproven.unread"]
    assert brought.evidence is Evidence.NONE
    own = backtest(KernelTable(5), world)
    assert own.evidence is Evidence.LEAKING


def expanding(panel: Panel) -> Floats:
    change = moves(panel)
    count = np.arange(1, len(panel) + 1)[:, None]
    mean = np.cumsum(change, axis=0) / count
    deviation = np.sqrt(np.maximum(np.cumsum(change**2, axis=0) / count - mean**2, 0)) + 1e-12
    return (change - mean) / deviation


def exponential(panel: Panel) -> Floats:
    out = panel.close.copy()
    for t in range(1, len(out)):
        out[t] = out[t - 1] + 2 / 501 * (out[t] - out[t - 1])
    return panel.close - out


def ranks(panel: Panel) -> Floats:
    order = np.argsort(np.argsort(rolled(moves(panel), 10), axis=1), axis=1)
    return order.astype(np.float64)


def dice(panel: Panel) -> Floats:
    return np.array([np.random.default_rng(int(t // 1_000_000)).random(panel.shape[1]) for t in panel.times]) - 0.5


def month_end(panel: Panel) -> Floats:
    days = (panel.times // 86_400_000_000 + 3) % 7
    return np.repeat((days < 2)[:, None], panel.shape[1], axis=1).astype(np.float64)


CLEAN: dict[str, Strategy] = {
    "expanding z-score": Vectorised("expanding", lambda p: up(expanding(p))),
    "exponential average of 500": Vectorised("exponential", lambda p: up(exponential(p))),
    "rolling ranks": Vectorised("ranks", lambda p: up(ranks(p) - 1)),
    "random by the time of the row": Vectorised("dice", lambda p: up(dice(p))),
    "calendar known in advance": Vectorised("calendar", month_end),
    "a true signal": Vectorised("true", lambda p: up(p.fields["x"])),
    "previous sign": Vectorised("sign", lambda p: up(moves(p))),
    "centred window used late": Vectorised("late", lambda p: up(p.close / rolled(p.close, 5) - 1)),
    "nothing at all": Vectorised("idle", lambda p: np.full(p.shape, np.nan)),
    "moving averages": MovingAverageCross(5, 20),
    "buy and hold": BuyAndHold(),
    "fixed targets": FixedTargets(np.zeros((900, 3))),
}


@pytest.mark.parametrize("name", sorted(CLEAN))
@pytest.mark.parametrize("halts", [False, True])
def test_a_clean_strategy_raises_no_blocking_finding(name: str, halts: bool) -> None:
    panel = planted_sign_world(0.6, 900, 3, seed=5)
    if halts:
        tradable = np.random.default_rng(1).random(panel.shape) < 0.9
        panel = Panel.of(
            panel.times,
            panel.instruments,
            panel.interval,
            panel.close,
            panel.open,
            panel.high,
            panel.low,
            panel.volume,
            tradable=tradable,
            fields=panel.fields,
        )
    result = backtest(CLEAN[name], panel)
    assert result.blocking == ()
    given = ["unproven.given"] if name == "fixed targets" else []
    assert [f.code for f in result.findings if f.code.startswith(("unproven.", "causality."))] == given
    assert result.evidence is not Evidence.LEAKING


@dataclass(frozen=True)
class Trained(BuyAndHold):
    """Stands in for a strategy with models: says what they learned from."""

    spans: tuple[tuple[int, ...], ...] = ()

    def trained_spans(self) -> list[tuple[int, ...]]:
        return list(self.spans)


def test_a_model_tested_on_rows_it_learned_from_is_refused_by_name() -> None:
    panel = planted_sign_world(0.5, 300, 1, seed=1)
    whole = Trained(spans=((int(panel.times[0]), int(panel.times[-1])),))
    with pytest.raises(InSample, match="in_sample=True"):
        backtest(whole, panel)
    marked = backtest(whole, panel, in_sample=True)
    assert marked.evidence is Evidence.LEAKING
    assert [f.code for f in marked.blocking] == ["leak.in_sample"]
    assert marked.judgement.evidence.label == "leaking"


def test_a_schedule_is_in_sample_only_where_a_model_is_in_force_on_its_own_rows() -> None:
    panel = planted_sign_world(0.5, 300, 1, seed=1)
    t = [int(x) for x in panel.times]
    clean = ((t[0], t[99], t[100]), (t[0], t[199], t[200]))
    assert in_sample(clean, panel, 100) == ()
    late = ((t[0], t[99], t[100]), (t[0], t[205], t[200]))
    assert in_sample(late, panel, 100)[0].count == 6
    assert in_sample(late, panel, 206) == ()
    assert in_sample(((t[0], t[150]),), panel, 100)[0].count == 51
    assert in_sample(((t[0], t[99]),), panel, 100) == ()
    future = ((t[0], t[99], t[100]), (t[250], t[290], t[120]))
    assert in_sample(future, panel, 100)[0].code == "leak.in_sample"


@pytest.mark.parametrize(
    ("field_name", "value", "code"),
    [
        ("row_filled", -1, "leak.fill_before_decision"),
        ("price", 1e6, "leak.fill_outside_bar"),
        ("fee", 0.0, "leak.fill_costs"),
    ],
)
def test_doctored_fills_are_caught(field_name: str, value: float, code: str) -> None:
    panel = planted_sign_world(0.5, 200, 1, seed=2)
    strategy, costs = MovingAverageCross(2, 5), Costs(fee_rate=0.001, slippage=0.001)
    run = simulate(panel, strategy.targets(panel), cash=1e6, costs=costs)
    assert audit_fills(panel, run, costs) == ()
    run.fills[field_name][3] = run.fills["row_decided"][3] if field_name == "row_filled" else value
    assert code in [f.code for f in audit_fills(panel, run, costs)]


def test_a_fill_in_a_row_that_cannot_be_traded_is_caught() -> None:
    panel = planted_sign_world(0.5, 200, 1, seed=2)
    run = simulate(panel, MovingAverageCross(2, 5).targets(panel), cash=1e6, costs=Costs())
    panel.tradable[run.fills["row_filled"][0], 0] = False
    assert [f.code for f in audit_fills(panel, run, Costs())] == ["leak.fill_untradable"]
