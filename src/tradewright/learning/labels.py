"""The label: what a decision earned over `horizon` rows, in units of the volatility known when it was made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tradewright.features.bars import State
from tradewright.features.sets import FeatureSet
from tradewright.market.panel import Floats, Panel
from tradewright.market.reference import Rows, reference_prices

VOLATILITY = FeatureSet(("ewma_volatility_40",))
"""The feature that scales labels and expected returns, so that training and live use one number."""


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """y = (exit / entry - 1) / sigma for a decision on every row, all (T, N).

    sigma: EWMA volatility per bar at the decision row times the root of the horizon. end_row: the last row the label
    reads, so that the label occupies the closed interval [t, end_row], at least [t, t + 1 + horizon]; -1 where the
    label is not known. y is NaN where it, or sigma, is not known.
    """

    y: Floats
    sigma: Floats
    end_row: Rows
    horizon: int


def horizon_sigma(volatility: Floats, horizon: int) -> Floats:
    """Return the volatility of a return over `horizon` bars, given that of one bar."""
    return np.asarray(volatility * np.sqrt(float(horizon)))


def start_volatility(panel: Panel) -> State:
    """Return the state from which `advance_volatility` goes on."""
    return VOLATILITY.start(panel)


def advance_volatility(state: State, rows: Panel, horizon: int) -> Floats:
    """Return (k, N) sigma of `rows` for labels of `horizon` bars, and move `state` past them."""
    return horizon_sigma(VOLATILITY.advance(state, rows)[:, :, 0], horizon)


def label(panel: Panel, horizon: int) -> Labels:
    """Return the labels of every row of `panel`. Raises InvalidInput when horizon < 1."""
    prices = reference_prices(panel, horizon)
    sigma = advance_volatility(start_volatility(panel), panel, horizon)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = prices.returns / sigma
    known = np.isfinite(y) & panel.present & panel.member
    least = np.arange(len(panel))[:, None] + 1 + horizon
    end_row = np.where(known, np.maximum(prices.exit_row, np.minimum(least, len(panel) - 1)), -1)
    return Labels(np.where(known, y, np.nan), sigma, end_row, horizon)
