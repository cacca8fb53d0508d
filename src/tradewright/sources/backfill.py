"""From a source into the catalog: page after page, each stored before the next is asked for.

A back-fill can stop anywhere. How far each instrument has come is handed to `keep` after its page is in the catalog; a
back-fill that is given those marks goes on behind them, and what was stored twice in between is stored once. At the end
of an instrument the bars that its calendar expects and that did not come are asked for once more, so that a page that
came with holes leaves none that the source can fill.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from tradewright.clock import format_us
from tradewright.ids import Owner
from tradewright.market.calendars import ALWAYS, expected_times
from tradewright.market.catalog import Catalog
from tradewright.market.dated import Dated
from tradewright.market.fact_intake import ingest_facts
from tradewright.market.ingest import Ingestion, IngestReport, Taken
from tradewright.market.instruments import Instrument, Interval
from tradewright.sources.fetch import Fetched, Line, bar_pages, fetch_actions, fetch_facts
from tradewright.storage.database import Database

Progress = Callable[[float, str], None]
Keep = Callable[[str, int], None]
MENDED_GAPS = 50  # of one instrument; where more is absent, the source has no more
_SPAN_BARS = 2_000_000  # of a calendar that are looked through for gaps


@dataclass(frozen=True, slots=True)
class Plan:
    """What to bring in: bars of each instrument whose ends lie in start_us..end_us, both included, for an owner."""

    owner: Owner
    instruments: tuple[Instrument, ...]
    interval: Interval
    start_us: int
    end_us: int
    ingestion: str


@dataclass(frozen=True, slots=True)
class Stores:
    """Where it goes."""

    catalog: Catalog
    actions: Dated


@dataclass(frozen=True, slots=True)
class Filled:
    """What a back-fill did. mended: bars that came only when asked for again. actions: new ones."""

    report: IngestReport
    pages: int
    mended: int
    actions: int


@dataclass(slots=True)
class _Counts:
    pages: int = 0
    mended: int = 0
    actions: int = 0


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
    marks, counts = dict(reached or {}), _Counts()
    bars = line.source.bars
    ingestion = Ingestion(
        stores.catalog, stores.catalog.database, plan.owner, plan.instruments,
        interval=plan.interval, source=line.source.name, now_us=now_us(), ingestion_id=plan.ingestion,
        close_only=bars is not None and bars.close_only, pre_adjusted=bars is not None and bars.adjusted,
        lag_us=0 if bars is None else bars.lag_us, revised=bars is not None and bars.revised, paged=True,
    )  # fmt: skip
    for number, instrument in enumerate(plan.instruments):
        start_us = max(plan.start_us, marks.get(instrument.id, plan.start_us - 1) + 1)
        if start_us <= plan.end_us:
            async for page in bar_pages(line, instrument, plan.interval, start_us, plan.end_us):
                _store(ingestion, stores, plan, line, page, now_us(), counts)
                if keep is not None:
                    keep(instrument.id, page.reached_us)
                if progress is not None:
                    whole = (page.reached_us - plan.start_us) / max(plan.end_us - plan.start_us, 1)
                    share = (number + min(max(whole, 0.0), 1.0)) / len(plan.instruments)
                    progress(0.95 * share, f"{instrument.id}: bars up to {format_us(page.reached_us)}")
        await _mend(ingestion, line, plan, stores, instrument, now_us, counts)
        if line.source.actions is not None:
            found = await fetch_actions(line, instrument, plan.start_us, plan.end_us)
            counts.actions += _keep_actions(stores, plan, line, found, now_us())
    report = ingestion.conclude()
    if progress is not None:
        progress(1.0, "wrote the verdicts")
    return Filled(report, counts.pages, counts.mended, counts.actions)


async def backfill_facts(
    line: Line,
    plan: Plan,
    database: Database,
    facts: Dated,
    now_us: Callable[[], int],
    reached: Mapping[str, int] | None = None,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> Taken:
    """Bring every vintage of the facts of a plan into the store, instrument after instrument; return what became of
    the rows. An instrument whose mark lies at the end of the plan is done. The rest is as in `backfill`."""
    parts = []
    for number, instrument in enumerate(plan.instruments, start=1):
        if (reached or {}).get(instrument.id, plan.start_us - 1) < plan.end_us:
            found = await fetch_facts(line, instrument, plan.start_us, plan.end_us)
            taken = ingest_facts(database, facts, plan.owner, line.source.name, found, now_us(), plan.ingestion)
            parts.append(taken)
            if keep is not None:
                keep(instrument.id, plan.end_us)
            if progress is not None:
                progress(number / len(plan.instruments), f"{instrument.id}: {taken.accepted} facts")
    sums = (sum(getattr(taken, name) for taken in parts) for name in Taken.__slots__)
    return Taken(*sums)


def _store(
    ingestion: Ingestion, stores: Stores, plan: Plan, line: Line, page: Fetched, now_us: int, counts: _Counts
) -> int:
    counts.pages += 1
    counts.actions += _keep_actions(stores, plan, line, page.actions, now_us)
    return ingestion.take(page.bars).stored if page.bars.height else 0


def _keep_actions(stores: Stores, plan: Plan, line: Line, found: pl.DataFrame, now_us: int) -> int:
    if not found.height:
        return 0
    content = hashlib.sha256(found.hash_rows(seed=0).to_numpy().tobytes()).hexdigest()
    return stores.actions.append(plan.owner, line.source.name, found, now_us, f"{plan.ingestion}/{content}")


async def _mend(
    ingestion: Ingestion,
    line: Line,
    plan: Plan,
    stores: Stores,
    instrument: Instrument,
    now_us: Callable[[], int],
    counts: _Counts,
) -> None:
    bars = line.source.bars
    if bars is None or bars.sparse:
        return
    oldest_us = bars.oldest_us(plan.interval, now_us())
    gaps = ((max(first, oldest_us), last) for first, last in _gaps(stores.catalog, plan, line.source.name, instrument))
    for first_us, last_us in [gap for gap in gaps if gap[0] <= gap[1]][:MENDED_GAPS]:
        async for page in bar_pages(line, instrument, plan.interval, first_us, last_us):
            counts.mended += _store(ingestion, stores, plan, line, page, now_us(), counts)


def _gaps(catalog: Catalog, plan: Plan, source: str, instrument: Instrument) -> Iterator[tuple[int, int]]:
    there = catalog.read(plan.owner, source, [instrument.id], plan.interval, plan.start_us, plan.end_us)
    if there.height < 2:
        return
    times = there["time"].to_numpy()
    if instrument.calendar == ALWAYS and (times[-1] - times[0]) // plan.interval.us > _SPAN_BARS:
        return
    expected = expected_times(instrument.calendar, plan.interval, int(times[0]), int(times[-1]))
    absent = np.setdiff1d(expected, times, assume_unique=True)
    if not len(absent):
        return
    places = np.searchsorted(expected, absent)
    breaks = np.flatnonzero(np.diff(places) > 1) + 1
    for run in np.split(absent, breaks):
        yield int(run[0]), int(run[-1])
