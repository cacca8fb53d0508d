"""Whether what is stored of a source that adjusts its prices is on the scale of what it gives now.

At a split or a dividend such a source rewrites every earlier price. So before bars are brought in, wherever they begin,
the last ones that are stored are asked for again: when one comes with another close, the whole series is asked for
anew. What the source no longer has stays as it was, and the series is told to be of two scales until all has come.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tradewright.clock import format_us
from tradewright.ids import Owner
from tradewright.market.catalog import Catalog
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources.continuing import ADJUSTED_OVERLAP_US
from tradewright.sources.fetch import Line, fetch_bars
from tradewright.storage import series

SAME_CLOSE = 1e-6  # relative: what rounding to other digits does


@dataclass(frozen=True, slots=True)
class Span:
    """What to ask for, both ends included. apart: why stored bars are on another scale than these, or may be, None when
    nothing says so. whole: once all of it has come, every stored bar is on the scale of now."""

    start_us: int
    end_us: int
    apart: str | None = None
    whole: bool = False


async def span_of_one_scale(
    line: Line, catalog: Catalog, owner: Owner, instrument: Instrument, interval: Interval, wanted: Span, now_us: int
) -> Span:
    """Return the span that is wanted, or with it all that is stored when the source has rewritten that since.

    Raises what the source, the transport and the catalog raise.
    """
    bars, key = line.source.bars, (line.source.name, instrument.id, interval.value)
    row = catalog.database.read(series.get_series, owner, *key)
    if bars is None or not bars.adjusts(interval) or row is None or row["last_time"] is None:
        return wanted
    first_us, last_us = int(row["first_time"]), int(row["last_time"])
    oldest_us = bars.oldest_us(interval, now_us, instrument.kind)
    stored = catalog.read(
        owner, key[0], [instrument.id], interval, max(last_us - ADJUSTED_OVERLAP_US, oldest_us), last_us
    )
    came = stored.clear()
    if stored.height:
        came = await fetch_bars(line, instrument, interval, int(stored["time"][0]), last_us)
    changed = closes_changed(stored, came)
    start_us, end_us, told = wanted.start_us, wanted.end_us, None
    if any(changed):
        start_us, end_us = min(start_us, max(first_us, oldest_us)), max(end_us, last_us)
        before_us = oldest_us if oldest_us > first_us else last_us
        told = _apart(first_us, before_us, line.source.title) if changed[0] else None  # else only late ones: corrected
    elif not changed:
        told = _not_compared(first_us, last_us, line.source.title)
    whole = start_us <= first_us and end_us >= last_us and oldest_us <= first_us
    return Span(start_us, end_us, told if instrument.kind is Kind.EQUITY else None, whole)


def closes_changed(stored: pl.DataFrame, came: pl.DataFrame) -> list[bool]:
    """Return of each bar with a close in both whether it came with another one. Both are canonical frames of one
    instrument, ascending."""
    closes = stored.select("time", "close").join(came.select("time", "close"), on="time", suffix="_came").drop_nulls()
    apart = (pl.col("close") - pl.col("close_came")).abs() > SAME_CLOSE * pl.col("close").abs()
    return closes.sort("time").select(apart).to_series().to_list()


def _apart(first_us: int, before_us: int, title: str) -> str:
    return (
        f"the bars before {format_us(before_us)} are adjusted as of an earlier moment than the others, so a split or "
        f"dividend stands between them as a move of the price: {title} rewrote them, and not all came again; "
        f"{_advice(first_us)}"
    )


def _not_compared(first_us: int, last_us: int, title: str) -> str:
    return (
        f"the bars up to {format_us(last_us)} could not be compared with what {title} gives now, so a split or "
        f"dividend may stand after them as a move of the price; {_advice(first_us)}"
    )


def _advice(first_us: int) -> str:
    return f"ingest from {format_us(first_us)} on where the source has that, or leave the earlier bars out"
