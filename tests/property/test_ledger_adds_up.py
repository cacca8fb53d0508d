"""The ledger, whatever the fills, splits and dividends."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tradewright.market.orders import ExactAction, Fill, Side
from tradewright.trading.ledger import Balances, Position, Posting, apply_action, apply_fill, deposit, fold

UNITS = st.decimals("0.00000001", "100000", places=8)
PRICES = st.decimals("0.00000001", "100000", places=8)
FEES = st.decimals("0", "1000", places=8)
FILLS = st.lists(st.tuples(st.sampled_from(Side), UNITS, PRICES, FEES), max_size=30)
SPLITS = st.sampled_from([Decimal(text) for text in ("1", "7.0", "1.5", "0.1", "0.14285714285714285")])
DIVIDENDS = st.decimals("0", "20", places=4)
ACTIONS = st.builds(ExactAction, st.just("equity:A"), st.just(0), SPLITS, DIVIDENDS)
CASH = Decimal(1_000_000)


def _trade(fills: list[tuple[Side, Decimal, Decimal, Decimal]]) -> tuple[Position, list[Posting], Balances]:
    position, postings = Position("equity:A"), deposit("USD", CASH)
    for number, (side, units, price, fee) in enumerate(fills):
        fill = Fill(number, str(number), str(number), "equity:A", side, units, price, fee, number)
        position, added = apply_fill(position, fill, "USD")
        for currency in {p.currency for p in added}:
            assert sum(p.amount for p in added if p.currency == currency) == 0
        postings += added
    return position, postings, fold(postings, "USD")


@given(FILLS)
def test_every_transaction_sums_to_zero_and_the_fold_is_the_position(
    fills: list[tuple[Side, Decimal, Decimal, Decimal]],
) -> None:
    position, _, balances = _trade(fills)
    assert balances.units.get("equity:A", Decimal(0)) == position.units
    assert balances.cost.get("equity:A", Decimal(0)) == position.cost


@given(FILLS)
def test_cash_moves_by_notional_and_fees_to_the_last_digit(
    fills: list[tuple[Side, Decimal, Decimal, Decimal]],
) -> None:
    _, _, balances = _trade(fills)
    expected = CASH
    for side, units, price, fee in fills:
        expected += (-units if side is Side.BUY else units) * price - fee
    assert balances.cash == expected
    assert balances.fees == sum((fee for *_, fee in fills), Decimal(0))


@given(FILLS)
def test_what_was_gained_is_cash_plus_cost_minus_what_was_paid_in(
    fills: list[tuple[Side, Decimal, Decimal, Decimal]],
) -> None:
    _, _, balances = _trade(fills)
    held = sum(balances.cost.values(), Decimal(0))
    assert balances.cash + held == CASH + balances.realized - balances.fees


@given(FILLS)
def test_a_flat_position_costs_nothing(fills: list[tuple[Side, Decimal, Decimal, Decimal]]) -> None:
    position, _, _ = _trade(fills)
    if position.units:
        side = Side.SELL if position.units > 0 else Side.BUY
        fill = Fill(99, "99", "99", "equity:A", side, abs(position.units), Decimal(3), Decimal(0), 99)
        position, _ = apply_fill(position, fill, "USD")
    assert (position.units, position.cost) == (0, 0)


@given(FILLS, ACTIONS, FILLS)
def test_an_action_sums_to_zero_and_keeps_what_the_units_cost(
    before: list[tuple[Side, Decimal, Decimal, Decimal]],
    action: ExactAction,
    after: list[tuple[Side, Decimal, Decimal, Decimal]],
) -> None:
    position, postings, _ = _trade(before)
    changed, added = apply_action(position, action, "USD")
    for currency in {p.currency for p in added}:
        assert sum(p.amount for p in added if p.currency == currency) == 0
    assert changed.units == action.units_of(position.units)
    assert changed.cost == (position.cost if changed.units else 0)
    postings += added
    for number, (side, units, price, fee) in enumerate(after):
        fill = Fill(number, f"b{number}", f"b{number}", "equity:A", side, units, price, fee, number)
        changed, more = apply_fill(changed, fill, "USD")
        postings += more
    balances = fold(postings, "USD")
    assert balances.units.get("equity:A", Decimal(0)) == changed.units
    held = sum(balances.cost.values(), Decimal(0))
    assert balances.cash + held == CASH + balances.realized + balances.dividends - balances.fees
