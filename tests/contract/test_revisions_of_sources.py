"""Whatever source and interval: a value that comes later is not seen as of a moment before it came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from recorded import bars_query
from tradewright.clock import DAY_US, parse_us
from tradewright.errors import UnknownName
from tradewright.ids import SYSTEM
from tradewright.market.calendars import expected_times
from tradewright.market.catalog import Catalog
from tradewright.market.ingest import Ingestion
from tradewright.market.instruments import Instrument, Interval
from tradewright.sources.registry import SOURCES
from tradewright.sources.rows import LATE_US, bars_frame
from tradewright.sources.source import Source
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

START, END = parse_us("2024-03-04"), parse_us("2024-03-09")
FIRST, LATER = END + DAY_US, END + 60 * DAY_US
NAMES = ("equity:AAPL", "crypto:BTC-USD", "fx:EUR-USD", "fx:USD-EUR", "fx:CAD-USD", "index:VIX", "index:SPX")
OFFERED = [(name, i) for name, source in sorted(SOURCES.items()) if source.bars for i in source.bars.intervals]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    folder: Path = tmp_path_factory.mktemp("revisions")
    with Database(f"sqlite:///{folder / 'db'}") as database:
        upgrade(database)
        yield Catalog(folder, database)


def _instruments(source: Source) -> list[Instrument]:
    found = [source.instrument_of(source.example)]
    for name in NAMES:
        try:
            found.append(source.instrument_of(name))
        except UnknownName:
            continue
    return list({each.id: each for each in found if each.kind in source.kinds}.values())


@pytest.mark.parametrize(("name", "interval"), OFFERED, ids=str)
def test_a_revision_never_changes_what_was_known_before_it_came(
    catalog: Catalog, name: str, interval: Interval
) -> None:
    source = SOURCES[name]
    assert source.bars is not None
    instruments = _instruments(source)
    ingestion = Ingestion(
        catalog, catalog.database, SYSTEM, instruments, interval=interval, source=name, now_us=FIRST,
        ingestion_id=f"ing_{name}", lag_us=source.bars.lag_us, paged=True,
    )  # fmt: skip

    def come(received_us: int, close: float) -> None:
        parts = []
        for instrument in instruments:
            ends = expected_times(instrument.calendar, interval, START, END)[:3]
            for end, lag_us in zip(ends, (0, LATE_US, source.bars.lag_us), strict=True):  # whichever a parser assumes
                values = {key: [close] for key in ("open", "high", "low", "close")}
                query = bars_query(source, instrument.id, interval)
                parts.append(bars_frame(name, query, received_us, values, ends_us=[int(end)], lag_us=lag_us))
        ingestion.take(pl.concat(parts))

    def closes(as_of_us: int | None = None) -> list[float]:
        names = [instrument.id for instrument in instruments]
        return list(catalog.read(SYSTEM, name, names, interval, as_of_us=as_of_us)["close"])

    come(FIRST, 10.0)
    come(LATER, 77.0)
    assert closes(LATER - 1) == [10.0] * 3 * len(instruments)
    assert closes(LATER) == closes() == [77.0] * 3 * len(instruments)
