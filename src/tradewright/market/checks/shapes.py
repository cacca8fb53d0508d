"""The prices within a bar."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradewright.market.checks.series import Series
from tradewright.market.checks.thresholds import FEW, MOST, ROUNDING
from tradewright.market.verdicts import Finding, Verdict


def missing_prices(series: Series) -> Iterator[Finding]:
    """Yield bars without an open, high or low."""
    missing = np.isnan(series.open) | np.isnan(series.high) | np.isnan(series.low)
    if not series.close_only and missing.any():
        detail = "open, high or low is missing"
        yield series.finding("missing_prices", series.by_share(missing), detail, missing)


def price_outside_range(series: Series) -> Iterator[Finding]:
    """Yield bars whose open or close lies outside low to high."""
    if series.close_only:
        return
    top, bottom = np.fmax(series.open, series.close), np.fmin(series.open, series.close)
    beyond = np.fmax(top - series.high, series.low - bottom)
    rounding = ROUNDING * series.close
    far, near = beyond > rounding, (beyond > 1e-9 * series.close) & (beyond <= rounding)
    if far.any():
        yield series.finding("price_outside_range", Verdict.SUSPECT, "open or close lies outside low..high", far)
    if near.any():
        detail = "open or close lies outside low..high by no more than rounding"
        yield series.finding("price_outside_range", Verdict.USABLE, detail, near)


def flat_bars(series: Series) -> Iterator[Finding]:
    """Yield bars of one price, where they are many."""
    if series.close_only:
        return
    flat = np.flatnonzero(series.high == series.low)
    if len(flat) <= FEW * len(series):
        return
    traded = bool(np.any(series.volume > 0))
    one_price = (series.open[flat] == series.close[flat]) & (series.close[flat] == series.high[flat])
    flat = flat[one_price & ((series.volume[flat] > 0) | (not traded))]
    share = len(flat) / len(series)
    if share > FEW:
        severity = Verdict.SUSPECT if share > MOST and traded else Verdict.USABLE
        detail = "open, high, low and close are one price: a single trade, or a bar that somebody made of one"
        yield series.finding("flat_bars", severity, detail, flat)
