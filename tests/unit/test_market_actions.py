"""Splits and dividends in terms of bars: shorter bars of the ex day are on the new terms from its opening on."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from tradewright.clock import DAY_US, format_us, parse_us
from tradewright.market.actions import actions_of_columns, became_of_a_unit, in_bar_terms
from tradewright.market.checks import series_findings
from tradewright.market.dated import ACTIONS
from tradewright.market.frames import canonical
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Action, Panel
from tradewright.market.verdicts import Finding, Verdict
from tradewright.simulation.bars import simulate
from tradewright.simulation.costs import Costs
from tradewright.strategies.contract import Targets

SHARE = Instrument("equity:XYZ", calendar="XNYS")
EX_DAY = parse_us("2024-03-06T21:00:00Z")  # the close of the ex day
OPENING = parse_us("2024-03-06T14:30:00Z")


def stored(*rows: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame([("equity:XYZ", *row) for row in rows], schema=ACTIONS, orient="row")


def test_daily_bars_see_an_action_at_the_close_and_shorter_ones_from_the_opening() -> None:
    found = stored((EX_DAY, EX_DAY - DAY_US, 7.0, 0.0))
    assert in_bar_terms(found, Interval.DAY)["time"].to_list() == [EX_DAY]
    for interval in (Interval.MINUTE, Interval.HOUR):
        seen = in_bar_terms(found, interval)
        assert seen.select("time", "known_at").rows() == [(OPENING + 1, EX_DAY - DAY_US)]
    around_the_clock = in_bar_terms(found, Interval.MINUTE, lambda _: "24/7")
    assert around_the_clock["time"].to_list() == [EX_DAY - DAY_US + 1]


def test_what_is_known_by_its_taking_place_is_known_then_and_not_before() -> None:
    seen = in_bar_terms(stored((EX_DAY, EX_DAY, 7.0, 0.0)), Interval.MINUTE)
    assert seen.select("time", "known_at").rows() == [(OPENING + 1, OPENING + 1)]
    late = in_bar_terms(stored((EX_DAY, EX_DAY + DAY_US, 7.0, 0.0)), Interval.MINUTE)
    assert late["known_at"].to_list() == [EX_DAY + DAY_US]


def test_an_ex_day_without_a_session_takes_place_in_the_next_one() -> None:
    saturday = parse_us("2024-03-09T21:00:00Z")
    (time,) = in_bar_terms(stored((saturday, saturday, 2.0, 0.0)), Interval.MINUTES_5)["time"].to_list()
    assert format_us(time - 1) == "2024-03-11T13:30:00Z"


def test_what_was_taken_back_and_what_lies_outside_the_rows_is_left_out() -> None:
    times = np.array([EX_DAY - DAY_US, EX_DAY, EX_DAY + DAY_US])
    rows = [(EX_DAY + n * DAY_US, EX_DAY - 9 * DAY_US, 2.0, 0.0) for n in (-2, -1, 0, 1, 2)]
    taken_back = (EX_DAY + 5, EX_DAY, 1.0, 0.0)
    made = actions_of_columns(stored(*rows, taken_back), [Instrument("equity:A"), SHARE], Interval.DAY, times)
    assert [(action.instrument, action.time_us - EX_DAY) for action in made] == [(1, 0), (1, DAY_US)]


def test_several_actions_between_two_bars_follow_one_another() -> None:
    day = DAY_US
    actions = [Action(0, 4 * day, 0, split=2.0), Action(0, 3 * day, 0, split=3.0, dividend=5.0),
               Action(0, 5 * day, 0, dividend=1.0), Action(0, 9 * day, 0, split=4.0)]  # fmt: skip
    units, cash = became_of_a_unit(np.array([2, 6, 7]) * day, actions)
    assert units.tolist() == [1.0, 6.0, 1.0]
    assert cash.tolist() == [0.0, 5.0 + 6.0 * 1.0, 0.0]


def test_minutes_of_the_ex_day_lose_nothing_before_its_close() -> None:
    times = np.concatenate([np.arange(-3, 1) * 60_000_000 + EX_DAY - DAY_US, np.arange(1, 4) * 60_000_000 + OPENING])
    close = np.where(times < OPENING, 700.0, 100.0)[:, None]
    found = stored((EX_DAY, EX_DAY - DAY_US, 7.0, 0.0))
    panel = Panel.of(times, (SHARE,), Interval.MINUTE, close, close, close, close, np.ones_like(close),
                     actions=actions_of_columns(found, [SHARE], Interval.MINUTE, times))  # fmt: skip
    targets = np.full(panel.shape, np.nan)
    targets[0] = 1.0
    assert set(simulate(panel, Targets(targets), cash=1e3, costs=Costs()).equity) == {1_000.0}


def findings(moves: dict[int, float], actions: list[Action], **flags: bool) -> dict[str, Finding]:
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).standard_normal(200) * 0.01))
    for row, factor in moves.items():
        close[row:] *= factor
    opened = np.append(100.0, close[:-1])
    for row, factor in moves.items():
        opened[row] *= factor
    share = Instrument("equity:XYZ", calendar="24/7")
    columns = {"time": DAY_US * np.arange(1, 201), "open": opened, "close": close, "volume": np.full(200, 10.0),
               "high": np.maximum(opened, close), "low": np.minimum(opened, close)}  # fmt: skip
    frame = canonical(pl.DataFrame(columns), source="s", instrument=share.id, interval="1d", observed_at_us=10**15)
    given = {"close_only": False, "pre_adjusted": False, **flags}
    return {each.code: each for each in series_findings(frame, share, Interval.DAY, **given, actions=actions)}


def split_on(row: int, split: float, dividend: float = 0.0) -> Action:
    return Action(0, DAY_US * (row + 1), 0, split=split, dividend=dividend)


@pytest.mark.parametrize("split", [7.0, 2.0, 1.5, 0.1])
def test_a_jump_is_a_finding_unless_an_action_tells_of_it(split: float) -> None:
    assert findings({50: 1 / split}, [])["split_like_jump"].rows == (DAY_US * 51,)
    assert findings({50: 1 / split}, [split_on(50, split)]) == {}
    moved = findings({50: 1 / split}, [split_on(51, split)])
    assert moved["split_like_jump"].rows == (DAY_US * 51,)
    assert moved["action_without_jump"].rows == (DAY_US * 52,)


def test_an_action_that_the_prices_do_not_show_is_a_finding_and_makes_no_outlier() -> None:
    found = findings({}, [split_on(50, 7.0)])
    assert set(found) == {"action_without_jump"}
    assert (found["action_without_jump"].severity, found["action_without_jump"].count) == (Verdict.SUSPECT, 1)
    assert set(findings({}, [split_on(50, 7.0)], pre_adjusted=True)) == {"pre_adjusted"}
    assert findings({}, [split_on(50, 1.1), split_on(0, 7.0), split_on(500, 7.0)]) == {}


def test_a_large_dividend_is_no_outlier_when_it_was_told() -> None:
    close = {50: 0.7}
    assert "outlier_return" in findings(close, [])
    before = 100.0 * np.exp(np.cumsum(np.random.default_rng(3).standard_normal(200) * 0.01))[49]
    assert findings(close, [split_on(50, 1.0, before * 0.3)]) == {}
