"""Volumes that are absent or zero."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradewright.market.checks.series import Series
from tradewright.market.instruments import Kind
from tradewright.market.verdicts import Finding, Verdict


def zero_volumes(series: Series) -> Iterator[Finding]:
    """Yield bars without volume."""
    if series.close_only:
        return
    if not np.any(series.volume > 0):
        yield Finding("no_volume", Verdict.USABLE, "no bar has any volume", series.instrument.id, len(series))
        return
    zero = series.volume == 0
    if zero.any():
        severity = Verdict.USABLE if series.instrument.kind is Kind.INDEX else series.by_share(zero)
        yield series.finding("zero_volume", severity, "the volume is zero", zero)
