"""The prices within a bar."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradewright.market.checks.series import Series
from tradewright.market.checks.thresholds import FEW, MOST, NEARBY, ROUNDING, SAMPLE, TICKS
from tradewright.market.verdicts import Finding, Verdict

RANGES = 20.0  # a high or low is out of proportion from so many usual ranges of a bar beyond both closes around it


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


def range_outliers(series: Series) -> Iterator[Finding]:
    """Yield bars whose high or low, and with it perhaps the open, is out of all proportion."""
    if series.close_only or len(series) < NEARBY:
        return
    ranges = series.high / series.low - 1.0
    some = ranges[:: len(ranges) // SAMPLE + 1]
    moving = some[some > 0.0]
    if not len(moving):
        return
    before = np.append(series.close[:1], series.close[:-1])
    beyond = np.fmax(series.high / np.fmax(series.close, before), np.fmin(series.close, before) / series.low) - 1.0
    far = np.flatnonzero(beyond > RANGES * np.median(moving))
    if len(far):
        local = np.nan_to_num(series.around(ranges, far))
        far = far[(beyond[far] > RANGES * local) & (beyond[far] * series.close[far] > TICKS * series.step)]
    if len(far):
        severity = Verdict.SUSPECT if len(far) > FEW * len(series) else Verdict.USABLE
        detail = f"high or low lies more than {RANGES:g} usual ranges beyond the closes around it"
        yield series.finding("range_outlier", severity, detail, far)
