"""The catalog: live commits and a read after them, ingestion of a file, flush and compaction."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from benchmarks.postgres import server
from benchmarks.table import Row

from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.files import ingest_csv
from tradewright.market.frames import SCHEMA
from tradewright.market.instruments import Instrument, Interval
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

COMMITS, DELTA_COMMITS, LINES, ROUNDS, FLUSHES = 10_000, 100, 500_000, 3, 20
MINUTE_US = 60_000_000
NOTE = (
    "A live commit is one bar in a transaction of its own, durable when it returns (SQLite: synchronous=FULL). "
    "The Delta peer appends one row a commit to a table of its own; it is measured on 100 commits, because each "
    "takes as long as it does. The read after 10,000 commits returns all of them, resolved, as the catalog always"
    " does; its peer reads the same rows from one Parquet file with Polars and resolves nothing. The pandas peer "
    "reads the same CSV, parses the times, drops duplicates, sorts, and writes its columns to one file; it checks"
    " nothing."
)


def run(folder: Path) -> list[Row]:
    """Return the measured rows."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        return [*_live(place), *_postgres(place), *_ingest(place)]


def _bar(number: int) -> dict[str, Any]:
    at, price = (number + 1) * MINUTE_US, 100 + number % 17 * 0.25
    return {
        "source": "live", "instrument": "crypto:BTC-USD", "interval": "1m", "time": at, "known_at": at,
        "observed_at": at + 1, "open": price, "high": price + 1, "low": price - 1, "close": price, "volume": 3.0,
    }  # fmt: skip


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _live(place: Path) -> list[Row]:
    with Database(f"sqlite:///{place / 'tail.db'}") as database:
        upgrade(database)
        catalog = Catalog(place / "catalog", database)
        commit, delta = _commits(catalog, database, place)
        rows = pl.DataFrame([_bar(n) for n in range(COMMITS)], schema=SCHEMA)
        rows.write_parquet(place / "bars.parquet")
        ours, theirs = [], []
        for _ in range(ROUNDS * 3):
            ours.append(_seconds(lambda: _all_rows(catalog)) * 1e3)
            theirs.append(_seconds(lambda: pl.read_parquet(place / "bars.parquet")) * 1e3)
        flushed = _seconds(lambda: catalog.flush())
        after = [_seconds(lambda: _all_rows(catalog)) * 1e3 for _ in range(ROUNDS * 3)]
        for number in range(FLUSHES):
            database.write(catalog.tail_append, SYSTEM, [_bar(COMMITS + number)])
            catalog.flush()
        files: list[int] = []
        compacted = _seconds(lambda: files.append(catalog.compact("1m")))
        assert files[0] > FLUSHES, f"{files[0]} files were merged"
    read, parquet = median(ours), median(theirs)
    return [
        Row("one live commit, durable, median of 10,000, ms", "Delta append (100)", commit, delta, delta / commit),
        Row(f"read {COMMITS:,} live bars from the tail, ms", "Polars, one Parquet file", read, parquet, parquet / read),
        Row(f"flush {COMMITS:,} live bars into the tables, ms", "", flushed * 1e3),
        Row(
            f"read {COMMITS:,} bars after the flush, ms",
            "Polars, one Parquet file",
            median(after),
            parquet,
            parquet / median(after),
        ),
        Row(f"compact the tables after {FLUSHES} small flushes, ms", "", compacted * 1e3),
    ]


def _all_rows(catalog: Catalog) -> None:
    found = catalog.read(SYSTEM, "live", ["crypto:BTC-USD"], "1m").height
    assert found == COMMITS, f"the catalog gave {found} rows"


def _commits(catalog: Catalog, database: Database, place: Path) -> tuple[float, float]:
    from deltalake import write_deltalake

    table, ours, theirs = str(place / "delta"), [], []
    every = COMMITS // DELTA_COMMITS
    for number in range(COMMITS):
        row = _bar(number)
        ours.append(_seconds(lambda row=row: database.write(catalog.tail_append, SYSTEM, [row])))  # type: ignore[misc]
        if number % every == 0:
            one = pl.DataFrame([row], schema=SCHEMA)
            theirs.append(_seconds(lambda one=one: write_deltalake(table, one, mode="append")))  # type: ignore[misc]
    return median(ours) * 1e3, median(theirs) * 1e3


def _postgres(place: Path) -> list[Row]:
    with server() as url:
        if url is None:
            return []
        with Database(url) as database:
            upgrade(database)
            catalog = Catalog(place / "postgres", database)
            times = []
            for number in range(COMMITS):
                row = _bar(number)
                times.append(_seconds(lambda row=row: database.write(catalog.tail_append, SYSTEM, [row])))  # type: ignore[misc]
            read = median(_seconds(lambda: _all_rows(catalog)) * 1e3 for _ in range(ROUNDS))
    return [
        Row("one live commit on PostgreSQL, durable, median of 10,000, ms", "", median(times) * 1e3),
        Row(f"read {COMMITS:,} live bars from the tail on PostgreSQL, ms", "", read),
    ]


def _ingest(place: Path) -> list[Row]:
    draw = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(draw.standard_normal(LINES) * 1e-4))
    opened = np.concatenate([[100.0], close[:-1]])
    start = 1_600_000_020_000_000
    frame = pl.DataFrame(
        {
            "time": pl.Series(start + np.arange(LINES) * MINUTE_US).cast(pl.Datetime("us")),
            "open": opened, "high": np.maximum(opened, close) * 1.0001, "low": np.minimum(opened, close) * 0.9999,
            "close": close, "volume": draw.random(LINES) * 10,
        }
    )  # fmt: skip
    path = place / "bars.csv"
    frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    ours, theirs = [], []
    for number in range(ROUNDS):
        ours.append(_ingested(place / f"ingest-{number}", path))
        theirs.append(_seconds(lambda: _by_pandas(path, place / "by-hand.npz")))
    mine, peer = LINES / median(ours), LINES / median(theirs)
    what = f"ingest a CSV of {LINES:,} bars: parse, check, store, rows/s"
    return [Row(what, "pandas by hand, no checks", mine, peer, mine / peer, 300_000.0, rate=True)]


def _ingested(place: Path, path: Path) -> float:
    with Database(f"sqlite:///{place}.db") as database:
        upgrade(database)
        catalog = Catalog(place, database)
        bitcoin = Instrument("crypto:BTC-USD")
        began = time.perf_counter()
        report = ingest_csv(
            path, catalog, database, SYSTEM, bitcoin, interval=Interval.MINUTE, now_us=2_000_000_000_000_000,
            ingestion_id="ing",
        )  # fmt: skip
        taken = time.perf_counter() - began
    assert report.accepted == LINES, f"{report.accepted} rows were accepted"
    shutil.rmtree(place)
    return taken


def _by_pandas(path: Path, to: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(path, parse_dates=["time"])
    frame = frame.drop_duplicates("time").sort_values("time")
    frame = frame[(frame[["open", "high", "low", "close"]] > 0).all(axis=1)]
    assert len(frame) == LINES
    np.savez(to, **{name: frame[name].to_numpy() for name in frame.columns})
