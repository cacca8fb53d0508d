"""A source that adjusts its prices gives others after a split: no series of it holds bars of before and of after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from tradewright.clock import DAY_US, format_us, parse_us
from tradewright.errors import SourceFailed
from tradewright.ids import SYSTEM
from tradewright.market.calendars import expected_times
from tradewright.market.catalog import Catalog
from tradewright.market.instruments import Interval, Kind
from tradewright.market.verdicts import Finding
from tradewright.sources.backfill import Filled, Plan, Stores, backfill
from tradewright.sources.continuing import Wanted, read_begins
from tradewright.sources.fetch import Line
from tradewright.sources.registry import SOURCES
from tradewright.sources.rows import bars_frame
from tradewright.sources.source import Ask, BarsPage, BarsQuery, Source
from tradewright.storage import series
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.transport.http import Transport

ADJUSTED = sorted(name for name, source in SOURCES.items() if source.bars and source.bars.adjusts(Interval.DAY))
NOW = parse_us("2026-11-28")
FIRST, SPLIT, LAST = (parse_us(f"2026-{day}T23:00:00Z") for day in ("01-05", "08-01", "11-20"))
DAYS = expected_times("XNYS", Interval.DAY, FIRST, LAST)


class World:
    """A share at a source. divided: its prices are those of after a split. breaks: the connection ends after a page.
    corrected: the day whose close is another. since: it has nothing before."""

    def __init__(self, source: Source) -> None:
        assert source.bars is not None
        bars = replace(source.bars, pages=self.pages, reach_us=None, reach_rows=None)
        self.source = replace(source, bars=bars, actions=None)
        self.divided, self.breaks, self.corrected, self.since, self.asked = 1.0, False, 0, 0, []  # type: ignore[var-annotated]

    async def pages(self, query: BarsQuery, ask: Ask) -> AsyncIterator[BarsPage]:
        self.asked.append((query.start_us, query.end_us))
        days = DAYS[(max(query.start_us, self.since) <= DAYS) & (query.end_us >= DAYS)]
        for part in np.array_split(days, max(len(days) // 50, 1)):
            closes = [(100.0 + at // DAY_US % 7) / self.divided + (at == self.corrected) for at in part]
            values = dict.fromkeys(("open", "high", "low", "close"), closes) | {"volume": [9.0] * len(part)}
            yield BarsPage(bars_frame(self.source.name, query, NOW, values, ends_us=part))
            if self.breaks and len(days) > len(part):
                raise SourceFailed("the connection ended")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        upgrade(database)
        catalog = Catalog(tmp_path, database)
        yield Stores(catalog, catalog.actions)


@pytest.fixture(params=ADJUSTED)
def world(request: pytest.FixtureRequest) -> World:
    return World(SOURCES[request.param])


def come_in(stores: Stores, world: World, start_us: int | None, end_us: int) -> Filled:
    share = world.source.instrument_of("equity:AAPL")
    wanted = Wanted(SYSTEM, world.source.name, (share.id,), Interval.DAY, end_us)
    begins = stores.catalog.database.read(read_begins, wanted, NOW) if start_us is None else {}
    plan = Plan(SYSTEM, (share,), Interval.DAY, start_us or 0, end_us, f"ing_{len(world.asked)}", begins)
    return asyncio.run(backfill(Line(world.source, cast(Transport, None)), plan, stores, lambda: NOW))


def levels(stores: Stores, world: World) -> set[float]:
    """By how much the closes that are stored are divided."""
    stored = stores.catalog.read(SYSTEM, world.source.name, ["equity:AAPL"], Interval.DAY)
    return {(100.0 + at // DAY_US % 7) / close for at, close in stored.select("time", "close").rows()}


def mixed(done: Filled) -> list[Finding]:
    return [finding for finding in done.report.verdict.findings if finding.code == "mixed_adjustment"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((FIRST, SPLIT), (SPLIT + 1, LAST)),
        ((SPLIT, LAST - 30 * DAY_US), (FIRST, SPLIT - 1)),
        ((FIRST, LAST - 30 * DAY_US), (SPLIT, SPLIT + 30 * DAY_US)),
        ((FIRST, SPLIT), (None, LAST)),
        ((FIRST, LAST), (None, SPLIT)),
    ],
    ids=["later", "earlier", "within", "going on", "going on to an earlier end"],
)
def test_after_a_split_the_whole_series_is_of_one_scale(
    stores: Stores, world: World, before: tuple[int, int], after: tuple[int | None, int]
) -> None:
    come_in(stores, world, *before)
    world.divided = 4.0
    done = come_in(stores, world, *after)
    assert levels(stores, world) == {4.0}
    assert mixed(done) == []


def test_what_is_not_rewritten_is_not_asked_for_again(stores: Stores, world: World) -> None:
    come_in(stores, world, FIRST, SPLIT)
    world.asked.clear()
    come_in(stores, world, SPLIT + 1, LAST)
    assert min(start for start, _ in world.asked) > SPLIT - 10 * DAY_US
    assert levels(stores, world) == {1.0}


def test_a_series_that_was_rewritten_in_part_is_suspect_until_all_of_it_has_come(stores: Stores, world: World) -> None:
    come_in(stores, world, FIRST, SPLIT)
    world.divided, world.breaks = 4.0, True
    with pytest.raises(SourceFailed):
        come_in(stores, world, SPLIT + 1, LAST)
    assert levels(stores, world) == {1.0, 4.0}
    (row,) = stores.catalog.database.read(series.list_series, SYSTEM)
    assert "mixed_adjustment" in {finding["code"] for finding in row["findings"]}
    world.breaks = False
    assert mixed(come_in(stores, world, SPLIT + 1, LAST)) == []
    assert levels(stores, world) == {4.0}


def test_one_that_was_rewritten_up_to_its_last_days_is_seen(stores: Stores, world: World) -> None:
    come_in(stores, world, FIRST, int(DAYS[57]))
    world.divided, world.breaks = 4.0, True  # after the first page, of 56 days
    with pytest.raises(SourceFailed):
        come_in(stores, world, int(DAYS[58]), LAST)
    world.breaks = False
    assert mixed(come_in(stores, world, int(DAYS[58]), LAST)) == []
    assert levels(stores, world) == {4.0}


def test_what_the_source_no_longer_gives_is_told_and_stays_told(stores: Stores, world: World) -> None:
    come_in(stores, world, FIRST, SPLIT)
    assert world.source.bars is not None
    world.source = replace(world.source, bars=replace(world.source.bars, reach_us=NOW - SPLIT + 30 * DAY_US))
    world.divided = 4.0
    (told,) = mixed(come_in(stores, world, None, LAST))
    assert levels(stores, world) == {1.0, 4.0}
    oldest_us = world.source.bars.oldest_us(Interval.DAY, NOW, Kind.EQUITY)
    assert f"bars before {format_us(oldest_us)}" in told.detail
    world.since = oldest_us
    for start_us in (None, FIRST):
        assert [told] == mixed(come_in(stores, world, start_us, LAST)), "another one heals nothing"


def test_bars_that_cannot_be_compared_are_told(stores: Stores, world: World) -> None:
    come_in(stores, world, FIRST, SPLIT)
    assert world.source.bars is not None
    world.source = replace(world.source, bars=replace(world.source.bars, reach_us=30 * DAY_US))
    world.divided = 4.0
    (told,) = mixed(come_in(stores, world, LAST - 10 * DAY_US, LAST))
    assert "could not be compared" in told.detail
    world.source = replace(world.source, bars=replace(world.source.bars, reach_us=None))
    assert mixed(come_in(stores, world, FIRST, LAST)) == [], "all of it came anew"
    assert levels(stores, world) == {4.0}


def test_a_correction_of_the_last_bar_is_no_other_scale(stores: Stores, world: World) -> None:
    come_in(stores, world, FIRST, SPLIT)
    assert world.source.bars is not None
    world.source = replace(world.source, bars=replace(world.source.bars, reach_us=NOW - SPLIT + 30 * DAY_US))
    world.corrected = int(DAYS[DAYS <= SPLIT][-1])
    assert mixed(come_in(stores, world, None, LAST)) == []
