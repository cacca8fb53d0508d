"""From a source into the catalog: page after page, stored every few seconds.

A back-fill can stop anywhere. How far each instrument has come is handed to `keep` after its pages are in the catalog;
a back-fill that is given those marks goes on behind them, and what comes twice is stored once. At the end of an
instrument the bars that its calendar expects and that did not come are asked for once more, so that a page that came
with holes leaves none that the source can fill.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import astuple, dataclass, field

import numpy as np
import polars as pl

from tradewright.clock import DAY_US, format_us
from tradewright.errors import Cancelled, SourceRefused, TradewrightError, UnknownName
from tradewright.ids import Owner
from tradewright.market.action_intake import ActionsTaken, take_actions
from tradewright.market.calendars import ALWAYS, expected_times
from tradewright.market.catalog import Catalog
from tradewright.market.dated import Dated, LeftOuts
from tradewright.market.fact_intake import ingest_facts, judge_facts
from tradewright.market.frames import VALUES, ascends
from tradewright.market.ingest import Ingestion, IngestReport, Taken
from tradewright.market.instruments import Instrument, Interval, Kind
from tradewright.market.span import Asked
from tradewright.sources.fetch import Fetched, Line, Outside, bar_pages, facts_of_span, fetch_actions
from tradewright.sources.scales import Span, span_of_one_scale
from tradewright.storage import series
from tradewright.storage.database import Database

Progress = Callable[[float, str], None]
Keep = Callable[[str, int], None]
STORED_ROWS = 100_000  # that wait at most before they are stored together
STORED_US = 5_000_000
MENDED_GAPS = 50  # of one instrument; where more is absent, the source has no more
SPARSE_RUN, SPARSE_RUNS = 30, 3  # bars that are absent together, and how many such runs are asked for again
_SPAN_BARS = 2_000_000  # of a calendar that are looked through for gaps


@dataclass(frozen=True, slots=True)
class Plan:
    """What to bring in: bars of each instrument whose ends lie in start_us..end_us, both included, for an owner.

    begins: by instrument, where a stored series is gone on with, in the place of start_us.
    """

    owner: Owner
    instruments: tuple[Instrument, ...]
    interval: Interval
    start_us: int
    end_us: int
    ingestion: str
    begins: Mapping[str, int] = field(default_factory=dict)

    def begin(self, instrument: Instrument) -> int:
        """Return the first moment to ask for of an instrument."""
        return self.begins.get(instrument.id, self.start_us)


@dataclass(frozen=True, slots=True)
class Stores:
    """Where it goes."""

    catalog: Catalog
    actions: Dated


@dataclass(frozen=True, slots=True)
class Filled:
    """What a back-fill did. mended: bars that came only when asked for again. actions: new ones, taken_back and missing
    as in `ActionsTaken`. refused: why the source did not give actions, "" when it did. outside: what came and was not
    asked for, None for nothing. unknown: what the source said of each instrument that it does not know; the others were
    brought in."""

    report: IngestReport
    pages: int = 0
    mended: int = 0
    actions: int = 0
    taken_back: int = 0
    missing: int = 0
    refused: str = ""
    outside: Outside | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)


async def backfill(
    line: Line,
    plan: Plan,
    stores: Stores,
    now_us: Callable[[], int],
    reached: Mapping[str, int] | None = None,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> Filled:
    """Bring the bars of a plan into the catalog; return what became of them.

    reached: marks of an earlier run of the same plan, by instrument. keep: called with (instrument, reached_us) once
    everything up to there is stored. progress: called with (fraction, message) after each page; what it raises ends
    the back-fill there. Raises what the source, the transport and the catalog raise; what came before is stored.
    """
    filling = _Filling(line, plan, stores, now_us, keep)
    unknown: dict[str, str] = {}
    for number, instrument in enumerate(plan.instruments):

        def told(done: float, reached_us: int, number: int = number, name: str = instrument.id) -> None:
            if progress is not None:
                share = (number + min(max(done, 0.0), 1.0)) / len(plan.instruments)
                progress(0.95 * share, f"{name}: bars up to {format_us(reached_us)}")

        try:
            await filling.bring(instrument, (reached or {}).get(instrument.id), told)
        except UnknownName as error:
            unknown[instrument.id] = error.message
        except Cancelled:
            raise
        except TradewrightError:  # what came of it is a series with a verdict, and the next ingestion goes on there
            filling.ingestion.settle(instrument.id)
            raise
        filling.ingestion.settle(instrument.id)
    report = filling.ingestion.conclude()
    if progress is not None:
        progress(1.0, "wrote the verdicts")
    acts = filling.actions
    counts = (filling.count, filling.mended, acts.added, acts.taken_back, acts.missing)
    return Filled(report, *counts, filling.refused, filling.outside, unknown)


async def backfill_facts(
    line: Line,
    plan: Plan,
    database: Database,
    facts: Dated,
    now_us: Callable[[], int],
    reached: Mapping[str, int] | None = None,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> Filled:
    """Bring every vintage of the facts of a plan into the store, instrument after instrument; return what became of
    the rows. An instrument whose mark lies at the end of the plan is done. The rest is as in `backfill`."""
    vintages = line.source.facts is not None and line.source.facts.vintages
    parts, judged = [], []
    unknown: dict[str, str] = {}
    outside: Outside | None = None
    for number, instrument in enumerate(plan.instruments, start=1):
        if (reached or {}).get(instrument.id, plan.start_us - 1) < plan.end_us:
            try:
                found, beyond = await facts_of_span(line, instrument, plan.begin(instrument), plan.end_us)
            except UnknownName as error:
                unknown[instrument.id] = error.message
                continue
            outside = outside if beyond is None else beyond.joined(outside)
            taken = ingest_facts(
                database, facts, plan.owner, line.source.name, found, now_us(), plan.ingestion, vintages
            )
            parts.append(taken)
            if keep is not None:
                keep(instrument.id, plan.end_us)
            if progress is not None:
                progress(number / len(plan.instruments), f"{instrument.id}: {taken.accepted} facts")
        whose = (plan.owner, line.source.name, instrument)
        judged.append(judge_facts(database, facts, *whose, now_us(), plan.end_us, vintages, line.elsewhere))
    sums = {name: sum(getattr(taken, name) for taken in parts) for name in Taken.__slots__}
    return Filled(IngestReport(plan.ingestion, **sums, series=tuple(judged)), outside=outside, unknown=unknown)


class _Filling:
    """One back-fill. Pages wait until there are many rows or some seconds of them, and are stored together."""

    def __init__(self, line: Line, plan: Plan, stores: Stores, now_us: Callable[[], int], keep: Keep | None) -> None:
        bars = line.source.bars
        self.ingestion = Ingestion(
            stores.catalog, stores.catalog.database, plan.owner, plan.instruments,
            interval=plan.interval, source=line.source.name, now_us=now_us(), ingestion_id=plan.ingestion,
            close_only=bars is not None and bars.close_only,
            pre_adjusted=bars is not None and bars.adjusts(plan.interval),
            lag_us=0 if bars is None else bars.lag_us, revised=bars is not None and bars.revised, paged=True,
            elsewhere=line.elsewhere,
        )  # fmt: skip
        self.count = self.mended = 0
        self.actions = ActionsTaken()
        self.refused = ""
        self._told: set[str] = set()  # instruments of which the source gave actions by themselves
        self.outside: Outside | None = None
        self._line, self._plan, self._stores, self._now_us, self._keep = line, plan, stores, now_us, keep
        self._waiting: list[pl.DataFrame] = []
        self._rows = 0
        self._since_us = now_us()

    async def bring(self, instrument: Instrument, mark: int | None, told: Callable[[float, int], None]) -> None:
        """Bring in what has not come of an instrument. mark: up to where an earlier run came. told: called after each
        page with the share that has come, and up to where."""
        await self.fetch_actions(instrument)  # before its bars, which never stand without what happened to them
        if mark is not None:
            self.ingestion.revisit(instrument.id)
        span = await self.span(instrument)
        start_us = span.start_us if mark is None else max(span.start_us, mark + 1)
        if start_us <= span.end_us:
            async with aclosing(self.pages(instrument, start_us, span.end_us)) as pages:  # ends before what it raises
                async for page in pages:
                    told((page.reached_us - start_us) / max(span.end_us - start_us, 1), page.reached_us)
        if span.whole:
            self.ingestion.adjusted_apart(instrument.id, "")
        await self.mend(instrument)
        self.answered(instrument)

    async def span(self, instrument: Instrument) -> Span:
        """Return what to ask for of an instrument: what the plan says, and all that is stored when the source, which
        adjusts its prices, has rewritten that since."""
        plan, catalog = self._plan, self._stores.catalog
        wanted = Span(plan.begin(instrument), plan.end_us)
        span = await span_of_one_scale(
            self._line, catalog, plan.owner, instrument, plan.interval, wanted, self._now_us()
        )
        if span.apart is not None:
            self.ingestion.adjusted_apart(instrument.id, span.apart)
        return span

    async def pages(self, instrument: Instrument, start_us: int, end_us: int) -> AsyncGenerator[Fetched, None]:
        """Yield the pages of a span once they wait or are stored; all are stored when this ends, however it ends."""
        reached_us = None
        try:
            async for page in bar_pages(self._line, instrument, self._plan.interval, start_us, end_us):
                self.count += 1
                self._add_from_bars(instrument, page)
                self._waiting.append(page.bars)
                self._rows += page.bars.height
                self.outside = page.outside.joined(self.outside) if page.outside is not None else self.outside
                reached_us = page.reached_us
                if self._rows >= STORED_ROWS or self._now_us() - self._since_us >= STORED_US:
                    self._store(instrument, reached_us)
                yield page
        finally:
            if self._waiting and reached_us is not None:
                self._store(instrument, reached_us)

    async def mend(self, instrument: Instrument) -> None:
        """Ask once more for what the calendar expects and did not come; of a source that leaves out intervals without a
        trade, only for long runs of them."""
        bars = self._line.source.bars
        if bars is None:
            return
        oldest_us = bars.oldest_us(self._plan.interval, self._now_us(), instrument.kind)
        known_us = self._now_us() - bars.lag_us
        absent = _gaps(self._stores.catalog, self._plan, self._line.source.name, instrument, known_us)
        least, most = (SPARSE_RUN, SPARSE_RUNS) if bars.sparse else (1, MENDED_GAPS)
        gaps = [(max(first, oldest_us), last) for first, last, count in absent if last >= oldest_us and count >= least]
        for first_us, last_us in gaps[:most]:
            async for page in bar_pages(self._line, instrument, self._plan.interval, first_us, last_us):
                self.count += 1
                self._add_from_bars(instrument, page)
                if page.bars.height:
                    self.mended += self.ingestion.take(page.bars).stored

    def answered(self, instrument: Instrument) -> None:
        """Hold what is stored of an instrument against the span that was asked for."""
        plan, bars = self._plan, self._line.source.bars
        if bars is not None:
            reach = bars.reach(plan.interval, instrument.kind)
            bound = reach and f"{self._line.source.title} goes back {reach}"
            asked = Asked(plan.begin(instrument), plan.end_us, SPARSE_RUN if bars.sparse else 1, bound)
            self.ingestion.answered(instrument.id, asked)

    async def fetch_actions(self, instrument: Instrument) -> None:
        """Bring in splits and dividends where they do not come with the bars; a plan that has none is told, no more.
        Those of the day after the span as well: what is stored of a day is its end, and shorter bars end before. Where
        a series is gone on with, those of the whole of it: they are few, and some are told of late, or moved."""
        if self._line.source.actions is None:
            return
        start_us, end_us = self._actions_from(instrument), self._plan.end_us + DAY_US
        try:
            found = await fetch_actions(self._line, instrument, start_us, end_us)
        except SourceRefused as error:
            self.refused = error.message
            self.ingestion.asked_actions(instrument.id, error.message)
            return
        self._add_actions(instrument, found.actions, pl.col("time").is_between(start_us, end_us))
        self._told.add(instrument.id)
        self.ingestion.asked_actions(instrument.id, "", LeftOuts(start_us, end_us, found.left_out))

    def _actions_from(self, instrument: Instrument) -> int:
        plan, bars = self._plan, self._line.source.bars
        begin_us = plan.begin(instrument)
        if instrument.id not in plan.begins:
            return begin_us
        key = (self._line.source.name, instrument.id, plan.interval.value)
        row = self._stores.catalog.database.read(series.get_series, plan.owner, *key)
        if row is None or row["first_time"] is None:
            return begin_us
        oldest_us = 0 if bars is None else bars.oldest_us(Interval.DAY, self._now_us(), instrument.kind)
        return min(begin_us, max(int(row["first_time"]), oldest_us))

    def _store(self, instrument: Instrument, reached_us: int) -> None:
        rows = pl.concat(self._waiting)
        if not ascends(rows):  # pages that overlap bring the same row twice, at two moments: that is no revision
            rows = rows.unique(["instrument", "time", *VALUES], keep="first", maintain_order=True)
        self._waiting, self._rows = [], 0
        if rows.height:
            self.ingestion.take(rows)
        if self._keep is not None:
            self._keep(instrument.id, reached_us)
        self._since_us = self._now_us()

    def _add_from_bars(self, instrument: Instrument, page: Fetched) -> None:
        bars = self._line.source.bars
        if instrument.id in self._told or bars is None:
            return
        tells = self._plan.interval in bars.with_actions and instrument.kind is Kind.EQUITY and page.bars.height
        if tells:
            self._add_actions(instrument, page.actions, pl.col("time").is_in(page.bars["time"].implode()))
        elif page.actions.height:
            self._add_actions(instrument, page.actions, None)

    def _add_actions(self, instrument: Instrument, found: pl.DataFrame, answered: pl.Expr | None) -> None:
        plan, source, before = self._plan, self._line.source.name, self.actions
        what = (plan.owner, source, instrument.id, found, answered, self._now_us(), plan.ingestion)
        taken = take_actions(self._stores.actions, *what)
        self.actions = ActionsTaken(*(a + b for a, b in zip(astuple(before), astuple(taken), strict=True)))


def _gaps(
    catalog: Catalog, plan: Plan, source: str, instrument: Instrument, now_us: int
) -> Iterator[tuple[int, int, int]]:
    # (first, last, how many); from the first bar that came: before it the instrument may not have been listed
    there = catalog.read(plan.owner, source, [instrument.id], plan.interval, plan.begin(instrument), plan.end_us)
    if there.height < 2:
        return
    times = there["time"].to_numpy()
    if instrument.calendar == ALWAYS and (plan.end_us - times[0]) // plan.interval.us > _SPAN_BARS:
        return
    until_us = max(int(times[-1]), min(plan.end_us, now_us))
    expected = expected_times(instrument.calendar, plan.interval, int(times[0]), until_us)
    absent = np.setdiff1d(expected, times, assume_unique=True)
    if not len(absent):
        return
    places = np.searchsorted(expected, absent)
    breaks = np.flatnonzero(np.diff(places) > 1) + 1
    for run in np.split(absent, breaks):
        yield int(run[0]), int(run[-1]), len(run)
