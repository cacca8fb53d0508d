"""The backtest as its callers see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tradewright.errors import Cancelled, InvalidInput, StorageFailed
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.market.panel import Panel
from tradewright.research.backtest import backtest
from tradewright.simulation.bars import simulate
from tradewright.simulation.costs import Costs, default_costs
from tradewright.strategies import BuyAndHold, FixedTargets, MovingAverageCross
from tradewright.strategies.contract import Targets


@pytest.fixture(scope="module")
def world() -> Panel:
    return planted_sign_world(0.55, 800, 3, seed=9)


def test_it_trades_what_the_simulator_trades(world: Panel) -> None:
    strategy, costs = MovingAverageCross(5, 20, units=100), Costs(fee_rate=0.001)
    result = backtest(strategy, world, costs=costs)
    alone = simulate(world, strategy.targets(world), cash=1_000_000.0, costs=costs)
    np.testing.assert_array_equal(result.equity, alone.equity)
    np.testing.assert_array_equal(result.fills, alone.fills)
    np.testing.assert_allclose(np.cumprod(1 + result.returns)[-1], alone.equity[-1] / alone.equity[0])
    assert result.trials == "uncounted"


def test_costs_left_out_are_the_defaults_of_the_class(world: Panel) -> None:
    result = backtest(MovingAverageCross(5, 20, units=100), world)
    assert result.setup.costs == default_costs(world.instruments)
    assert result.statistics["fees"].value > 0  # type: ignore[operator]


def test_the_summary_is_plain_json_and_keeps_every_figure(world: Panel) -> None:
    summary = json.loads(json.dumps(backtest(MovingAverageCross(5, 20), world).to_summary(), allow_nan=False))
    assert summary["evidence"] == "none"
    assert summary["label"] == "no evidence"
    assert set(summary["baselines"]) == {"cash", "buy_and_hold", "previous_sign"}
    assert [p["multiple"] for p in summary["cost_curve"]["points"]] == [0, 1, 2, 4]
    assert summary["statistics"]["deflated_sharpe_ratio"]["value"] is None
    assert "uncounted" in summary["statistics"]["deflated_sharpe_ratio"]["reason"]
    assert summary["statistics"]["sharpe_ratio"]["low"] < summary["statistics"]["sharpe_ratio"]["high"]


@pytest.mark.parametrize("rows", [2, 5, 49, 50])
def test_a_panel_of_few_rows_is_checked_like_a_long_one(world: Panel, rows: int) -> None:
    few = world.rows(0, rows)
    assert backtest(MovingAverageCross(2, 4), few).blocking == ()
    assert backtest(FixedTargets(np.ones(few.shape)), few).blocking == ()


def test_rows_before_the_start_row_are_flat_and_outside_the_statistics(world: Panel) -> None:
    result = backtest(BuyAndHold(), world, start_row=300)
    assert result.fills["row_decided"].tolist() == [300, 300, 300]
    assert set(result.equity[:301]) == {1_000_000.0}
    assert len(result.returns) == result.statistics["total_return"].n == 499


def test_cost_curve_falls_and_breaks_even_between_its_points() -> None:
    world = planted_sign_world(0.6, 1_500, 1, seed=4)
    weights = np.where(world.fields["x"] > 0, 0.9, 0.0)
    result = backtest(FixedTargets(weights, kind="weights"), world)
    totals = [p.total_return for p in result.cost_curve.points]
    assert totals == sorted(totals, reverse=True)
    multiple = result.cost_curve.break_even_multiple.value
    assert multiple is not None
    at = result.simulated(result.targets, result.setup.costs.scaled(multiple))
    assert at.equity[-1] == pytest.approx(1_000_000.0, rel=1e-3)
    assert result.cost_curve.points[1].total_return == pytest.approx(result.statistics["total_return"].value)
    assert result.random_timing.percentile is not None
    assert result.random_timing.percentile > 0.99


def test_break_even_has_a_reason_where_there_is_none(world: Panel) -> None:
    losing = backtest(FixedTargets(np.tile([[0.3], [0.0]], (400, 3)), kind="weights"), world)
    assert losing.cost_curve.break_even_multiple.value is None or losing.cost_curve.points[0].total_return > 0
    idle = backtest(FixedTargets(np.full(world.shape, np.nan)), world)
    assert idle.cost_curve.break_even_bps.reason == "nothing was traded"
    assert idle.random_timing.reason == "the positions never changed"
    assert idle.statistics["hit_rate"].reason == "equity never moved"
    free = backtest(MovingAverageCross(5, 20), world, costs=Costs())
    assert free.cost_curve.break_even_multiple.value is None


def test_the_report_stands_alone(world: Panel, tmp_path: Path) -> None:
    result = backtest(MovingAverageCross(5, 20, units=100), world)
    text = result.save_report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    for part in ("no evidence", "Equity", "Compared with", "Findings", "viewport", "bootstrap", "Do they fit"):
        assert part in text
    for foreign in ("http://", "https://", "<script", "src=", "@import", "url("):
        assert foreign not in text
    assert "NaN" not in text.replace("NaN</", "")
    assert text.index("What it shows") < text.index("Statistics")
    with pytest.raises(StorageFailed, match="cannot write the report"):
        result.save_report(tmp_path / "missing" / "report.html")


def test_the_report_escapes_what_came_from_outside(world: Panel) -> None:
    class Named:
        name = "<script>alert(1)</script>"
        params: dict[str, Any] = {"a": "<b>"}  # noqa: RUF012

        def targets(self, panel: Panel) -> Targets:
            return Targets(np.full(panel.shape, np.nan))

    text = backtest(Named(), world.rows(0, 60)).report_html()
    assert "<script" not in text
    assert "<b>&lt;" not in text


def test_progress_is_told_and_may_stop_it(world: Panel) -> None:
    told: list[float] = []
    backtest(MovingAverageCross(5, 20), world, progress=lambda share, words: told.append(share))
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)

    def stop(share: float, words: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        backtest(MovingAverageCross(5, 20), world, progress=stop)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"checks": "none"}, "checks must be"),
        ({"purpose": "fun"}, "purpose must be"),
        ({"start_row": 799}, "start_row must lie between 0 and 798"),
        ({"cash": -1}, "cash must be"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(world: Panel, given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        backtest(MovingAverageCross(5, 20), world, **given)


def test_targets_of_the_wrong_shape_are_refused(world: Panel) -> None:
    class Wrong:
        name = "wrong"
        params: dict[str, Any] = {}  # noqa: RUF012

        def targets(self, panel: Panel) -> Targets:
            return Targets(np.zeros((3, 1)))

    with pytest.raises(InvalidInput, match=r"must return Targets of shape \(800, 3\)"):
        backtest(Wrong(), world)
    with pytest.raises(InvalidInput, match="the panel has"):
        backtest(FixedTargets(np.zeros((3, 3))), world)
