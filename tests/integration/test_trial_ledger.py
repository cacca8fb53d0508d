"""The trial ledger on both databases."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from tradewright.clock import FixedClock
from tradewright.errors import InvalidInput
from tradewright.evaluation.moments import moments
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.market.panel import Panel
from tradewright.research.backtest import backtest
from tradewright.research.trials import Trial, TrialLedger
from tradewright.storage.database import Database
from tradewright.storage.tables import trials as table
from tradewright.strategies import MovingAverageCross
from tradewright.strategies.contract import Targets


def trial(seed: int, first: int = 0, last: int = 99, **rest: Any) -> Trial:
    returns = np.random.default_rng(seed).normal(0, 0.01, 100)
    given: dict[str, Any] = {"universe": ("equity:A",), "interval": "1d", "configuration": {"seed": seed}}
    return Trial(first_time=first, last_time=last, moments=moments(returns), daily_returns=returns, **{**given, **rest})


@pytest.fixture
def ledger(database: Database) -> TrialLedger:
    return TrialLedger(database, "org_1", "paper", FixedClock())


def test_equal_returns_count_once_and_variance_is_of_the_distinct_ones(ledger: TrialLedger) -> None:
    assert ledger.record(trial(1)).variance is None
    ledger.record(trial(2))
    count = ledger.record_many([trial(2), trial(2, configuration={"other": 1}), trial(3)])[-1]
    assert (count.raw, count.distinct) == (5, 3)
    ratios = [trial(seed).moments.sharpe for seed in (1, 2, 3)]  # type: ignore[union-attr]
    assert count.variance == pytest.approx(np.var(np.array(ratios, float), ddof=1))


def test_only_the_same_universe_interval_and_overlapping_spans_are_counted(ledger: TrialLedger) -> None:
    ledger.record(trial(1, 0, 99))
    ledger.record(trial(2, universe=("equity:B",)))
    ledger.record(trial(3, interval="1h"))
    ledger.record(trial(4, 100, 199))
    assert ledger.record(trial(5, 50, 99)).raw == 2
    assert ledger.record(trial(6, 99, 100)).raw == 4


def test_audits_are_kept_and_not_counted_and_crashes_are_counted(ledger: TrialLedger) -> None:
    ledger.record(trial(1))
    assert ledger.record(trial(2, purpose="audit")).raw == 1
    crashed = Trial(("equity:A",), "1d", 0, 99, {"seed": 9}, status="crashed", detail={"error": "boom"})
    count = ledger.record(crashed)
    assert (count.raw, count.distinct) == (2, 2)
    assert [row["status"] for row in ledger.list()] == ["crashed", "completed", "completed"]
    assert len(ledger.list()) == 3


def test_tenants_do_not_see_each_other(ledger: TrialLedger, database: Database) -> None:
    ledger.record(trial(1))
    for other in (TrialLedger(database, "org_2", "paper"), TrialLedger(database, "org_1", "live")):
        assert other.list() == []
        assert other.returns(ledger.list()[0]["returns_hash"]) is None
        assert other.record(trial(1)).raw == 1
        assert other.verify().intact
    assert len(ledger.list()) == 1


def test_daily_returns_are_kept_by_content(ledger: TrialLedger) -> None:
    ledger.record(trial(4))
    kept = ledger.returns(ledger.list()[0]["returns_hash"])
    assert kept is not None
    np.testing.assert_allclose(kept, trial(4).daily_returns, rtol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["change", "remove"])
def test_the_chain_shows_a_changed_or_removed_row(ledger: TrialLedger, database: Database, how: str) -> None:
    ledger.record_many([trial(seed) for seed in range(5)])
    assert ledger.verify().intact
    assert ledger.verify().rows == 5

    def tamper(tx: sa.Connection) -> None:
        chosen = table.c.sequence == 3
        tx.execute(table.update().where(chosen).values(sharpe=9.0) if how == "change" else table.delete().where(chosen))

    database.write(tamper)
    assert ledger.verify().broken_at == 3


def test_two_writers_at_once_keep_one_chain(database: Database) -> None:
    def write(first: int) -> None:
        own = TrialLedger(database, "org_1", "paper")
        for seed in range(first, first + 10):
            own.record(trial(seed))

    threads = [threading.Thread(target=write, args=(100 * k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger = TrialLedger(database, "org_1", "paper")
    verified = ledger.verify()
    assert (verified.intact, verified.rows) == (True, 30)


def test_a_backtest_is_counted_and_deflated(ledger: TrialLedger) -> None:
    world = planted_sign_world(0.5, 600, 1, seed=1)
    first = backtest(MovingAverageCross(3, 10, 100), world, ledger=ledger)
    assert not isinstance(first.trials, str)
    assert (first.trials.raw, first.trials.distinct) == (1, 1)
    assert first.statistics["deflated_sharpe_ratio"].value is not None
    again = backtest(MovingAverageCross(3, 10, 100), world, ledger=ledger)
    assert not isinstance(again.trials, str)
    assert (again.trials.raw, again.trials.distinct) == (2, 1)
    other = backtest(MovingAverageCross(5, 30, 100), world, ledger=ledger)
    assert not isinstance(other.trials, str)
    assert (other.trials.raw, other.trials.distinct) == (3, 2)
    assert other.trials.variance is not None
    other.to_summary()  # baselines and cost curve are no trials
    assert len(ledger.list()) == 3


def test_a_crashing_strategy_is_recorded_and_raises(ledger: TrialLedger) -> None:
    class Broken:
        name = "broken"
        params: dict[str, Any] = {}  # noqa: RUF012

        def targets(self, panel: Panel) -> Targets:
            raise ZeroDivisionError("by mistake")

    with pytest.raises(ZeroDivisionError):
        backtest(Broken(), planted_sign_world(0.5, 50, 1, seed=1), ledger=ledger)
    row = ledger.list()[0]
    assert (row["status"], row["sharpe"]) == ("crashed", None)
    assert row["detail"]["error"] == "ZeroDivisionError: by mistake"
    assert ledger.verify().intact


def test_impossible_trials_are_refused() -> None:
    with pytest.raises(InvalidInput, match="for"):
        trial(1, purpose="fun")
    with pytest.raises(InvalidInput, match="completed"):
        trial(1, status="crashed")
