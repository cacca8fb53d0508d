"""From the targets of one row to the orders that reach them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

from tradewright import ids
from tradewright.market.instruments import Instrument
from tradewright.market.orders import STEP, Order, Side, to_units
from tradewright.market.panel import Floats, Panel
from tradewright.strategies.contract import TargetKind

ZERO = Decimal(0)


def orders_for(
    targets: Floats,
    kind: TargetKind,
    row: Panel,
    closes: Floats,
    held: Mapping[str, Decimal],
    equity: float,
    run: str,
) -> list[Order]:
    """Return the market orders that bring `held` units to the targets of a row; sells first, then by instrument.

    targets: (N,), NaN leaves a position as it is. row: a panel of one row; weights become units with
    `closes`, (N,): the last close of each instrument up to this row, NaN before its first. equity: in the account
    currency. An instrument that never had a close is left as it is. The client order id is derived from run, instrument
    and time, so the same decision never becomes two orders.
    """
    time = int(row.times[0])
    orders = []
    for instrument, target, close in zip(row.instruments, targets.tolist(), closes.tolist(), strict=True):
        if math.isnan(target) or math.isnan(close):
            continue
        wanted = target * equity / close if kind is TargetKind.WEIGHTS else target
        units = held.get(instrument.id, ZERO)
        if units == wanted:  # exact, and quicker than decimals: most rows change little
            continue
        change = _in_lots(to_units(wanted) - units, instrument)
        if change == 0 or _too_small(change, close, instrument):
            continue
        side = Side.BUY if change > 0 else Side.SELL
        name = ids.derive("co", run, instrument.id, time)
        orders.append(Order(name, instrument.id, side, abs(change), time))
    return sorted(orders, key=lambda order: (order.side is Side.BUY, order.instrument))


def _in_lots(change: Decimal, instrument: Instrument) -> Decimal:
    lot = STEP if instrument.lot is None else instrument.lot
    return (abs(change) / lot).to_integral_value(ROUND_DOWN) * lot * (1 if change > 0 else -1)


def _too_small(change: Decimal, close: float, instrument: Instrument) -> bool:
    return instrument.minimum_notional is not None and abs(change) * Decimal(repr(close)) < instrument.minimum_notional
