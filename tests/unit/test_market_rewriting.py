"""Bars that come again with other values are told: how many, when, and by how much at most."""

from __future__ import annotations

import polars as pl
import pytest

from tradewright.clock import DAY_US, parse_us
from tradewright.market.frames import SCHEMA
from tradewright.market.rewriting import rewriting_findings
from tradewright.market.verdicts import Verdict

START = parse_us("2024-01-02")
FIRST, AGAIN = parse_us("2024-03-01"), parse_us("2024-03-08")


def rows(*values: tuple[int, int, float | None, float, float], observed: int = FIRST) -> pl.DataFrame:
    """values: day, days of delay, open, close, volume."""
    made = [
        {
            "source": "s", "instrument": "crypto:BTC-USD", "interval": "1d", "time": START + day * DAY_US,
            "known_at": START + day * DAY_US, "observed_at": observed + later * DAY_US, "open": first, "high": 20.0,
            "low": 1.0, "close": close, "volume": volume,
        }
        for day, later, first, close, volume in values
    ]  # fmt: skip
    return pl.DataFrame(made, schema=SCHEMA)


def history(count: int = 40) -> pl.DataFrame:
    return rows(*((day, 0, 10.0, 10.0, 0.0 if day == 4 else 5.0) for day in range(count)))


def test_a_series_that_came_once_says_nothing() -> None:
    assert rewriting_findings(history(), "crypto:BTC-USD", pre_adjusted=False) == []
    twice = pl.concat([history(), history().with_columns(pl.col("observed_at") + DAY_US)])
    assert rewriting_findings(twice, "crypto:BTC-USD", pre_adjusted=False) == []


def test_the_same_trades_added_in_another_order_are_no_other_volume() -> None:
    twice = pl.concat([history(), rows((3, 1, 10.0, 10.0, 5.0 + 1e-14))])
    assert rewriting_findings(twice, "crypto:BTC-USD", pre_adjusted=False) == []


def test_what_was_rewritten_is_told_with_its_number_its_time_and_the_largest_move() -> None:
    again = rows((3, 0, 10.0, 10.1, 5.0), (7, 2, 10.0, 9.0, 5.0), (7, 3, 10.0, 9.5, 5.0), observed=AGAIN)
    (found,) = rewriting_findings(pl.concat([history(), again]), "crypto:BTC-USD", pre_adjusted=False)
    assert (found.code, found.severity, found.count) == ("rewritten_rows", Verdict.USABLE, 2)
    assert found.rows == (START + 3 * DAY_US, START + 7 * DAY_US)
    assert found.detail == (
        "2 of 40 bars came again with other values, between 2024-03-08T00:00:00Z and 2024-03-11T00:00:00Z; most: the "
        "close of 2024-01-09T00:00:00Z went from 10 to 9, -10.000%"
    )


@pytest.mark.parametrize(
    ("again", "says"),
    [
        (
            rows((3, 0, 10.0, 10.0, 6.0), observed=AGAIN),
            "most: the volume of 2024-01-05T00:00:00Z went from 5 to 6, +20",
        ),
        (
            rows((3, 0, None, 10.0, 5.0), observed=AGAIN),
            "first: the open of 2024-01-05T00:00:00Z went from 10 to missing",
        ),
        (rows((4, 0, 10.0, 10.0, 3.0), observed=AGAIN), "first: the volume of 2024-01-06T00:00:00Z went from 0 to 3"),
    ],
)
def test_a_change_that_moves_no_price_is_told_as_what_it_is(again: pl.DataFrame, says: str) -> None:
    (found,) = rewriting_findings(pl.concat([history(), again]), "crypto:BTC-USD", pre_adjusted=False)
    assert found.severity is Verdict.USABLE
    assert "1 of 40 bars came again with other values, on 2024-03-08T00:00:00Z; " in found.detail
    assert says in found.detail


def test_raw_closes_that_move_in_many_bars_are_suspect_and_adjusted_ones_are_not() -> None:
    again = rows(*((day, 0, 10.0, 5.0, 5.0) for day in range(3)), observed=AGAIN)
    stored = pl.concat([history(), again])
    for pre_adjusted, severity in ((False, Verdict.SUSPECT), (True, Verdict.USABLE)):
        (found,) = rewriting_findings(stored, "crypto:BTC-USD", pre_adjusted=pre_adjusted)
        assert found.severity is severity
    slightly = again.with_columns(close=pl.lit(10.0 * 1.001))
    (found,) = rewriting_findings(pl.concat([history(), slightly]), "crypto:BTC-USD", pre_adjusted=False)
    assert found.severity is Verdict.USABLE
