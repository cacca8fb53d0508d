"""The trial ledger on both databases."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from tradewright.clock import FixedClock
from tradewright.errors import Cancelled, InvalidInput
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
    given |= {"moments": moments(returns), "daily_returns": returns}
    return Trial(first_time=first, last_time=last, **{**given, **rest})


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


def test_only_an_instrument_in_common_the_same_interval_and_overlapping_spans_are_counted(ledger: TrialLedger) -> None:
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


def test_leaving_out_or_adding_instruments_does_not_reset_the_count(ledger: TrialLedger) -> None:
    ledger.record(trial(1, universe=("equity:A", "equity:B")))
    ledger.record(trial(2, universe=("equity:B", "equity:C")))
    assert ledger.record(trial(3, universe=("equity:B",))).raw == 3
    assert ledger.record(trial(4, universe=("equity:A",))).raw == 2
    assert ledger.record(trial(5, universe=("equity:D",))).raw == 1
    assert ledger.record(trial(6, universe=("equity:B",), interval="1h")).raw == 1
    assert ledger.count(trial(7, universe=("equity:A", "equity:D"))).raw == 3
    same = trial(3, universe=("equity:C", "equity:B", "equity:D"), configuration={"named": "otherwise"})
    count = ledger.record(same)
    assert (count.raw, count.distinct) == (5, 4)  # the same returns on another universe are a copy


def test_a_search_in_the_sandbox_counts_for_a_result_on_paper(ledger: TrialLedger, database: Database) -> None:
    sandbox = TrialLedger(database, "org_1", "sandbox", FixedClock())
    sandbox.record_many([trial(seed) for seed in range(20)])
    count = ledger.record(trial(7))
    assert (count.raw, count.distinct) == (21, 20)
    assert ledger.list()[0]["same_as"] == ledger.list()[0]["returns_hash"]
    near = trial(7).daily_returns
    assert near is not None
    near = near * 1.5
    assert ledger.record(trial(7, moments=moments(near), daily_returns=near)).distinct == 20
    assert len(ledger.list()) == 2
    assert (ledger.verify().intact, sandbox.verify().intact) == (True, True)


def test_the_winner_of_a_search_in_the_sandbox_is_deflated_on_paper(ledger: TrialLedger, database: Database) -> None:
    world = planted_sign_world(0.5, 600, 1, seed=1)
    sandbox = TrialLedger(database, "org_1", "sandbox", FixedClock())
    spans = [(2, 5), (2, 8), (3, 10), (4, 12), (5, 20), (8, 30)]
    for fast, slow in spans:
        backtest(MovingAverageCross(fast, slow, 100), world, ledger=sandbox)
    result = backtest(MovingAverageCross(3, 10, 100), world, ledger=ledger)
    assert not isinstance(result.trials, str)
    assert (result.trials.raw, result.trials.distinct) == (7, 6)


def test_tenants_do_not_see_each_other(ledger: TrialLedger, database: Database) -> None:
    ledger.record(trial(1))
    for organization, environment, count in (("org_2", "paper", 1), ("org_1", "live", 2)):
        other = TrialLedger(database, organization, environment)
        assert other.list() == []
        assert other.returns(ledger.list()[0]["returns_hash"]) is None
        assert other.record(trial(1)).raw == count
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


def test_near_copies_count_once_and_do_not_cut_the_hurdle(ledger: TrialLedger) -> None:
    draw = np.random.default_rng(11)
    ten = [trial(seed) for seed in range(10)]
    alone = ledger.record_many(ten)[-1]
    average = draw.normal(0, 0.01, 100)
    ledger.record(trial(0, configuration={"copied": 0}, moments=moments(average), daily_returns=average))
    before = ledger.count(ten[0])
    assert (alone.distinct, before.distinct) == (10, 11)
    near = [average * draw.uniform(0.5, 2) + draw.normal(0, 1e-4, 100) * 0.5 for _ in range(990)]
    copies = [
        trial(0, configuration={"copied": k + 1}, moments=moments(x), daily_returns=x) for k, x in enumerate(near)
    ]
    ledger.record_many(copies[:980])
    for copy in copies[980:985]:
        ledger.record(copy)
    after = ledger.record_many(copies[985:])[-1]
    assert (after.raw, after.distinct, after.variance) == (1_001, 11, before.variance)
    assert ledger.verify().intact


def test_alike_is_not_a_copy(ledger: TrialLedger) -> None:
    draw, base = np.random.default_rng(3), np.random.default_rng(1).normal(0, 0.01, 100)
    alike = base + draw.normal(0, 0.01, 100) * 0.1  # correlation about 0.995
    assert 0.99 < np.corrcoef(base, alike)[0, 1] < 0.999
    ledger.record(trial(1, moments=moments(base), daily_returns=base))
    assert ledger.record(trial(1, moments=moments(alike), daily_returns=alike)).distinct == 2
    still = np.zeros(100)
    for n in (100, 99):
        ledger.record(trial(1, moments=moments(still[:n]), daily_returns=still[:n]))
    assert ledger.count(trial(1)).distinct == 4
    two = [np.array([0.01, 0.02]), np.array([0.02, 0.05])]  # two days always correlate
    for x in two:
        ledger.record(trial(1, moments=moments(x), daily_returns=x))
    assert ledger.count(trial(1)).distinct == 6


def test_a_stopped_backtest_is_recorded_as_cancelled(ledger: TrialLedger) -> None:
    def stop(share: float, words: str) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        backtest(MovingAverageCross(3, 10, 100), planted_sign_world(0.5, 50, 1, seed=1), ledger=ledger, progress=stop)
    row = ledger.list()[0]
    assert (row["status"], row["detail"]["error"]) == ("cancelled", "Cancelled: enough")


def test_impossible_trials_are_refused() -> None:
    with pytest.raises(InvalidInput, match="for"):
        trial(1, purpose="fun")
    with pytest.raises(InvalidInput, match="completed"):
        trial(1, status="crashed")
