"""The backtest: decide, trade, judge, count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from tradewright.errors import Cancelled, InSample, InvalidInput
from tradewright.evaluation.audit import audit_fills
from tradewright.evaluation.audit import in_sample as in_sample_findings
from tradewright.evaluation.causality import CHECKS, decide, handed_in
from tradewright.evaluation.evidence import Trials, judge, span_moments
from tradewright.evaluation.figures import daily_returns, periods_per_year
from tradewright.evaluation.moments import Moments
from tradewright.market.panel import Floats, Panel
from tradewright.market.verdicts import Finding, Verdict
from tradewright.research.result import BacktestResult, Setup, plain
from tradewright.research.traded import decisions, growth
from tradewright.research.trials import PURPOSES, Trial, TrialLedger
from tradewright.simulation.bars import Simulation, simulate
from tradewright.simulation.costs import Costs, default_costs
from tradewright.strategies.contract import Strategy, Targets
from tradewright.strategies.registry import code_hash

Progress = Callable[[float, str], None]
"""Called with the share done, 0 to 1, and a word; may raise Cancelled."""

AUDITS = (Finding("unproven.audit", Verdict.USABLE, "it was run as an audit; audits are not counted as trials"),)
"""What is found in every result with the purpose "audit"."""


def backtest(
    strategy: Strategy,
    panel: Panel,
    *,
    cash: float = 1_000_000.0,
    costs: Costs | None = None,
    leverage: float = 1.0,
    lots: str = "ignore",
    start_row: int | None = None,
    checks: str = "sampled",
    in_sample: bool = False,
    ledger: TrialLedger | None = None,
    purpose: str = "research",
    progress: Progress | None = None,
) -> BacktestResult:
    """Return what `strategy` gives on `panel`, checked for leaks, judged, and counted when there is a ledger.

    cash, costs, leverage, lots: see `simulate`; costs=None takes `default_costs`, which are not 0. start_row: the first
    decision row; rows before it are flat and outside the statistics. None means the first row on which a strategy with
    models has a valid one, else 0. At start_row a position that the strategy already wants is taken up. checks:
    "sampled" or "full" prefix replay. in_sample: a model tested on rows that it learned from is refused with InSample
    unless True, which marks the result as leaking. ledger: without one the result is "uncounted" and has no deflated
    Sharpe ratio. purpose: "audit" is recorded and not counted, and therefore never evidence. progress: called with the
    share done; may raise to stop. A strategy that raises is recorded as a crashed trial, one that was stopped as
    cancelled. Raises InvalidInput for arguments that cannot be used.
    """
    tell = progress or _silent
    costs = default_costs(panel.instruments) if costs is None else costs
    start = _start(strategy, panel, start_row)
    _check(strategy, panel, checks, purpose)
    setup = Setup(
        strategy.name,
        dict(strategy.params),
        code_hash(strategy),
        float(cash),
        costs,
        float(leverage),
        lots,
        start,
        periods_per_year(panel),
    )
    touched = _in_sample(strategy, panel, start, in_sample)
    try:
        tell(0.0, "deciding")
        decided = decide(strategy, panel, checks=checks, progress=lambda share: tell(0.7 * share, "replaying prefixes"))
        tell(0.7, "trading")
        targets = _from(decided.targets, start)
        simulation = simulate(panel, targets, cash=cash, costs=costs, leverage=leverage, lots=lots, start_row=start)
    except InvalidInput:  # nothing was evaluated, so nothing is counted
        raise
    except Exception as error:
        _unfinished(ledger, setup, panel, purpose, error)
        raise
    tell(0.8, "judging")
    doubts = (*handed_in(strategy), *(AUDITS if purpose == "audit" else ()))
    findings = (*touched, *doubts, *decided.findings, *audit_fills(panel, simulation, costs), *simulation.findings)
    result = _judged(setup, panel, targets, simulation, findings, ledger, purpose)
    tell(1.0, "done")
    return result


def _silent(share: float, words: str) -> None:
    return None


def _check(strategy: Strategy, panel: Panel, checks: str, purpose: str) -> None:
    if checks not in CHECKS:
        raise InvalidInput(f"checks must be 'sampled' or 'full', got {checks!r}")
    if purpose not in PURPOSES:
        raise InvalidInput(f"purpose must be one of {', '.join(PURPOSES)}, got {purpose!r}")
    fits = getattr(strategy, "check", None)
    if fits is not None:
        fits(panel)


def _spans(strategy: Strategy) -> list[tuple[int, ...]]:
    spans = getattr(strategy, "trained_spans", None)
    return [] if spans is None else [tuple(int(moment) for moment in span) for span in spans()]


def _start(strategy: Strategy, panel: Panel, start_row: int | None) -> int:
    if not len(panel):
        raise InvalidInput("the panel has no rows; check instruments, start and end")
    if start_row is None:
        valid = [span[2] for span in _spans(strategy) if len(span) > 2]
        start_row = int(np.searchsorted(panel.times, min(valid))) if valid else 0
        if start_row >= len(panel):
            raise InvalidInput("no model is valid yet on any row of this panel; take later rows")
    if not 0 <= start_row < len(panel) - 1:
        raise InvalidInput(f"start_row must lie between 0 and {len(panel) - 2}, got {start_row}: a test needs two rows")
    return start_row


def _in_sample(strategy: Strategy, panel: Panel, start: int, allowed: bool) -> tuple[Finding, ...]:
    findings = in_sample_findings(_spans(strategy), panel, start, strategy.name)
    if findings and not allowed:
        raise InSample(findings[0].detail, strategy=strategy.name)
    return findings


def _from(targets: Targets, start: int) -> Targets:
    if start == 0:
        return targets
    values = targets.values.copy()
    before = values[: start + 1]
    place = np.maximum.accumulate(np.where(np.isfinite(before), np.arange(start + 1)[:, None], 0), axis=0)[-1]
    values[start] = before[place, np.arange(values.shape[1])]
    values[:start] = np.nan
    return Targets(values, targets.kind)


def _judged(
    setup: Setup,
    panel: Panel,
    targets: Targets,
    simulation: Simulation,
    findings: tuple[Finding, ...],
    ledger: TrialLedger | None,
    purpose: str,
) -> BacktestResult:
    start = setup.start_row
    held = (panel.close, panel.present, growth(panel), simulation.mean_weight)
    net, excess = span_moments(simulation.equity, *held, start)
    trials: Trials | Literal["uncounted"] = "uncounted"
    if ledger is not None:
        daily = daily_returns(panel.times, simulation.equity, start)
        trials = ledger.record(_trial(setup, panel, purpose, net, daily))
    judgement = judge(
        net,
        excess,
        decisions=decisions(simulation),
        trials=None if isinstance(trials, str) else trials,
        data_verdict=panel.verdict.verdict,
        findings=findings,
    )
    return BacktestResult(setup, panel, targets, simulation, net, findings, judgement, trials)


def _configuration(setup: Setup, panel: Panel) -> Mapping[str, Any]:
    shared = {"cash": setup.cash, "costs": asdict(setup.costs), "leverage": setup.leverage, "lots": setup.lots}
    named = {"strategy": setup.strategy, "params": setup.params, "code": setup.code}
    return dict(plain({**named, **shared, "data_version": panel.data_version, "start_row": setup.start_row}))


def _trial(setup: Setup, panel: Panel, purpose: str, net: Moments | None, daily: Floats | None, **rest: Any) -> Trial:
    return Trial(
        panel.ids,
        panel.interval.value,
        int(panel.times[setup.start_row]),
        int(panel.times[-1]),
        _configuration(setup, panel),
        net,
        daily,
        purpose,
        **rest,
    )


def _unfinished(ledger: TrialLedger | None, setup: Setup, panel: Panel, purpose: str, error: Exception) -> None:
    if ledger is not None:
        detail = {"error": f"{type(error).__name__}: {error}"[:2_000]}
        status = "cancelled" if isinstance(error, Cancelled) else "crashed"
        ledger.record(_trial(setup, panel, purpose, None, None, status=status, detail=detail))
