"""The words of an order, and the one crossing from floats to exact decimals.

Units and prices have eight decimal places, so a notional is exact in sixteen and fits the money column.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from enum import StrEnum

from tradewright.errors import InvalidInput
from tradewright.market.arrays import Action

STEP = Decimal("0.00000001")


class Side(StrEnum):
    """Which way an order goes."""

    BUY = "buy"
    SELL = "sell"


class OrderStatus(StrEnum):
    """Where an order is in its life. `UNKNOWN`: it was sent and nobody answered; only the broker can tell."""

    PENDING = "pending"  # the intent is durable, nothing was sent yet
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Order:
    """A market order to buy or sell `units` (positive). decided_time: market time of the row it was decided on, us."""

    client_order_id: str
    instrument: str
    side: Side
    units: Decimal
    decided_time: int

    def __post_init__(self) -> None:
        if self.units <= 0:
            raise InvalidInput(f"an order needs a positive number of units, got {self.units}")


@dataclass(frozen=True, slots=True)
class Fill:
    """What a broker did: `units` (positive) at `price`, `fee` in the account currency, at market time `time` (us).

    sequence: the broker's own numbering, ascending; broker_fill_id: unique at the broker.
    """

    sequence: int
    broker_fill_id: str
    client_order_id: str
    instrument: str
    side: Side
    units: Decimal
    price: Decimal
    fee: Decimal
    time: int

    @property
    def signed_units(self) -> Decimal:
        """Units with the sign of the change in position."""
        return self.units if self.side is Side.BUY else -self.units


@dataclass(frozen=True, slots=True)
class ExactAction:
    """A split or dividend of an instrument in exact decimals, as books take it. time: the first row at or after it is
    on the new terms. split: new units per old one. dividend: cash per unit held before, paid before the split."""

    instrument: str
    time: int
    split: Decimal
    dividend: Decimal

    def units_of(self, units: Decimal) -> Decimal:
        """Return what `units` become, rounded half to even to eight places."""
        with localcontext() as context:
            context.prec = 60
            return rounded_money(units * self.split)

    def cash_of(self, units: Decimal) -> Decimal:
        """Return what is paid on `units`, negative for what is sold short, rounded half to even to eight places."""
        with localcontext() as context:
            context.prec = 60
            return rounded_money(units * self.dividend)


def to_units(value: float) -> Decimal:
    """Return units as a decimal with eight places, rounded half to even. Raises InvalidInput unless finite."""
    return _rounded(value, "units")


def to_price(value: float) -> Decimal:
    """Return a price as a decimal with eight places, rounded half to even. Raises InvalidInput unless finite."""
    return _rounded(value, "price")


def to_exact(instrument: str, action: Action) -> ExactAction:
    """Return an action of a panel as books take it: the decimals are the shortest that name its floats."""
    split, dividend = (Decimal(repr(value)) for value in (action.split, action.dividend))
    return ExactAction(instrument, action.time_us, split, dividend)


def rounded_money(value: Decimal) -> Decimal:
    """Return an amount rounded half to even to eight places: fees and costs of a part."""
    with localcontext() as context:
        context.prec = 60
        return value.quantize(STEP, ROUND_HALF_EVEN)


def _rounded(value: float, what: str) -> Decimal:
    number = Decimal(repr(float(value)))
    if not number.is_finite():
        raise InvalidInput(f"{what} must be a finite number, got {value!r}")
    return rounded_money(number)
