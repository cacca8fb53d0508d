"""The loop that every source shares: page after page until the end is reached or nothing new comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import polars as pl

from tradewright.clock import format_us
from tradewright.errors import InvalidInput
from tradewright.market.frames import canonical, empty
from tradewright.market.instruments import Instrument, Interval
from tradewright.sources.source import Source
from tradewright.transport.http import Transport
from tradewright.transport.messages import Policy

Progress = Callable[[float, str], None]


async def fetch_bars(
    source: Source,
    instrument: Instrument,
    interval: Interval | str,
    start_us: int,
    end_us: int,
    transport: Transport,
    base_url: str | None = None,
    progress: Progress | None = None,
    policy: Policy | None = None,
) -> pl.DataFrame:
    """Return the complete bars whose ends lie in start_us..end_us, both included, as a canonical frame, ascending.

    base_url: another server for this source, None for its own. progress: called with (fraction, message) after each
    page. Raises InvalidInput for an interval the source does not have or bounds in the wrong order, and what the
    source and the transport raise.
    """
    pages = [page async for page in bar_pages(
        source, instrument, interval, start_us, end_us, transport, base_url, progress, policy
    )]  # fmt: skip
    return pl.concat(pages) if pages else canonical(empty())


async def bar_pages(
    source: Source,
    instrument: Instrument,
    interval: Interval | str,
    start_us: int,
    end_us: int,
    transport: Transport,
    base_url: str | None = None,
    progress: Progress | None = None,
    policy: Policy | None = None,
) -> AsyncIterator[pl.DataFrame]:
    """Yield the pages of `fetch_bars` as they come: frames of at most `source.page_rows` rows, ascending."""
    step = Interval.parse(interval)
    if step not in source.intervals:
        raise InvalidInput(f"{source.title} has no bars of {step.value}; it has {', '.join(source.intervals)}")
    if start_us > end_us:
        raise InvalidInput(f"the start {format_us(start_us)} lies after the end {format_us(end_us)}; swap them")
    wanted_us = start_us
    while wanted_us <= end_us:
        request = source.bars_request(source.symbol_of(instrument), step, wanted_us, end_us, source.page_rows)
        response = await transport.fetch(request.at(base_url), policy or Policy())
        page = source.parse_bars(response, instrument, step)
        page = page.filter(pl.col("time").is_between(wanted_us, end_us)).sort("time")
        if page.height == 0:
            break
        last_us = int(page["time"][-1])
        yield page
        wanted_us = last_us + 1
        if progress is not None:
            done = (last_us - start_us) / max(end_us - start_us, 1)
            progress(min(done, 1.0), f"{instrument.id}: bars up to {format_us(last_us)}")
        if last_us + step.us > response.received_at_us:
            break
