"""Adjusted prices: by hand, against real factors, and only by what was known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tradewright.errors import InvalidInput, UnknownName
from tradewright.market.adjustment import adjusted
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Action, Panel

DAY = 86_400_000_000


def _panel(*actions: Action) -> Panel:
    close = np.array([[100.0], [102.0], [26.0], [26.5]])
    return Panel.of(
        np.arange(4, dtype=np.int64) * DAY, (Instrument("equity:XYZ"),), Interval.DAY, close, close, close, close,
        np.full((4, 1), 10.0), actions=actions,
    )  # fmt: skip


def test_a_split_divides_what_came_before_it_and_multiplies_the_volume() -> None:
    panel = adjusted(_panel(Action(0, 2 * DAY, 0, split=4.0)), "split")
    assert panel.close[:, 0].tolist() == [25.0, 25.5, 26.0, 26.5]
    assert panel.volume[:, 0].tolist() == [40.0, 40.0, 10.0, 10.0]
    assert panel.pre_adjusted
    assert panel.actions == ()


def test_a_dividend_scales_what_came_before_it_by_the_close_before() -> None:
    panel = _panel(Action(0, 2 * DAY, 0, split=4.0, dividend=5.1))
    assert adjusted(panel, "split").close[1, 0] == 25.5
    assert adjusted(panel, "all").close[:, 0] == pytest.approx([25.0 * 0.95, 25.5 * 0.95, 26.0, 26.5])
    assert adjusted(panel, "raw") is panel


def test_an_action_that_was_not_known_yet_changes_nothing() -> None:
    panel = _panel(Action(0, 2 * DAY, 5 * DAY, split=4.0))
    assert adjusted(panel, "all", as_of_us=4 * DAY).close[0, 0] == 100.0
    assert adjusted(panel, "all", as_of_us=5 * DAY).close[0, 0] == 25.0


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean split"):
        adjusted(_panel(), "splits")
    with pytest.raises(InvalidInput, match="not below the close"):
        adjusted(_panel(Action(0, 2 * DAY, 0, dividend=500.0)), "all")


def test_twenty_years_of_real_splits_and_dividends_give_the_published_factors(shared: Path) -> None:
    folder = shared / "data" / "us_equities_unadjusted"
    apple = Instrument("equity:AAPL", calendar="XNYS")
    panel = Panel.from_frame(pl.read_parquet(folder / "AAPL_1d.parquet"), instrument=apple, interval="1d")
    published = pl.read_parquet(folder / "corporate_actions" / "AAPL_factors.parquet").sort("timestamp")
    days = panel.times // DAY  # every session of New York closes on the same day in UTC
    last_days = published["timestamp"].dt.epoch("us").to_numpy() // DAY
    factor = (published["price_factor"] * published["split_factor"]).to_numpy()
    actions = []
    for row, (now, following) in enumerate(
        zip(published[:-1].rows(named=True), published[1:].rows(named=True), strict=True)
    ):
        first = int(np.searchsorted(days, last_days[row], side="right"))
        if not 0 < first < len(days):
            continue
        before = panel.close[first - 1, 0]
        dividend = before * (1.0 - now["price_factor"] / following["price_factor"])
        split = following["split_factor"] / now["split_factor"]
        when = int(panel.times[first])
        actions.append(Action(0, when, when, split=split, dividend=max(dividend, 0.0)))
    ours = adjusted(replace(panel, actions=tuple(actions)), "all").close[:, 0]
    theirs = panel.close[:, 0] * factor[np.minimum(np.searchsorted(last_days, days), len(factor) - 1)]
    inside = days <= last_days[-1]
    assert inside.sum() > 5_000
    ratio = ours[inside] / theirs[inside]
    assert ratio == pytest.approx(np.full(int(inside.sum()), ratio[-1]), rel=1e-9)
    raw_moves = np.abs(np.diff(np.log(panel.close[:, 0])))
    assert raw_moves.max() > 1.9, "seven for one"
    assert np.abs(np.diff(np.log(ours))).max() < 0.8
