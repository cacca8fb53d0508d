"""How a portfolio has done: hand-computed, and what must hold always."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewright.clock import DAY_US
from tradewright.market.orders import Fill, Side
from tradewright.trading import ledger
from tradewright.trading.performance import MIN_DAYS, Worth, figures, instruments_of, thinned, worth

NAME, HOUR = "crypto:A-USD", DAY_US // 24


def lines_of(time: int, postings: list[ledger.Posting]) -> list[dict[str, Any]]:
    return [
        {"time": time, "account": each.account, "currency": each.currency, "amount": each.amount} for each in postings
    ]


def bought(time: int, units: str, price: str, fee: str) -> list[dict[str, Any]]:
    fill = Fill(1, "f", "c", NAME, Side.BUY, Decimal(units), Decimal(price), Decimal(fee), time)
    return lines_of(time, ledger.apply_fill(ledger.Position(NAME), fill, "USD")[1])


def closes(*values: float) -> dict[str, Any]:
    return {NAME: (np.arange(len(values), dtype=np.int64) * HOUR, np.array(values))}


def test_the_worth_is_cash_and_units_at_the_last_close() -> None:
    lines = lines_of(0, ledger.deposit("USD", Decimal(1_000))) + bought(HOUR, "2", "100", "1")
    path = worth(lines, "USD", 0, closes(90, 110, np.nan, 120))
    assert instruments_of(lines) == [NAME]
    assert path.times.tolist() == [0, HOUR, 2 * HOUR, 3 * HOUR]
    assert path.equity.tolist() == [1_000, 799 + 220, 799 + 220, 799 + 240]
    assert path.paid.tolist() == [1_000, 0, 0, 0]
    told = figures(path)
    assert told.total_return == pytest.approx(0.039)
    assert told.maximum_drawdown == 0.0
    assert (told.annual_volatility, told.annual_sharpe_ratio, told.days) == (None, None, 0)


def test_money_that_is_paid_in_is_no_gain() -> None:
    lines = lines_of(0, ledger.deposit("USD", Decimal(100))) + bought(0, "1", "100", "0")
    lines += lines_of(2 * HOUR, ledger.deposit("USD", Decimal(50)))
    path = worth(lines, "USD", 0, closes(100, 80, 80, 88))
    assert path.equity.tolist() == [100, 80, 130, 138]
    told = figures(path)
    assert told.total_return == pytest.approx(0.8 * 138 / 130 - 1)
    assert told.maximum_drawdown == pytest.approx(0.2)


def test_moments_without_a_price_are_left_out() -> None:
    lines = lines_of(0, ledger.deposit("USD", Decimal(100))) + bought(HOUR, "1", "50", "0")
    path = worth(lines, "USD", 0, closes(np.nan, np.nan, 60))
    assert path.times.tolist() == [0, 2 * HOUR]
    assert path.equity.tolist() == [100, 110]
    assert worth(lines, "USD", 0, {}).times.tolist() == [0], "held, and nobody knows its price"


def test_a_portfolio_without_a_line_is_worth_nothing_when_it_was_made() -> None:
    path = worth([], "USD", 7, {})
    assert (path.times.tolist(), path.equity.tolist()) == ([7], [0.0])
    assert figures(path).total_return == 0.0


def test_annual_figures_are_of_daily_returns() -> None:
    returns = np.tile([0.01, -0.005], 15)
    equity = 100 * np.cumprod(np.concatenate([[1.0], 1 + returns]))
    times = np.arange(len(equity)) * DAY_US
    told = figures(Worth(times, equity, np.zeros(len(equity))))
    assert told.days == 30 >= MIN_DAYS
    deviation = np.std(returns, ddof=1)
    assert told.annual_volatility == pytest.approx(deviation * np.sqrt(365.25))
    assert told.annual_sharpe_ratio == pytest.approx(np.mean(returns) / deviation * np.sqrt(365.25))
    assert told.maximum_drawdown == pytest.approx(0.005)
    flat = figures(Worth(times, np.full(len(equity), 5.0), np.zeros(len(equity))))
    assert (flat.annual_volatility, flat.annual_sharpe_ratio) == (0.0, None)


@given(st.integers(1, 3_000), st.integers(2, 1_000))
def test_a_thinned_path_keeps_its_ends(count: int, points: int) -> None:
    path = Worth(np.arange(count), np.arange(count, dtype=float), np.zeros(count))
    kept = [time for time, _ in thinned(path, points)]
    assert kept == sorted(set(kept))
    assert len(kept) <= points
    assert (kept[0], kept[-1]) == (0, count - 1)
