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
