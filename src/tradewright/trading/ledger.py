"""Double entry in exact decimals: what a fill, a split or a dividend does to a portfolio. Pure.

A transaction is a list of postings; for every currency, units of an instrument being a currency of their own, they sum
to zero. Positions are carried at average cost. A portfolio is the fold of its postings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

from tradewright.market.orders import ExactAction, Fill, rounded_money

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Posting:
    """`amount` of `currency` onto `account`; the postings of one transaction share its id."""

    account: str
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Position:
    """Signed units and what they cost (signed alike), average cost method."""

    instrument: str
    units: Decimal = ZERO
    cost: Decimal = ZERO


def deposit(currency: str, amount: Decimal) -> list[Posting]:
    """Return the postings of money paid in."""
    return [Posting("assets:cash", currency, amount), Posting("equity:deposits", currency, -amount)]


def apply_fill(position: Position, fill: Fill, currency: str) -> tuple[Position, list[Posting]]:
    """Return the position after the fill and the postings that say so.

    A fill that turns a position round closes the old one first and opens the new one at the fill's price.
    """
    signed = fill.signed_units
    with localcontext() as context:
        context.prec = 60
        notional = signed * fill.price
        closing = _closing(position.units, signed)
        removed = ZERO
        if closing:
            whole = closing == -position.units
            removed = position.cost if whole else rounded_money(position.cost * -closing / position.units)
        realized = -(closing * fill.price) - removed
        added = (signed - closing) * fill.price
        after = Position(position.instrument, position.units + signed, position.cost - removed + added)
        held = f"assets:positions:{fill.instrument}"
        postings = [
            Posting("assets:cash", currency, -notional - fill.fee),
            Posting(held, currency, added - removed),
            Posting("expenses:fees", currency, fill.fee),
            Posting("income:realized", currency, -realized),
            Posting(held, fill.instrument, signed),
            Posting("market", fill.instrument, -signed),
        ]
    return after, [p for p in postings if p.amount]


def apply_action(position: Position, action: ExactAction, currency: str) -> tuple[Position, list[Posting]]:
    """Return the position after the dividend and the split of an action, and the postings that say so; none when
    nothing is held.

    What the units cost stays; where rounding leaves none, it is realized.
    """
    units, paid = action.units_of(position.units), action.cash_of(position.units)
    cost = position.cost if units else ZERO
    held = f"assets:positions:{position.instrument}"
    postings = [
        Posting("assets:cash", currency, paid),
        Posting("income:dividends", currency, -paid),
        Posting(held, currency, cost - position.cost),
        Posting("income:realized", currency, position.cost - cost),
        Posting(held, position.instrument, units - position.units),
        Posting("market", position.instrument, position.units - units),
    ]
    return Position(position.instrument, units, cost), [p for p in postings if p.amount]


def _closing(held: Decimal, signed: Decimal) -> Decimal:
    if held == 0 or (held > 0) == (signed > 0):
        return ZERO
    return signed if abs(signed) <= abs(held) else -held


@dataclass(frozen=True, slots=True)
class Balances:
    """What a portfolio holds."""

    cash: Decimal
    units: dict[str, Decimal]
    cost: dict[str, Decimal]
    fees: Decimal
    realized: Decimal
    dividends: Decimal


def fold(postings: Iterable[Posting], currency: str) -> Balances:
    """Return the balances that these postings add up to."""
    totals: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    with localcontext() as context:
        context.prec = 60
        for posting in postings:
            totals[posting.account, posting.currency] += posting.amount
    return balances_of(totals, currency)


def balances_of(totals: Mapping[tuple[str, str], Decimal], currency: str) -> Balances:
    """Return the balances when these are the sums of the postings by account and currency."""
    units: dict[str, Decimal] = {}
    cost: dict[str, Decimal] = {}
    for (account, unit), amount in totals.items():
        if account.startswith("assets:positions:") and amount:
            (cost if unit == currency else units)[account.removeprefix("assets:positions:")] = amount
    return Balances(
        cash=totals.get(("assets:cash", currency), ZERO),
        units=units,
        cost=cost,
        fees=totals.get(("expenses:fees", currency), ZERO),
        realized=-totals.get(("income:realized", currency), ZERO),
        dividends=-totals.get(("income:dividends", currency), ZERO),
    )
