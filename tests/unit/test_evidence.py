"""The one rule that says what a result shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tradewright.evaluation.evidence import Evidence, Trials, judge, twin_excess
from tradewright.evaluation.moments import Moments, moments
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.market.panel import Panel
from tradewright.market.verdicts import Finding, Verdict
from tradewright.research.backtest import backtest
from tradewright.simulation.costs import Costs
from tradewright.strategies import BuyAndHold, FixedTargets
from tradewright.strategies.contract import TargetKind, Targets

GOOD = Moments(1_000, 0.001, 0.01, 0.0, 3.0, 0.0)
POOR = Moments(1_000, 0.0001, 0.01, 0.0, 3.0, 0.0)
STILL = Moments(1_000, 1e-8, 1e-6, 0.0, 3.0, 0.0)
FEW, MANY = Trials(3, 3, 1e-4), Trials(500, 500, 1e-3)


class Sign:
    """Follows the sign that the world shows."""

    name = "sign"
    params: Mapping[str, Any] = {}

    def targets(self, panel: Panel) -> Targets:
        return Targets(np.where(panel.fields["x"] > 0, 0.45, 0.0), TargetKind.WEIGHTS)


def shown(net: Moments = GOOD, excess: Moments = GOOD, **rest: object) -> Evidence:
    given = {"decisions": 100, "trials": FEW, "data_verdict": Verdict.CLEAN, "findings": (), **rest}
    return judge(net, excess, **given).evidence  # type: ignore[arg-type]


def test_supported_needs_the_deflated_ratio_of_net_and_excess() -> None:
    assert shown() is Evidence.SUPPORTED
    assert shown(trials=MANY) is Evidence.WEAK
    assert shown(trials=None) is Evidence.WEAK


def test_nothing_is_shown_when_only_exposure_earned() -> None:
    assert shown(excess=POOR) is Evidence.NONE
    assert shown(net=POOR) is Evidence.NONE
    assert shown(excess=STILL) is Evidence.NONE


def test_rejected_data_and_a_single_decision_show_nothing() -> None:
    assert shown(data_verdict=Verdict.REJECTED) is Evidence.NONE
    assert shown(data_verdict=Verdict.SUSPECT) is Evidence.SUPPORTED
    assert shown(decisions=1) is Evidence.NONE


def test_a_leak_outranks_every_figure() -> None:
    leak = Finding("leak.prefix_replay", Verdict.REJECTED, "seen")
    cut = Finding("simulation.buy_cut", Verdict.USABLE, "cut")
    assert shown(findings=(cut, leak)) is Evidence.LEAKING
    assert shown(findings=(cut,)) is Evidence.SUPPORTED


def test_no_evidence_is_printed_in_two_words() -> None:
    assert [e.label for e in Evidence] == ["no evidence", "weak", "supported", "leaking"]


def test_an_uncounted_result_says_so_and_has_no_deflated_ratio() -> None:
    judged = judge(GOOD, GOOD, decisions=9, trials=None, data_verdict=Verdict.CLEAN, findings=())
    assert judged.deflated.value is None
    assert "uncounted" in judged.deflated.reason
    assert any("uncounted" in reason for reason in judged.reasons)


def test_trials_without_variance_have_no_deflated_ratio_and_say_why() -> None:
    judged = judge(GOOD, GOOD, decisions=9, trials=Trials(5, 5, 0.0), data_verdict=Verdict.CLEAN, findings=())
    assert judged.deflated.value is None
    assert "no variance" in judged.deflated.reason


def test_the_judgement_says_what_it_would_take_to_know_more() -> None:
    short = Moments(50, 0.001, 0.01, 0.0, 3.0, 0.0)
    judged = judge(short, short, decisions=9, trials=None, data_verdict=Verdict.CLEAN, findings=())
    assert judged.to_know_more.startswith("at the net Sharpe ratio of 0.1000 a row it takes 273 rows; at the excess")
    assert judged.to_know_more.endswith("there are 50; and a trial ledger that counts")


def test_holding_a_rising_market_is_no_evidence() -> None:
    world = planted_sign_world(0.5, 4_000, 1, seed=2)
    draw = np.random.default_rng(0)
    moves = draw.normal(0.002, 0.01, world.shape)  # annual Sharpe ratio 3 for holding
    close = 100 * np.cumprod(1 + moves, axis=0)
    rising = type(world).of(world.times, world.instruments, world.interval, close)
    held = backtest(BuyAndHold(), rising)
    assert held.statistics["probabilistic_sharpe_ratio"].value > 0.999  # type: ignore[operator]
    assert held.evidence is Evidence.NONE
    always = np.full(world.shape, 0.95)  # the same, rebalanced to a constant share every day
    steady = backtest(FixedTargets(always, kind="weights"), rising)
    assert steady.evidence is Evidence.NONE


def test_targets_that_were_handed_in_are_no_evidence_however_good() -> None:
    world = planted_sign_world(0.5, 1_000, 1, seed=3)
    foresight = np.zeros(world.shape)
    foresight[:-1] = np.where(world.close[1:] > world.close[:-1], 0.9, 0.0)
    result = backtest(FixedTargets(foresight, kind="weights"), world, costs=Costs(fee_rate=1e-5))
    assert result.judgement.probabilistic_excess.value > 0.99  # type: ignore[operator]
    assert result.evidence is Evidence.NONE
    assert result.judgement.reasons[0].startswith("the targets were handed in; whether they were made with foresight")


def test_an_audit_is_no_evidence_because_it_is_not_counted() -> None:
    world = planted_sign_world(0.6, 2_000, 2, seed=1)
    assert backtest(Sign(), world).evidence is Evidence.WEAK
    audit = backtest(Sign(), world, purpose="audit")
    assert audit.evidence is Evidence.NONE
    assert "audits are not counted" in audit.judgement.reasons[0]


def test_a_planted_signal_is_seen_and_noise_is_not() -> None:
    def sign(p: float, seed: int) -> Evidence:
        world = planted_sign_world(p, 2_000, 2, seed=seed)
        return backtest(Sign(), world).evidence

    assert [sign(0.60, seed) for seed in range(10)] == [Evidence.WEAK] * 10
    assert [sign(0.50, seed) for seed in range(10)] == [Evidence.NONE] * 10


def test_the_twin_holds_the_mean_weight_of_every_column() -> None:
    close = np.array([[10.0, 20.0], [11.0, np.nan], [11.0, 30.0]])
    present = np.isfinite(close)
    returns = np.array([0.1, 0.2])
    found = twin_excess(returns, close, present, np.empty((0, 2)), np.array([0.5, 0.2]), 0)
    assert found.tolist() == pytest.approx([0.1 - 0.5 * 0.1, 0.2 - 0.2 * 0.5])


def test_moments_of_a_constant_series_have_no_sharpe_ratio() -> None:
    assert moments(np.full(10, 0.1)).sharpe is None
    assert moments([]).sharpe is None
    assert moments([0.1]).sharpe is None
