"""The bar simulator: targets become fills at the next executable price, fills become cash, units and equity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradewright.errors import InvalidInput
from tradewright.market.instruments import Kind
from tradewright.market.panel import Floats, Panel
from tradewright.market.verdicts import Finding, Verdict
from tradewright.simulation import kernel
from tradewright.simulation.costs import Costs
from tradewright.simulation.kernel_one import run_one
from tradewright.strategies.contract import TargetKind, Targets

FILL = np.dtype(
    [
        ("row_decided", np.int64),
        ("row_filled", np.int64),
        ("column", np.int64),
        ("units", np.float64),
        ("price", np.float64),
        ("fee", np.float64),
    ]
)
"""One fill: rows of the panel, column of the panel, signed units (sales are negative), price in the instrument's
currency with spread and slippage in it, fee in account currency."""

Fills = NDArray[np.void]


@dataclass(frozen=True, eq=False)
class Simulation:
    """What trading the targets gave. T rows, N columns, account currency.

    equity: (T,) at each row's close. units_final: (N,). fills: structured array of `FILL`, in order. mean_weight: (N,)
    mean share of equity held into the next row, over the rows from start_row on. units: (T, N) units held at each
    close, only when asked for. findings: what was cut, dropped or closed.
    """

    equity: Floats
    units_final: Floats
    fills: Fills
    mean_weight: Floats
    findings: tuple[Finding, ...]
    units: Floats | None
    cash_of: Callable[[], Floats]

    @cached_property
    def cash(self) -> Floats:
        """(T,) at each row's close."""
        return self.cash_of()


def _cash_of_fills(rows: int, opening: float, fills: Fills, scale: float) -> Floats:
    spent = fills["units"] * (fills["price"] * scale) + fills["fee"]
    after = np.subtract.accumulate(np.concatenate([[opening], spent]))
    return np.repeat(after, np.diff(np.concatenate([[0], fills["row_filled"], [rows]])))


def simulate(
    panel: Panel,
    targets: Targets,
    *,
    cash: float,
    costs: Costs,
    leverage: float = 1.0,
    lots: str = "ignore",
    start_row: int = 0,
    record_units: bool = False,
) -> Simulation:
    """Return what trading `targets` over the bars of `panel` gives.

    A target decided on row t is filled at the open of the next row where the instrument is present and tradable (at its
    close when the panel is close_only); it waits until then, and a newer target replaces it. Weights become units with
    equity and close of the decision row (the last close where it has none). Orders of one row are filled sells first,
    else in column order. Splits multiply units and waiting unit targets, dividends go to cash, on the first bar at or
    after their date. What is held in a delisted instrument is closed at its last close on the first row after its
    delisting date. Rows before start_row are flat.
    leverage: 1.0 is a cash account: a buy is cut to what cash pays with the fee, a negative target is cut to flat, each
    with a finding. Above 1.0 shorts are allowed, and an order that raises exposure is cut so that gross exposure after
    it stays within leverage times equity. lots: "ignore", or "instrument" to round orders down to the instrument's lot
    and drop those below its smallest notional.
    Raises InvalidInput for targets that do not fit, an infinite target, a target in an instrument that is never traded,
    or a per-unit fee on adjusted prices.
    """
    _check(panel, targets, cash, costs, leverage, lots, start_row)
    rows, n = panel.shape
    equity, held = np.empty(rows), np.empty((rows if record_units else 0, n))
    price = panel.close if panel.close_only else panel.open
    weights, columns, scale, settle = (
        targets.kind is TargetKind.WEIGHTS,
        costs.columns(n),
        _scale(panel),
        _settle(panel),
    )
    plain = n == 1 and leverage == 1 and lots == "ignore" and not panel.actions and len(scale) == 1 and not record_units
    if plain and settle[0] < 0:
        raw, final, counts, first = run_one(
            price[:, 0],
            panel.close[:, 0],
            panel.present[:, 0],
            panel.tradable[:, 0],
            targets.values[:, 0],
            weights,
            float(cash),
            columns[:, 0],
            float(scale[0, 0]),
            start_row,
            equity,
            bool(panel.present[:, 0].all()),
        )
    else:
        money = np.empty(rows)
        lot, smallest = _order_rules(panel, lots)
        row, column, split, dividend = _actions(panel)
        raw, final, counts, first = kernel.run(
            price,
            panel.close,
            panel.present,
            panel.tradable,
            targets.values,
            weights,
            float(cash),
            columns,
            float(leverage),
            lot,
            smallest,
            scale,
            start_row,
            row,
            column,
            split,
            dividend,
            settle,
            equity,
            money,
            held,
        )
    if counts[kernel.BAD].any():
        row = int(first[kernel.BAD].max())
        raise InvalidInput(
            f"the target of row {row} is infinite; targets are numbers, NaN to leave a position as it is"
        )
    findings, fills = _findings(panel, counts, first), raw.view(FILL)[:, 0]
    if plain and settle[0] < 0:
        cash_of = partial(_cash_of_fills, rows, float(cash), fills, float(scale[0, 0]))
    else:
        cash_of = partial(np.asarray, money)
    return Simulation(equity, final[0], fills, final[1], findings, held if record_units else None, cash_of)


def _check(
    panel: Panel, targets: Targets, cash: float, costs: Costs, leverage: float, lots: str, start_row: int
) -> None:
    if targets.values.shape != panel.shape:
        raise InvalidInput(f"targets have shape {targets.values.shape} and the panel has {panel.shape}")
    if not len(panel):
        raise InvalidInput("the panel has no rows; check instruments, start and end")
    if not (np.isfinite(cash) and cash > 0):
        raise InvalidInput(f"cash must be a finite number above 0, got {cash!r}")
    if not (np.isfinite(leverage) and leverage >= 1):
        raise InvalidInput(f"leverage must be 1 (a cash account) or above, got {leverage!r}")
    if lots not in ("ignore", "instrument"):
        raise InvalidInput(f"lots must be 'ignore' or 'instrument', got {lots!r}")
    if not 0 <= start_row < len(panel):
        raise InvalidInput(f"start_row must lie between 0 and {len(panel) - 1}, got {start_row}")
    if panel.pre_adjusted and float(np.max(costs.fee_per_unit)) > 0:
        raise InvalidInput("fee_per_unit needs raw prices, and this source has only adjusted ones; use fee_rate")
    for column, instrument in enumerate(panel.instruments):
        if instrument.kind in (Kind.INDEX, Kind.MACRO):
            values = targets.values[:, column]
            if bool(np.any(np.isfinite(values) & (values != 0))):
                raise InvalidInput(
                    f"{instrument.id} is never traded: it is a number, not a thing one can buy; use a fund or a future "
                    "that follows it",
                    instrument=instrument.id,
                )


def _order_rules(panel: Panel, lots: str) -> tuple[Floats, Floats]:
    if lots == "ignore":
        return np.zeros(panel.shape[1]), np.zeros(panel.shape[1])
    lot = [0.0 if i.lot is None else float(i.lot) for i in panel.instruments]
    smallest = [0.0 if i.minimum_notional is None else float(i.minimum_notional) for i in panel.instruments]
    return np.array(lot), np.array(smallest)


def _scale(panel: Panel) -> Floats:
    multiplier = np.array([[float(i.multiplier) for i in panel.instruments]])
    if panel.fx is None:
        return multiplier
    place = np.maximum.accumulate(np.where(np.isfinite(panel.fx), np.arange(len(panel))[:, None], 0), axis=0)
    known = np.take_along_axis(panel.fx, place, axis=0)
    return np.ascontiguousarray(known * multiplier)


def _actions(panel: Panel) -> tuple[Any, Any, Floats, Floats]:
    found = []
    for action in panel.actions:
        present = np.flatnonzero(panel.present[:, action.instrument])
        at = int(np.searchsorted(panel.times[present], action.time_us))
        if at < len(present):
            found.append((int(present[at]), action.time_us, action.instrument, action.split, action.dividend))
    found.sort()
    columns = list(zip(*found, strict=True)) if found else [(), (), (), (), ()]
    whole, real = np.int64, np.float64
    return (
        np.array(columns[0], whole),
        np.array(columns[2], whole),
        np.array(columns[3], real),
        np.array(columns[4], real),
    )


def _settle(panel: Panel) -> NDArray[np.int64]:
    rows = np.full(panel.shape[1], -1, np.int64)
    for column, instrument in enumerate(panel.instruments):
        if instrument.delisted_us is None:
            continue
        present = np.flatnonzero(panel.present[:, column])
        after = int(np.searchsorted(panel.times, instrument.delisted_us))
        row = max(after, int(present[-1]) + 1 if len(present) else 0)
        rows[column] = row if row < len(panel) else -1
    return rows


_WORDS = {
    kernel.CUT: ("simulation.buy_cut", "orders were cut to what the account can pay or carry"),
    kernel.SHORT: (
        "simulation.short_cut",
        "targets below zero were cut to flat; leverage above 1 allows short selling",
    ),
    kernel.NO_PRICE: ("simulation.no_price", "weights were dropped: the instrument has had no price yet"),
    kernel.SMALL: ("simulation.order_dropped", "orders were below one lot, the smallest notional or what cash pays"),
    kernel.DELISTED: ("simulation.delisted", "position closed at the last price before the delisting"),
    kernel.BROKE: ("simulation.no_equity", "weights were dropped: equity is zero or below"),
}


def _findings(panel: Panel, counts: kernel.Counts, first: kernel.Counts) -> tuple[Finding, ...]:
    findings = []
    for event, (code, words) in _WORDS.items():
        for column in np.flatnonzero(counts[event]):
            row = int(panel.times[first[event, column]])
            detail = f"{words} ({int(counts[event, column])} times)"
            identity = panel.instruments[column].id
            findings.append(Finding(code, Verdict.USABLE, detail, identity, int(counts[event, column]), (row,)))
    return tuple(findings)
