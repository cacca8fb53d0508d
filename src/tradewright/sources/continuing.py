"""Where an ingestion begins when nobody says: where the stored series ends, a few bars earlier.

The bars of the overlap are asked for again, so that a revision of the last ones is seen; where splits and dividends
come with the bars the overlap is a year, since some are told of late. A series that is not there yet begins USUAL_DAYS
before the end, or where the source begins. What a source no longer has is not asked for. What is asked for again of a
source that adjusts its prices stands in `scales.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tradewright.clock import DAY_US
from tradewright.ids import Owner
from tradewright.market.instruments import FACT, Instrument, Interval, Kind
from tradewright.sources.registry import SOURCES
from tradewright.sources.source import Bars
from tradewright.storage import series
from tradewright.storage.database import Tx

USUAL_DAYS = 500
OVERLAP_BARS = 5
ADJUSTED_OVERLAP_US = 7 * DAY_US  # at least, where the source adjusts: it may rewrite days after a dividend
ACTIONS_US = 366 * DAY_US  # where splits and dividends come with the bars: some are told of late, or moved


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to bring in up to end_us: ids of instruments from a source, for an owner."""

    owner: Owner
    source: str
    instruments: tuple[str, ...]
    interval: Interval
    end_us: int


def begin(last_us: int | None, interval: Interval, end_us: int, bars: Bars | None, now_us: int, kind: Kind) -> int:
    """Return the first moment to ask for, at most end_us. last_us: of the stored series, None when there is none.
    bars: what the source offers, None when that is not known. A series that ends after end_us is as good as none."""
    begin_us = end_us - USUAL_DAYS * DAY_US
    if last_us is not None and last_us <= end_us:
        begin_us = last_us - max(OVERLAP_BARS * interval.us, _overlap_us(bars, interval, kind))
    oldest_us = 0 if bars is None else bars.oldest_us(interval, now_us, kind)
    return min(max(begin_us, oldest_us), end_us) if oldest_us else begin_us


def _overlap_us(bars: Bars | None, interval: Interval, kind: Kind) -> int:
    if bars is None:
        return 0
    if bars.adjusts(interval):
        return ADJUSTED_OVERLAP_US
    return ACTIONS_US if interval in bars.with_actions and kind is Kind.EQUITY else 0


def read_begins(tx: Tx, wanted: Wanted, now_us: int) -> dict[str, int]:
    """Return by instrument the first moment to ask for. Facts begin USUAL_DAYS before the end, since any of that time
    may be revised, or where the stored ones end when that is earlier."""
    source = SOURCES.get(wanted.source)
    bars = None if source is None else source.bars
    if source is not None and bars is None:
        usual_us = wanted.end_us - USUAL_DAYS * DAY_US
        ends = series.last_times(tx, wanted.owner, wanted.source, FACT, wanted.instruments)
        return {name: min(ends.get(name, usual_us), usual_us) for name in wanted.instruments}
    ends = series.last_times(tx, wanted.owner, wanted.source, wanted.interval.value, wanted.instruments)
    span = (wanted.interval, wanted.end_us, bars, now_us)
    return {name: begin(ends.get(name), *span, Instrument(name).kind) for name in wanted.instruments}
