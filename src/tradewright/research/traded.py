"""What a simulation traded and held, in figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tradewright.evaluation.baselines import Held
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


def decisions(simulation: Simulation) -> int:
    """Return the number of distinct rows on which a filled target was decided."""
    rows = simulation.fills["row_decided"]
    steps = np.diff(rows)
    return int(np.count_nonzero(steps)) + 1 if len(rows) and bool((steps >= 0).all()) else len(np.unique(rows))


def _multiplier(panel: Panel) -> Floats:
    return np.array([float(i.multiplier) for i in panel.instruments])


def growth(panel: Panel) -> Floats:
    """Return the factor by which actions multiply a row's return, (T, N), or (0, N) when there are none."""
    if not panel.actions:
        return np.empty((0, panel.shape[1]))
    dated = replace(panel, actions=tuple(replace(a, known_at_us=a.time_us) for a in panel.actions))
    return growth_steps(dated, np.full(panel.shape[1], NEVER, np.int64))[0]


def held(panel: Panel, units: Floats, equity: Floats, start: int) -> Held:
    """Return what was held and what it earned in the rows after `start`.

    units: (T, N) held at each close. Returns have actions in them and are 0 where a column has no bar.
    """
    close = np.where(panel.present, panel.close, np.nan)
    place = np.maximum.accumulate(np.where(np.isfinite(close), np.arange(len(close))[:, None], 0), axis=0)
    filled = np.take_along_axis(close, place, axis=0)
    steps = growth(panel)
    scale = _multiplier(panel) * (1.0 if panel.fx is None else panel.fx)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(units != 0, units * filled * scale, 0.0)
        weights = np.where(equity[:, None] > 0, value / equity[:, None], 0.0)
        whole = filled[1:] / filled[:-1] * (steps[1:] if len(steps) else 1.0)
        within = np.ones_like(whole) if panel.close_only else filled[1:] / panel.open[1:]
    within = np.where(np.isfinite(within) & panel.present[1:], within, 1.0)
    overnight = np.where(np.isfinite(whole), whole / within, 1.0) - 1.0
    return Held(weights[start:-1], weights[start + 1 :], overnight[start:], within[start:] - 1.0)
