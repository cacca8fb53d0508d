"""Entry and exit prices mean the same in batch and as rows arrive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tradewright.clock import DAY_US
from tradewright.errors import InvalidInput
from tradewright.evaluation.worlds import planted_sign_world
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Action, Panel
from tradewright.market.reference import PendingReference, observe, reference_prices

NAN = float("nan")


def _panel(opens: list[float], closes: list[float] | None = None, **rest: object) -> Panel:
    o = np.array(opens, dtype=np.float64)[:, None]
    c = o if closes is None else np.array(closes, dtype=np.float64)[:, None]
    times = DAY_US * np.arange(1, len(o) + 1, dtype=np.int64)
    return Panel.of(times, (Instrument("equity:A"),), Interval.DAY, c, o, o, o, o, **rest)


def test_entry_is_the_next_open_and_exit_the_entry_of_a_later_decision() -> None:
    prices = reference_prices(_panel([10, 11, 12, 13, 14, 15]), 2)
    assert prices.entry[:, 0].tolist()[:5] == [11, 12, 13, 14, 15]
    assert prices.exit[:, 0].tolist()[:3] == [13, 14, 15]
    assert prices.exit_row[:, 0].tolist() == [3, 4, 5, -1, -1, -1]
    assert np.isnan(prices.exit[3:]).all()
    assert prices.returns[0, 0] == pytest.approx(13 / 11 - 1)


def test_a_missing_or_untradable_bar_delays_the_fill_and_not_the_clock() -> None:
    panel = _panel([10, NAN, 12, 13, 14, 15], [10, NAN, 12, 13, 14, 15])
    halted = replace(panel, tradable=panel.present & (panel.open != 13), data_version="")
    prices = reference_prices(halted, 1)
    assert prices.entry_row[:, 0].tolist() == [2, 2, 4, 4, 5, -1]
    assert prices.exit_row[:, 0].tolist() == [2, 4, 4, 5, -1, -1]


def test_a_close_only_panel_fills_at_the_next_close() -> None:
    closes = np.array([[10.0], [11.0], [12.5]])
    times = DAY_US * np.arange(1, 4, dtype=np.int64)
    prices = reference_prices(Panel.of(times, (Instrument("equity:A"),), Interval.DAY, closes), 1)
    assert prices.entry[:2, 0].tolist() == [11.0, 12.5]
    assert prices.exit[0, 0] == 12.5


def test_a_split_and_a_dividend_between_entry_and_exit_are_in_the_return() -> None:
    panel = _panel([100, 100, 100, 51, 52, 53])
    times = panel.times
    actions = (Action(0, int(times[3]), 0, split=2.0, dividend=1.0),)
    prices = reference_prices(replace(panel, actions=actions, data_version=""), 2)
    assert prices.exit[0, 0] == 2 * 51 + 1  # bought at 100 in row 1, split and dividend in row 3
    assert prices.exit[2, 0] == 53  # bought in row 3, already on the new terms


def test_rows_as_they_arrive_give_the_numbers_of_the_whole_panel() -> None:
    panel = planted_sign_world(0.5, 60, 1, seed=3)
    opens = panel.open.copy()
    opens[20:23] = NAN
    times = panel.times
    actions = (
        Action(0, int(times[10]), 0, split=3.0),
        Action(0, int(times[12]), int(times[14]), dividend=0.7),
        Action(0, int(times[22]), 0, split=0.5, dividend=0.2),
    )
    panel = replace(panel, open=opens, actions=actions, data_version="")
    prices = reference_prices(panel, 5)
    for decided in range(len(panel) - 1):
        pending = PendingReference(column=0, horizon=5)
        for row in range(decided + 1, len(panel)):
            pending = observe(pending, panel.rows(row, row + 1))
        at_once = observe(PendingReference(column=0, horizon=5), panel.rows(decided + 1, len(panel)))
        assert pending == at_once
        known = None if np.isnan(prices.exit[decided, 0]) else prices.exit[decided, 0]
        assert pending.exit == known
        if known is not None:
            assert pending.exit_time_us == times[prices.exit_row[decided, 0]]
            assert pending.realized_return == prices.returns[decided, 0]


def test_what_a_prefix_knows_the_whole_confirms() -> None:
    panel = planted_sign_world(0.5, 80, 3, seed=4)
    whole = reference_prices(panel, 4)
    for cut in (10, 40, 79):
        part = reference_prices(panel.rows(0, cut), 4)
        known = np.isfinite(part.exit)
        assert known.sum() == 3 * (cut - 5)
        assert np.array_equal(part.exit[known], whole.exit[:cut][known])


def test_a_horizon_below_one_row_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 1 row, got 0"):
        reference_prices(_panel([1, 2, 3]), 0)
