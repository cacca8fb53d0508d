"""Walk-forward: train on the past, test on what follows, move on; the headline evaluation of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tradewright.clock import format_us
from tradewright.errors import InvalidInput, TooFewRows
from tradewright.evaluation.evidence import Evidence
from tradewright.features.sets import FeatureSet, default_features
from tradewright.learning.learners import Learner, LinearBaseline, learner_of
from tradewright.learning.schedule import ModelSchedule, ScheduleEntry
from tradewright.learning.splits import Fold, walk_forward_folds
from tradewright.learning.training import TrainingData, train, training_data
from tradewright.market.panel import Panel
from tradewright.research.backtest import backtest
from tradewright.research.forecasting import ForecastStatistics, forecast_statistics
from tradewright.research.result import BacktestResult
from tradewright.research.trials import TrialLedger
from tradewright.simulation.costs import Costs
from tradewright.strategies.model import ModelStrategy

Progress = Callable[[float, str], None]
CHANCE = 0.05
"""Forecasts that chance equals more often than this did not tell direction."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """One learner over all folds: its models, what trading them gave, and how good its forecasts were."""

    learner: str
    schedule: ModelSchedule
    result: BacktestResult
    forecast_statistics: ForecastStatistics

    def to_summary(self) -> dict[str, Any]:
        """Return learner, schedule, result and forecast statistics as JSON values."""
        return {
            "learner": self.learner,
            "schedule": self.schedule.id,
            "result": self.result.to_summary(),
            "forecasts": self.forecast_statistics.to_json(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What a walk-forward found: the model's evaluation and the linear baseline's on the same folds.

    schedule, result, forecast_statistics and evidence are those of the model. Everything tested is out of sample: each
    test span only meets models whose training labels ended before it.
    """

    evaluation: Evaluation
    baseline: Evaluation
    folds: tuple[Fold, ...]
    span: tuple[int, int]
    tested_span: tuple[int, int]
    settings: dict[str, Any]

    @property
    def schedule(self) -> ModelSchedule:
        """The models, each with the time from which it applies."""
        return self.evaluation.schedule

    @property
    def result(self) -> BacktestResult:
        """The backtest of `ModelStrategy(schedule)` over all test spans, net of costs."""
        return self.evaluation.result

    @property
    def forecast_statistics(self) -> ForecastStatistics:
        """Hit rate, calibration and direction of the forecasts over all test spans."""
        return self.evaluation.forecast_statistics

    @property
    def evidence(self) -> Evidence:
        """What the study shows: the evidence of the result, if the forecasts had a hand in it.

        A model whose forecasts did not tell direction better than chance (Pesaran-Timmermann, one-sided, 5%) has no
        evidence, whatever its trades happened to earn.
        """
        return self._judged()[0]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the evidence is what it is, as sentences."""
        return self._judged()[1]

    def _judged(self) -> tuple[Evidence, tuple[str, ...]]:
        found, reasons = self.result.evidence, self.result.judgement.reasons
        p = self.forecast_statistics.direction_p
        if found not in (Evidence.WEAK, Evidence.SUPPORTED) or (p is not None and p <= CHANCE):
            return found, reasons
        said = self.forecast_statistics.direction_reason if p is None else f"p = {p:.3f}, above {CHANCE}"
        return Evidence.NONE, (f"the forecasts did not tell direction better than chance: {said}",)

    def to_summary(self) -> dict[str, Any]:
        """Return everything but arrays as JSON values."""
        return {
            **self.evaluation.to_summary(),
            "evidence": self.evidence.value,
            "reasons": list(self.reasons),
            "baseline": self.baseline.to_summary(),
            "folds": len(self.folds),
            "span": [format_us(t) for t in self.span],
            "tested_span": [format_us(t) for t in self.tested_span],
            "settings": self.settings,
        }


def walk_forward(
    model: Any,
    panel: Panel,
    *,
    horizon: int = 5,
    splits: int = 8,
    features: FeatureSet | None = None,
    embargo: int | None = None,
    start_row: int | None = None,
    end_row: int | None = None,
    costs: Costs | None = None,
    seed: int = 7,
    ledger: TrialLedger | None = None,
    progress: Progress | None = None,
    purpose: str = "research",
) -> Study:
    """Return the study of `model` on rows start_row..end_row-1 of `panel`.

    model: GradientBoosting(), LinearBaseline(), or any estimator with fit and predict_proba. Training is anchored and
    expanding: the first 40% of the rows are only learned from, the rest is cut into `splits` test spans. A training
    label must have ended `embargo` rows (default: horizon) before its test span. features: default
    `default_features(panel)`. costs: None means the defaults of each instrument's class. The model is one trial of the
    ledger; the linear baseline is an audit and counts as none. progress: called with the share done and what is being
    done; what it raises (Cancelled) ends the study. The same inputs give the same models, bit for bit.
    Raises TooFewRows, InvalidInput.
    """
    part = _part(panel, start_row, end_row)
    chosen = default_features(part) if features is None else features
    report = progress or _silent
    report(0.0, "computing features")
    learner = learner_of(model)
    folds = walk_forward_folds(0, len(part), splits, horizon, embargo)
    data = training_data(part, chosen, horizon)
    trading: dict[str, Any] = {"costs": costs, "ledger": ledger}
    main = _evaluate(learner, data, folds, seed, {**trading, "purpose": purpose}, _share(report, 0.05, 0.85))
    linear = LinearBaseline()
    baseline = _evaluate(linear, data, folds, seed, {**trading, "purpose": "audit"}, _share(report, 0.85, 1.0))
    first, last = folds[0].test_start, folds[-1].test_stop - 1
    report(1.0, "done")
    return Study(
        evaluation=main,
        baseline=baseline,
        folds=folds,
        span=(int(part.times[0]), int(part.times[-1])),
        tested_span=(int(part.times[first]), int(part.times[last])),
        settings={
            "learner": learner.name,
            "params": dict(learner.params),
            "horizon": horizon,
            "splits": splits,
            "embargo": horizon if embargo is None else embargo,
            "seed": seed,
            "features": list(chosen.names),
            "data_version": part.data_version,
        },
    )


def _evaluate(
    learner: Learner, data: TrainingData, folds: tuple[Fold, ...], seed: int, trading: dict[str, Any], report: Progress
) -> Evaluation:
    panel, entries = data.panel, []
    for number, fold in enumerate(folds):
        report(0.9 * number / len(folds), f"training {learner.name} {number + 1} of {len(folds)}")
        usable = fold.train_mask(data.labels.end_row)
        model = train(learner, data, usable, seed, purged_before=int(panel.times[fold.purge_before]))
        valid_from = int(panel.times[fold.test_start])
        entries.append(ScheduleEntry(model, int(panel.times[fold.purge_before]), valid_from))
    schedule = ModelSchedule(entries, data.labels.horizon, data.features.names, panel.interval, panel.ids)
    report(0.9, f"testing {learner.name}")
    strategy = ModelStrategy(schedule)
    result = backtest(strategy, panel, start_row=folds[0].test_start, **trading)
    _, forecast = strategy.advance_with_forecast(strategy.start(panel), panel)
    tested = np.where(np.arange(len(panel))[:, None] >= folds[0].test_start, data.labels.y, np.nan)
    statistics = forecast_statistics(forecast.probability, tested, data.labels.horizon)
    return Evaluation(learner.name, schedule, result, statistics)


def _part(panel: Panel, start_row: int | None, end_row: int | None) -> Panel:
    start, stop = start_row or 0, len(panel) if end_row is None else end_row
    if not 0 <= start < stop <= len(panel):
        raise InvalidInput(f"rows {start} to {stop} are no span of a panel of {len(panel)} rows")
    if stop - start < 2:
        raise TooFewRows(f"a study needs more than {stop - start} rows")
    return panel if (start, stop) == (0, len(panel)) else panel.rows(start, stop)


def _share(report: Progress, low: float, high: float) -> Progress:
    return lambda done, message: report(low + (high - low) * done, message)


def _silent(_: float, __: str) -> None:
    return None
