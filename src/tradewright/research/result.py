"""The result of a backtest: what was traded, what it shows, and what it would take to know more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tradewright.clock import format_us
from tradewright.errors import StorageFailed
from tradewright.evaluation.baselines import (
    Baseline,
    CostCurve,
    RandomTiming,
    cost_curve,
    random_timing,
    simple_baselines,
)
from tradewright.evaluation.bootstrap import sharpe_interval
from tradewright.evaluation.causality import blocking
from tradewright.evaluation.consistency import Consistency, consistency
from tradewright.evaluation.evidence import Evidence, Judgement, Trials
from tradewright.evaluation.figures import Figure, daily_returns, describe, simple_returns
from tradewright.evaluation.moments import Moments
from tradewright.evaluation.report import Report, render
from tradewright.market.panel import Floats, Panel
from tradewright.market.verdicts import DataVerdict, Finding
from tradewright.research.traded import held, traded_notional, trading
from tradewright.simulation.bars import Fills, Simulation, simulate
from tradewright.simulation.costs import Costs
from tradewright.strategies.contract import Targets


@dataclass(frozen=True, slots=True)
class Setup:
    """How a backtest was set up; `start_row` is the first row that could be decided on and counts."""

    strategy: str
    params: Mapping[str, Any]
    code: str
    cash: float
    costs: Costs
    leverage: float
    lots: str
    start_row: int
    per_year: float


@dataclass(frozen=True, eq=False)
class BacktestResult:
    """What trading a strategy over a panel gave.

    equity, fills, returns: see the properties. findings: of simulation, leak detectors and audits, not of the data.
    judgement: the evidence with its reasons. trials: the count of the lineage in the ledger, or "uncounted". Baselines,
    cost curve and bootstrap interval are computed when first read; they count as no trial.
    """

    setup: Setup
    panel: Panel
    targets: Targets
    simulation: Simulation
    moments: Moments
    findings: tuple[Finding, ...]
    judgement: Judgement
    trials: Trials | Literal["uncounted"]

    @property
    def equity(self) -> Floats:
        """(T,) account value at each row's close."""
        return self.simulation.equity

    @cached_property
    def returns(self) -> Floats:
        """Net simple returns of the tested span, one for each row after `start_row`."""
        return simple_returns(self.equity, self.setup.start_row)

    @property
    def fills(self) -> Fills:
        """Structured array: row_decided, row_filled, column, units (signed), price, fee."""
        return self.simulation.fills

    @property
    def data_verdict(self) -> DataVerdict:
        """What the checks said about the data."""
        return self.panel.verdict

    @property
    def evidence(self) -> Evidence:
        """none, weak, supported or leaking; `.label` for people."""
        return self.judgement.evidence

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that make it leaking."""
        return blocking(self.findings)

    @cached_property
    def statistics(self) -> Mapping[str, Figure]:
        """Figures of the tested span by name, each with n and, where there is one, its interval."""
        start = self.setup.start_row
        figures = describe(self.equity[start:], self.moments, trading(self.panel, self.simulation), self.setup.per_year)
        n = self.moments.n
        judged = self.judgement
        figures["probabilistic_sharpe_ratio_excess"] = Figure.of(judged.probabilistic_excess, n)
        figures["deflated_sharpe_ratio"] = Figure.of(judged.deflated, n)
        figures["deflated_sharpe_ratio_excess"] = Figure.of(judged.deflated_excess, n)
        return figures

    def simulated(self, targets: Targets, costs: Costs | None = None, record_units: bool = False) -> Simulation:
        """Return what other targets or costs give over the same span; nothing is counted."""
        return simulate(
            self.panel,
            targets,
            cash=self.setup.cash,
            costs=self.setup.costs if costs is None else costs,
            leverage=self.setup.leverage,
            lots=self.setup.lots,
            start_row=self.setup.start_row,
            record_units=record_units,
        )

    @cached_property
    def baselines(self) -> tuple[Baseline, ...]:
        """Cash, buy-and-hold and previous-sign over the same span with the same costs."""
        exposure = float(np.sum(np.abs(self.simulation.mean_weight)))
        start, per_year = self.setup.start_row, self.setup.per_year
        return simple_baselines(self.panel, self.simulated, exposure, start, per_year)

    @cached_property
    def random_timing(self) -> RandomTiming:
        """Where the result stands among its own positions shifted in time."""
        units = self.simulated(self.targets, record_units=True).units
        assert units is not None
        return random_timing(held(self.panel, units, self.equity, self.setup.start_row))

    @cached_property
    def cost_curve(self) -> CostCurve:
        """Total return and Sharpe ratio at 0, 1, 2 and 4 times the costs, and where nothing is left."""

        def at(multiple: float) -> Simulation:
            return self.simulated(self.targets, self.setup.costs.scaled(multiple))

        def notional(run: Simulation) -> float:
            return traded_notional(self.panel, run)

        setup = self.setup
        return cost_curve(at, notional, setup.costs.free, setup.start_row, setup.per_year)

    @cached_property
    def bootstrap_interval(self) -> Figure:
        """95 % interval of the annual Sharpe ratio by stationary bootstrap; of daily returns when bars are shorter."""
        returns, per_year = self.returns, self.setup.per_year
        if len(returns) > 20_000:
            returns = self.daily_returns
            per_year = per_year * len(returns) / len(self.returns)
        return sharpe_interval(returns, per_year)

    @property
    def daily_returns(self) -> Floats:
        """Returns between the last rows of each UTC day of the tested span."""
        return daily_returns(self.panel.times, self.equity, self.setup.start_row)

    @property
    def consistency(self) -> Consistency:
        """Whether hit rate, bets a year and Sharpe ratio can be true together."""
        return consistency(self.statistics, self.setup.per_year)

    def to_summary(self, *, comparisons: bool = True) -> dict[str, Any]:
        """Return everything but the arrays as plain values, ready for JSON.

        comparisons: with baselines, random timing and cost curve, which take a few more simulations.
        """
        setup, panel = self.setup, self.panel
        tested = panel.times[setup.start_row :]
        summary: dict[str, Any] = {
            "strategy": {"name": setup.strategy, "params": plain(setup.params), "code": setup.code},
            "instruments": list(panel.ids),
            "interval": panel.interval.value,
            "data_version": panel.data_version,
            "start": format_us(int(tested[0])),
            "end": format_us(int(tested[-1])),
            "rows": len(tested),
            "cash": setup.cash,
            "final_equity": float(self.equity[-1]),
            "leverage": setup.leverage,
            "lots": setup.lots,
            **self.judgement.to_json(),
            "data_verdict": panel.verdict.verdict.label,
            "data_findings": [finding_to_json(f) for f in panel.verdict.findings],
            "findings": [finding_to_json(f) for f in self.findings],
            "statistics": {name: figure.to_json() for name, figure in self.statistics.items()},
            "consistency": self.consistency.to_json(),
            "trials": "uncounted" if isinstance(self.trials, str) else _trials(self.trials),
        }
        if comparisons:
            summary["baselines"] = {b.name: b.to_json() for b in self.baselines}
            summary["random_timing"] = self.random_timing.to_json()
            summary["cost_curve"] = self.cost_curve.to_json()
        return summary

    def report_html(self) -> str:
        """Return the report: one HTML page that needs nothing from elsewhere."""
        summary = self.to_summary()
        summary["statistics"]["bootstrap_annual_sharpe_ratio"] = self.bootstrap_interval.to_json()
        start = self.setup.start_row
        hold = next((b for b in self.baselines if b.name == "buy_and_hold"), None)
        return render(Report(summary, self.panel.times[start:], self.equity[start:], self.setup.cash, hold))

    def save_report(self, path: str | Path) -> Path:
        """Write the report to `path` and return it. Raises StorageFailed when it cannot be written."""
        place = Path(path)
        try:
            place.write_text(self.report_html(), encoding="utf-8")
        except OSError as error:
            raise StorageFailed(f"cannot write the report to {place}: {error}; choose another folder") from error
        return place


def _trials(trials: Trials) -> dict[str, Any]:
    return {"raw": trials.raw, "distinct": trials.distinct, "variance": trials.variance}


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain values, its rows as times."""
    return {
        "code": finding.code,
        "severity": finding.severity.label,
        "detail": finding.detail,
        "instrument": finding.instrument,
        "count": finding.count,
        "rows": [format_us(t) for t in finding.rows],
    }


def plain(value: Any) -> Any:
    """Return `value` made of plain JSON values: arrays as lists, other numbers as float or int, NaN as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
