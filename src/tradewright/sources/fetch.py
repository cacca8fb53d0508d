"""The loops that every source shares: page after page until all that was asked for has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import polars as pl

from tradewright.clock import format_us
from tradewright.errors import InvalidInput, SourceFailed, SourceLimited, SourceRefused
from tradewright.market.dated import ACTIONS, FACTS
from tradewright.market.frames import VALUES, canonical, empty
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.sources.elsewhere import other_host
from tradewright.sources.rows import no_actions
from tradewright.sources.source import (
    ActionsPage,
    Ask,
    Bars,
    BarsPage,
    BarsQuery,
    Credentials,
    FactsPage,
    Paging,
    Source,
    SpanQuery,
)
from tradewright.sources.tables import merged
from tradewright.sources.trail import Trail
from tradewright.transport.http import Transport
from tradewright.transport.messages import Policy, Request, Response
from tradewright.transport.recording import Recorder

Progress = Callable[[float, str], None]
USUAL = Policy()
SHORTEST_SECRET = 6  # letters; anything shorter would be found in many answers by chance
Parsed = TypeVar("Parsed")
Paged = TypeVar("Paged", FactsPage, ActionsPage)


@dataclass(frozen=True, slots=True)
class Line:
    """The way to one source. base_url: another server for it, None for its own. credentials: by field of its `auth`.
    wait: how to wait before an answer that came damaged is asked for again. recorder: writes down what is exchanged."""

    source: Source
    transport: Transport
    credentials: Credentials = field(default_factory=dict)
    base_url: str | None = None
    policy: Policy = USUAL
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    recorder: Recorder | None = None

    @property
    def elsewhere(self) -> str:
        """The host that is asked in the place of the source's own, "" for its own."""
        return other_host(self.source.base_url, self.base_url)

    async def send(self, request: Request) -> Response:
        """Return the answer. Raises SourceRefused without the credentials it needs, and what the transport raises."""
        auth = self.source.auth
        missing = [name for name in auth.fields if not self.credentials.get(name)]
        if missing and auth.needed:
            raise SourceRefused(
                f"{self.source.title} needs {' and '.join(missing)}; {auth.where}, and hand them in as credentials of "
                f"the source {self.source.name!r}",
                source=self.source.name,
            )
        signed = request if missing else auth.sign(request, self.credentials)
        if not missing:
            secrets = tuple(text for text in self.credentials.values() if len(text) >= SHORTEST_SECRET)
            signed = replace(signed, secrets=secrets)
        response = await self.transport.fetch(signed.at(self.base_url), self.policy)
        if self.recorder is not None:
            self.recorder.keep(request, response)
        return response

    async def ask(self, request: Request, parse: Callable[[Response], Parsed]) -> tuple[Response, Parsed]:
        """Return the answer and what `parse` makes of it. An answer that says to slow down, or that came damaged (a
        page of maintenance, a body cut off), is asked for again as often as the policy says."""
        for attempt in range(1, self.policy.attempts + 1):
            response = await self.send(request)
            try:
                return response, parse(response)
            except SourceFailed as error:
                if not (isinstance(error, SourceLimited) or error.facts.get("transient", False)):
                    raise
                await self.before_next(attempt, error)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def before_next(self, attempt: int, error: SourceFailed) -> None:
        """Wait as the policy says before what failed is tried again. Raises the error after the last attempt."""
        if attempt >= self.policy.attempts:
            raise error
        await self.wait(self.policy.backoff_s * 2**attempt)


@dataclass(frozen=True, slots=True)
class Outside:
    """Rows that lie outside of what was asked for: how many, and the times of the first and the last."""

    rows: int
    first_us: int
    last_us: int

    @classmethod
    def of(cls, times: pl.Series) -> Outside:
        """Return those of `times`, at least one."""
        return cls(len(times), int(times.min()), int(times.max()))  # type: ignore[arg-type] # of integers

    def joined(self, other: Outside | None) -> Outside:
        """Return these and others."""
        if other is None:
            return self
        return Outside(self.rows + other.rows, min(self.first_us, other.first_us), max(self.last_us, other.last_us))


@dataclass(frozen=True, slots=True, eq=False)
class Fetched:
    """One page on its way in. reached_us: everything up to here has come; a run that stopped goes on behind it.
    done: share of the span that has come. outside: what came, where none of it was asked for."""

    bars: pl.DataFrame
    actions: pl.DataFrame
    reached_us: int
    done: float
    outside: Outside | None = None


async def fetch_bars(
    line: Line,
    instrument: Instrument,
    interval: Interval | str,
    start_us: int,
    end_us: int,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Return the complete bars whose ends lie in start_us..end_us, both included, as a canonical frame, ascending.

    progress: called with (fraction, message) after each page. Raises InvalidInput for an interval the source does not
    have or bounds in the wrong order, and what the source and the transport raise.
    """
    pages = []
    async for page in bar_pages(line, instrument, interval, start_us, end_us):
        pages.append(page.bars)
        if progress is not None:
            progress(page.done, f"{instrument.id}: bars up to {format_us(page.reached_us)}")
    return pl.concat(pages) if pages else canonical(empty())


async def bar_pages(
    line: Line, instrument: Instrument, interval: Interval | str, start_us: int, end_us: int
) -> AsyncIterator[Fetched]:
    """Yield the pages of `fetch_bars` as they come, each ascending and within the bounds.

    A source may repeat a row in the next page; whoever stores them keeps one. Raises SourceFailed when the pages that a
    source names lead round in circles.
    """
    bars, step = checked(line.source, interval, start_us, end_us)
    query = BarsQuery(instrument, line.source.symbol_of(instrument), step, start_us, end_us, bars.page_rows)
    ways = {Paging.WHOLE: _whole, Paging.ADVANCE: _advancing, Paging.WINDOWS: _windows, Paging.TOKEN: _tokens}
    pages = _by_itself(line, bars.pages, query) if bars.pages else ways[bars.paging](line, bars, query)
    span = max(end_us - start_us, 1)
    after_us = start_us - 1
    async for page, reached_us in pages:
        within = _ordered(page.bars, start_us, end_us)
        acts = page.actions
        if acts.height:
            acts = acts.filter(pl.col("time").is_between(start_us, end_us))
        after_us = max(after_us, reached_us)
        outside = None if within.height or not page.bars.height else Outside.of(page.bars["time"])
        yield Fetched(within, acts, after_us, min((after_us - start_us) / span, 1.0), outside)


def _ordered(bars: pl.DataFrame, start_us: int, end_us: int) -> pl.DataFrame:
    # most pages are in order and within the bounds: looked at here, where a plan for each page would cost more
    times = bars["time"].to_numpy()
    if len(times) and (times[0] < start_us or times[-1] > end_us or not (np.diff(times) >= 0).all()):
        return bars.filter(pl.col("time").is_between(start_us, end_us)).sort("time")
    return bars


def checked(source: Source, interval: Interval | str, start_us: int, end_us: int) -> tuple[Bars, Interval]:
    """Return the part and the interval that are asked for. Raises InvalidInput when the source has no such bars."""
    step = Interval.parse(interval)
    if source.bars is None:
        raise InvalidInput(f"{source.title} has no bars; it has {', '.join(source.offers)}")
    if step not in source.bars.intervals:
        raise InvalidInput(f"{source.title} has no bars of {step.value}; it has {', '.join(source.bars.intervals)}")
    if start_us > end_us:
        raise InvalidInput(f"the start {format_us(start_us)} lies after the end {format_us(end_us)}; swap them")
    return source.bars, step


Pages = AsyncIterator[tuple[BarsPage, int]]


async def _ask(line: Line, bars: Bars, query: BarsQuery) -> tuple[BarsPage, int]:
    response, page = await line.ask(bars.request(query), lambda answer: bars.parse(answer, query))
    return page, response.received_at_us


async def _whole(line: Line, bars: Bars, query: BarsQuery) -> Pages:
    page, _ = await _ask(line, bars, query)
    yield page, query.end_us


async def _advancing(line: Line, bars: Bars, query: BarsQuery) -> Pages:
    wanted_us, asked_again = query.start_us, False
    while wanted_us <= query.end_us:
        page, received_us = await _ask(line, bars, query.at(wanted_us, query.end_us))
        times = page.bars["time"].to_numpy()
        ahead = times[(times >= wanted_us) & (times <= query.end_us)]
        if len(ahead) == 0 and len(times) >= query.limit and int(times.max()) < wanted_us:  # a whole page again
            raise SourceFailed(
                f"{line.source.title} sent bars up to {format_us(int(times.max()))} where those from "
                f"{format_us(wanted_us)} on were asked for; it does not go on, or its API has changed"
            )
        if len(ahead) == 0 and not asked_again:  # nothing can mean that there is no more, or a fault of the moment
            asked_again = True
            continue
        if len(ahead) == 0 and wanted_us == query.start_us:  # whoever asked is told what came instead
            yield page, query.end_us
            return
        if len(ahead) == 0:
            break
        asked_again = False
        last_us = int(ahead.max())
        yield page, last_us
        wanted_us = last_us + 1
        if last_us + query.interval.us > received_us:
            break
    yield BarsPage(canonical(empty())), query.end_us


async def _windows(line: Line, bars: Bars, query: BarsQuery) -> Pages:
    width_us = bars.page_rows * query.interval.us
    begin_us = query.start_us
    while begin_us <= query.end_us:
        until_us = min(begin_us + width_us - 1, query.end_us)
        page, received_us = await _ask(line, bars, query.at(begin_us, until_us))
        yield page, until_us
        begin_us = until_us + 1
        if until_us > received_us:  # the rest lies in the future
            break
    yield BarsPage(canonical(empty())), query.end_us


async def _tokens(line: Line, bars: Bars, query: BarsQuery) -> Pages:
    reached_us, trail = query.start_us - 1, Trail(line.source.title, ("time", *VALUES))
    while True:
        page, _ = await _ask(line, bars, query)
        if not page.token:
            yield page, query.end_us
            return
        trail.go_on(page.token, page.bars)
        within = page.bars.filter(pl.col("time") <= query.end_us)
        if within.height:
            reached_us = max(reached_us, int(within["time"].max()))  # type: ignore[arg-type] # of integers
        yield page, reached_us
        query = query.at(query.start_us, query.end_us, page.token)


async def _by_itself(line: Line, pages: Callable[[BarsQuery, Ask], AsyncIterator[BarsPage]], query: BarsQuery) -> Pages:
    reached_us, attempt = query.start_us - 1, 0
    while True:
        try:
            async for page in pages(query.at(reached_us + 1, query.end_us), line.send):
                within = page.bars.filter(pl.col("time") <= query.end_us)
                if within.height:
                    reached_us, attempt = max(reached_us, int(within["time"].max())), 0  # type: ignore[arg-type] # of integers
                yield page, min(reached_us, query.end_us)
            break
        except SourceFailed as error:
            if not error.facts.get("transient", False):
                raise
            attempt += 1
            await line.before_next(attempt, error)
    yield BarsPage(canonical(empty())), query.end_us


async def fetch_facts(
    line: Line, instrument: Instrument, start_us: int, end_us: int, names: tuple[str, ...] = ()
) -> pl.DataFrame:
    """Return every vintage of the facts whose periods end in start_us..end_us, as a frame of `rows.FACTS`.

    Raises InvalidInput for a source without facts, and what the source and the transport raise.
    """
    found, _ = await facts_of_span(line, instrument, start_us, end_us, names)
    return found


async def facts_of_span(
    line: Line, instrument: Instrument, start_us: int, end_us: int, names: tuple[str, ...] = ()
) -> tuple[pl.DataFrame, Outside | None]:
    """Return what `fetch_facts` does, and what came where none of it was asked for, by the ends of its periods."""
    offer = line.source.facts
    if offer is None:
        raise InvalidInput(f"{line.source.title} has no facts; it has {', '.join(line.source.offers)}")
    query = SpanQuery(instrument, line.source.symbol_of(instrument), start_us, end_us, names)
    said = [name for name in FACTS if offer.vintages or name != "known_at"]  # else that is when the page came
    trail = Trail(line.source.title, said)
    came = pl.concat([page.facts async for page in _span_pages(line, offer.request, offer.parse, query, trail)])
    within = came.filter(pl.col("period_end").is_between(start_us, end_us))
    return within, None if within.height or not came.height else Outside.of(came["period_end"])


async def fetch_actions(line: Line, instrument: Instrument, start_us: int, end_us: int) -> ActionsPage:
    """Return the splits and dividends whose ex day lies in start_us..end_us, one row a day, and what the source told of
    that is neither; only shares have any.

    Raises InvalidInput for a source without actions, and what the source and the transport raise.
    """
    offer = line.source.actions
    if offer is None:
        raise InvalidInput(f"{line.source.title} has no actions; it has {', '.join(line.source.offers)}")
    if instrument.kind is not Kind.EQUITY:
        return ActionsPage(no_actions())
    query = SpanQuery(instrument, line.source.symbol_of(instrument), start_us, end_us)
    trail = Trail(line.source.title, list(ACTIONS))
    pages = [page async for page in _span_pages(line, offer.request, offer.parse, query, trail)]
    found = merged(pl.concat(page.actions for page in pages).filter(pl.col("time").is_between(start_us, end_us)))
    left_out = (each for page in pages for each in page.left_out if start_us <= each.time_us <= end_us)
    return ActionsPage(found, left_out=tuple(sorted(set(left_out), key=lambda each: (each.time_us, each.what))))


async def _span_pages(
    line: Line,
    request: Callable[[SpanQuery], Request],
    parse: Callable[[Response, SpanQuery], Paged],
    query: SpanQuery,
    trail: Trail,
) -> AsyncIterator[Paged]:
    while True:
        asked = query
        _, page = await line.ask(request(asked), lambda answer: parse(answer, asked))  # noqa: B023 - awaited here
        yield page
        if not page.token:
            return
        trail.go_on(page.token, page.facts if isinstance(page, FactsPage) else page.actions)
        query = query.page(page.token)
