"""Volumes that are absent or zero, or in another unit than before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradewright.market.checks.series import Series
from tradewright.market.checks.thresholds import SAMPLE
from tradewright.market.instruments import Kind
from tradewright.market.verdicts import Finding, Verdict

VOLUME_TIMES = 100.0  # a change of the usual volume that no market makes from one week to the next for good
LEVEL_BLOCK = 20  # bars, at least, that have a usual volume
LEVEL_BLOCKS = 200  # at most of them in a series


def zero_volumes(series: Series) -> Iterator[Finding]:
    """Yield bars without volume."""
    if series.close_only:
        return
    if not np.any(series.volume > 0):
        yield Finding("no_volume", Verdict.USABLE, "no bar has any volume", series.instrument.id, len(series))
        return
    zero, missing = series.volume == 0, np.isnan(series.volume)
    for code, rows, detail in (("zero_volume", zero, "zero"), ("missing_volume", missing, "missing")):
        if rows.any():
            severity = Verdict.USABLE if series.instrument.kind is Kind.INDEX else series.by_share(rows)
            yield series.finding(code, severity, f"the volume is {detail}", rows)


def volume_levels(series: Series) -> Iterator[Finding]:
    """Yield where the volume changes to another level for good, as when lots follow on shares."""
    traded = np.flatnonzero(series.volume > 0)
    traded = traded[:: len(traded) // SAMPLE + 1]
    size = max(LEVEL_BLOCK, len(traded) // LEVEL_BLOCKS)
    if series.close_only or len(traded) < 4 * size:
        return
    volume = series.volume[traded]
    blocks = np.log(np.median(volume[: len(volume) // size * size].reshape(-1, size), axis=1))
    change = int(np.argmax(np.abs(blocks[2:] - blocks[:-2])))  # in the block between
    if np.abs(blocks[change + 2] - blocks[change]) < np.log(VOLUME_TIMES):
        return
    before, after = (float(np.median(part)) for part in np.split(volume, [(change + 1) * size]))
    if max(after / before, before / after) >= VOLUME_TIMES:
        rows = traded[[(change + 1) * size]]
        detail = f"about there the usual volume goes from {before:.4g} to {after:.4g} and stays: another unit or market"
        yield series.finding("volume_level", Verdict.USABLE, detail, rows)
