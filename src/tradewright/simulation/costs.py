"""What trading costs: fees, spread and slippage, per instrument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from tradewright.errors import InvalidInput
from tradewright.market.instruments import Instrument, Kind
from tradewright.market.panel import Floats

Cost = float | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Costs:
    """What each fill costs; a field left out is 0. One number for all columns, or a tuple with one per column.

    fee_rate: share of the notional. fee_per_unit: account currency per unit. minimum_fee: account currency per fill,
    the fee is never below it. half_spread, slippage: shares of the price; a buy pays price * (1 + half_spread +
    slippage), a sale gets price * (1 - half_spread - slippage). Raises InvalidInput for a number that is negative or
    not finite, or when half_spread + slippage reaches 1.
    """

    fee_rate: Cost = 0.0
    fee_per_unit: Cost = 0.0
    minimum_fee: Cost = 0.0
    half_spread: Cost = 0.0
    slippage: Cost = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = np.atleast_1d(np.asarray(getattr(self, field.name), np.float64))
            if value.ndim != 1 or not bool(np.all(np.isfinite(value) & (value >= 0))):
                raise InvalidInput(f"costs: {field.name} must be 0 or a finite number above, got {value.tolist()}")
        if float(np.max(self.half_spread)) + float(np.max(self.slippage)) >= 1:
            raise InvalidInput("costs: half_spread + slippage must stay below 1 (they are shares of the price)")

    @property
    def free(self) -> bool:
        """Every field is 0."""
        return all(float(np.max(getattr(self, f.name))) == 0 for f in fields(self))

    def scaled(self, factor: float) -> Costs:
        """Return these costs times `factor`, which is 0 or a finite number above."""
        if not (np.isfinite(factor) and factor >= 0):
            raise InvalidInput(f"costs can be scaled by 0 or a finite number above, got {factor!r}")
        scaled = {f.name: _times(getattr(self, f.name), factor) for f in fields(self)}
        return replace(self, **scaled)

    def columns(self, n: int) -> Floats:
        """Return (4, n) float64: fee_rate, fee_per_unit, minimum_fee, half_spread + slippage of each column.

        Raises InvalidInput when a field has another number of columns.
        """
        rows = [_spread(getattr(self, f.name), f.name, n) for f in fields(self)]
        return np.array([*rows[:3], rows[3] + rows[4]])


def _times(value: Cost, factor: float) -> Cost:
    return tuple(v * factor for v in value) if isinstance(value, tuple) else value * factor


def _spread(value: Cost, name: str, n: int) -> Floats:
    array = np.atleast_1d(np.asarray(value, np.float64))
    if len(array) not in (1, n):
        raise InvalidInput(f"costs: {name} has {len(array)} values and the panel {n} columns; give one number or {n}")
    return np.broadcast_to(array, (n,)).astype(np.float64)


DEFAULTS: Mapping[Kind, Costs] = {
    Kind.EQUITY: Costs(fee_rate=0.0001, half_spread=0.0002, slippage=0.0002),
    Kind.CRYPTO: Costs(fee_rate=0.001, half_spread=0.0001, slippage=0.0002),
    Kind.FX: Costs(fee_rate=0.00002, half_spread=0.00006, slippage=0.00004),
}
"""Costs of a side by class, never 0: a large share at a low-cost broker 5 basis points, a spot taker order on a large
crypto exchange 13, a major currency pair 1.2. They are judgements for liquid names and small orders: hand in your
own."""


def default_costs(instruments: Sequence[Instrument]) -> Costs:
    """Return `DEFAULTS` of each instrument's class, one value per column.

    What is never traded (index, macro) has the costs of a share, so that a mistake is not free.
    """
    chosen = [DEFAULTS.get(i.kind, DEFAULTS[Kind.EQUITY]) for i in instruments]
    per_column = {f.name: tuple(float(np.max(getattr(c, f.name))) for c in chosen) for f in fields(Costs)}
    return Costs(**per_column)
