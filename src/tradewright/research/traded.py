"""What a simulation traded and held, in figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tradewright.evaluation.figures import Trading
from tradewright.market.panel import Floats, Panel
from tradewright.simulation.bars import Simulation
from tradewright.strategies.growth import NEVER, growth_steps


def traded_notional(panel: Panel, simulation: Simulation) -> float:
    """Return the sum over fills of units times price in account currency."""
    fills = simulation.fills
    value = np.abs(fills["units"]) * fills["price"] * _multiplier(panel)[fills["column"]]
    if panel.fx is not None:
        value = value * panel.fx[fills["row_filled"], fills["column"]]
    return float(np.nansum(value))


def trading(panel: Panel, simulation: Simulation) -> Trading:
    """Return notional, fees, mean gross share of equity held and number of fills."""
    fills = simulation.fills
    exposure = float(np.sum(np.abs(simulation.mean_weight)))
    return Trading(traded_notional(panel, simulation), float(np.sum(fills["fee"])), exposure, len(fills))


def _multiplier(panel: Panel) -> Floats:
    return np.array([float(i.multiplier) for i in panel.instruments])


def growth(panel: Panel) -> Floats:
    """Return the factor by which actions multiply a row's return, (T, N), or (0, N) when there are none."""
    if not panel.actions:
        return np.empty((0, panel.shape[1]))
    dated = replace(panel, actions=tuple(replace(a, known_at_us=a.time_us) for a in panel.actions))
    return growth_steps(dated, np.full(panel.shape[1], NEVER, np.int64))[0]


def asset_returns(panel: Panel, units: Floats | None, equity: Floats, start: int) -> tuple[Floats, Floats]:
    """Return (weights held into each row, returns of each column in that row) for the rows after `start`.

    Both (T - 1 - start, N). units: (T, N) held at each close. Returns run from close to close, with actions, 0 where a
    column has no bar.
    """
    if units is None:
        raise AssertionError("units were not recorded")
    close = np.where(panel.present, panel.close, np.nan)
    place = np.maximum.accumulate(np.where(np.isfinite(close), np.arange(len(close))[:, None], 0), axis=0)
    filled = np.take_along_axis(close, place, axis=0)
    steps = growth(panel)
    ratio = filled[1:] / filled[:-1] * (steps[1:] if len(steps) else 1.0)
    moves = np.where(np.isfinite(ratio), ratio - 1.0, 0.0)
    scale = _multiplier(panel) * (1.0 if panel.fx is None else panel.fx)
    value = np.where(units != 0, units * filled * scale, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(equity[:, None] > 0, value / equity[:, None], 0.0)
    return weights[start:-1], moves[start:]
