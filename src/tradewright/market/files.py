"""Bars that come in as a whole: a packaged data set, a CSV file."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tradewright import ids
from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.csvfile import read_csv
from tradewright.market.datasets import DataSetSpec, data_set, load_bars
from tradewright.market.ingest import IngestReport, Progress, ingest_frame
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.judging import SeriesReport
from tradewright.market.records import finding_from_json
from tradewright.market.verdicts import DataVerdict
from tradewright.storage import series as store
from tradewright.storage.database import Database, Tx


def ingest_data_set(
    catalog: Catalog, database: Database, name: str, now_us: int, progress: Progress | None = None
) -> IngestReport:
    """Bring a packaged data set into the catalog for everyone; return the report.

    When this version of the package is in already nothing is read, and the report says so with 0 rows read. Raises
    UnknownName for a data set that does not exist, StorageFailed; run it again to go on.
    """
    spec = data_set(name)
    note = f"{spec.note} ({spec.origin})"
    present = database.read(store.get_data_set, SYSTEM, name)
    if present is not None and present["note"] == note:
        return _standing_report(database, spec)
    if progress is not None:
        progress(0.0, f"reading {spec.origin}")
    report = ingest_frame(
        catalog,
        database,
        SYSTEM,
        load_bars(name, now_us),
        spec.instruments,
        interval=spec.interval,
        source=spec.source,
        now_us=now_us,
        ingestion_id=_ingestion_id(spec),
        close_only=spec.close_only,
        pre_adjusted=spec.pre_adjusted,
        revised=spec.revised,
        findings=spec.findings,
        progress=progress,
    )
    database.write(_finish_data_set, spec, note, now_us)
    return report


def _standing_report(database: Database, spec: DataSetSpec) -> IngestReport:
    rows = database.read(store.list_series, SYSTEM, interval=spec.interval.value, source=spec.source)
    reports = [
        SeriesReport(
            row["source"],
            row["instrument"],
            row["interval"],
            row["rows"],
            DataVerdict.of(finding_from_json(stored) for stored in row["findings"]),
        )
        for row in rows
    ]
    return IngestReport(_ingestion_id(spec), 0, 0, 0, 0, 0, 0, tuple(reports))


def _ingestion_id(spec: DataSetSpec) -> str:
    return ids.derive("ing", SYSTEM, spec.name, spec.origin)


def _finish_data_set(tx: Tx, spec: DataSetSpec, note: str, now_us: int) -> None:
    aliases = [
        {"source": spec.source, "symbol": symbol, "valid_from": 0, "valid_to": None, "instrument": instrument}
        for instrument, symbol in spec.aliases.items()
    ]
    store.add_aliases(tx, aliases)
    members = [{"source": spec.source, "instrument": i.id, "interval": spec.interval.value} for i in spec.instruments]
    store.save_data_set(tx, SYSTEM, spec.name, members, note, now_us)


def ingest_csv(
    path: Path | str,
    catalog: Catalog,
    database: Database,
    owner: Owner,
    instrument: Instrument,
    *,
    interval: Interval | str,
    now_us: int,
    ingestion_id: str,
    source: str = "file",
    pre_adjusted: bool = False,
    lag_us: int = 0,
    progress: Progress | None = None,
) -> IngestReport:
    """Check and store the bars of a CSV file; return what became of every line.

    See `csvfile.read_csv` for the columns and times that are understood. Lines that cannot be read go to quarantine
    with their text. Raises InvalidInput for a file without the needed columns, StorageFailed.
    """
    step = Interval.parse(interval)
    read = read_csv(path, instrument.id, step, instrument.calendar)
    return ingest_frame(
        catalog,
        database,
        owner,
        read.bars.with_columns(pl.lit(instrument.id).alias("instrument")),
        [instrument],
        interval=step,
        source=source,
        now_us=now_us,
        ingestion_id=ingestion_id,
        close_only=read.close_only,
        pre_adjusted=pre_adjusted,
        lag_us=lag_us,
        unreadable=read.unreadable,
        progress=progress,
    )
