"""From a frame of bars to the catalog: check, keep aside what cannot be used, store the rest, write down the verdict.

An ingestion can be repeated. Rows kept aside have ids that derive from the ingestion and their position, bars are
stored under a batch id that derives from the ingestion and their content, rows that are stored already with the same
values are not stored again, and the verdict is computed from what is stored. So a run that was stopped anywhere ends,
when run again, in the state of one that was not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from tradewright import ids
from tradewright.clock import format_us
from tradewright.errors import UnknownName
from tradewright.ids import SYSTEM, Owner
from tradewright.market.actions import actions_of_column
from tradewright.market.arrays import Action
from tradewright.market.catalog import Catalog
from tradewright.market.checks import REVISED, ROWS_KEPT, Sifted, rejection_findings, series_findings, sift
from tradewright.market.consensus import kept
from tradewright.market.csvfile import read_csv
from tradewright.market.datasets import DataSetSpec, data_set, load_bars
from tradewright.market.frames import SCHEMA, VALUES, canonical, resolve, same_values
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.provenance import action_findings, release_findings
from tradewright.market.records import finding_from_json, finding_to_json, instrument_to_row
from tradewright.market.span import Asked, expected, span_findings, until
from tradewright.market.verdicts import DataVerdict, Finding, Verdict
from tradewright.storage import series as store
from tradewright.storage.database import Database, Tx

Progress = Callable[[float, str], None]

_QUARANTINE_CHUNK = 5_000
_INPUT_CODES = frozenset({"duplicate_rows", "unordered_rows"})


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """What an ingestion did to one series. rows: how many bars the series has now."""

    source: str
    instrument: str
    interval: str
    rows: int
    verdict: DataVerdict


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingestion did. rows_read = accepted + rejected + duplicates.

    accepted: rows that can be used. stored: those of them that were new (the rest was there with the same values).
    """

    ingestion: str
    rows_read: int
    accepted: int
    rejected: int
    duplicates: int
    stored: int
    series: tuple[SeriesReport, ...]

    @property
    def verdict(self) -> DataVerdict:
        """The verdict over all series."""
        return DataVerdict.of(finding for series in self.series for finding in series.verdict.findings)


@dataclass(frozen=True, slots=True)
class _Run:
    catalog: Catalog
    database: Database
    owner: Owner
    source: str
    interval: Interval
    ingestion: str
    now_us: int
    close_only: bool
    pre_adjusted: bool
    lag_us: int
    revised: bool
    known: tuple[Finding, ...]
    paged: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the rows of one frame. rows_read = accepted + rejected + duplicates."""

    rows_read: int
    accepted: int
    rejected: int
    duplicates: int
    stored: int


class Ingestion:
    """Bars of one source and interval on their way in, frame by frame: `take` each, then `conclude` once.

    What was taken is in the catalog when `take` returns. A run that stopped is repeated with the same id, from any
    frame before the one that it stopped at: what is there already is not stored again. instruments: those the frames
    may hold; new ones are stored. paged: a row that comes again is the same row, so one that is kept aside is kept
    once; else rows are told apart by their position. The rest is as in `ingest_frame`.
    """

    def __init__(
        self,
        catalog: Catalog,
        database: Database,
        owner: Owner,
        instruments: Sequence[Instrument],
        *,
        interval: Interval | str,
        source: str,
        now_us: int,
        ingestion_id: str,
        close_only: bool = False,
        pre_adjusted: bool = False,
        lag_us: int = 0,
        revised: bool = False,
        findings: Sequence[Finding] = (),
        paged: bool = False,
    ) -> None:
        self._run = _Run(
            catalog, database, owner, source, Interval.parse(interval), ingestion_id, now_us, close_only, pre_adjusted,
            lag_us, revised, (*findings, REVISED) if revised else tuple(findings), paged,
        )  # fmt: skip
        self._known = {instrument.id: instrument for instrument in instruments}
        self._seen: dict[str, Sifted] = {}  # of the last frame of each instrument, and the findings of all of them
        self._input: dict[str, list[Finding]] = {}
        self._grew: set[str] = set()
        self._taken: list[Taken] = []
        self._settled: dict[str, SeriesReport] = {}
        self._asked: dict[str, Asked] = {}
        self._actions_said: dict[str, str] = {}
        database.write(store.add_instruments, [instrument_to_row(i, now_us) for i in instruments])
        visible = database.read(store.list_series, owner, interval=self._run.interval.value, source=source)
        self._present = {row["instrument"] for row in visible if row["owner"] == owner}

    def take(
        self, frame: pl.DataFrame, unreadable: pl.DataFrame | None = None, progress: Progress | None = None
    ) -> Taken:
        """Check the rows of a frame, keep aside what cannot be used and store the rest.

        Raises UnknownName for an instrument that is not among those of this ingestion, StorageFailed when the disk or
        the database refuses.
        """
        run = self._run
        if unreadable is not None and unreadable.height:
            _keep_unreadable(run, unreadable)
        height, checked = self._judged(frame)
        _tell(progress, 0.4, f"checked {height} rows of {len(checked)} series")
        for result in checked.values():
            _keep_rejected(run, result.rejected)
        _tell(progress, 0.5, "kept rejected rows aside")
        stored = _store(run, checked, self._present)
        _tell(progress, 0.8, f"stored {stored} rows")
        for name, result in checked.items():
            if name in self._present or name in self._seen:
                self._grew.add(name)
            self._input.setdefault(name, []).extend(f for f in result.findings if f.code in _INPUT_CODES)
            self._seen[name] = result
        self._present |= {name for name, result in checked.items() if result.accepted.height}
        lost = 0 if unreadable is None else unreadable.height
        taken = Taken(
            height + lost,
            sum(result.accepted.height for result in checked.values()),
            sum(result.rejected.height for result in checked.values()) + lost,
            sum(result.duplicates for result in checked.values()),
            stored,
        )
        self._taken.append(taken)
        return taken

    def admit(self, rows: pl.DataFrame) -> int:
        """Store rows that were taken out of quarantine, as they are; return how many were new. Raises StorageFailed."""
        run = self._run
        fresh = canonical(rows, source=run.source, interval=run.interval.value, observed_at_us=run.now_us)
        return _append(run, _without_stored(run, fresh, set(fresh["instrument"]))) if fresh.height else 0

    def judge(self, instrument: str) -> SeriesReport:
        """Write down what a series holds now, with its verdict, without new rows; return that."""
        run = self._run
        return _conclude(run, self._known[instrument], None, _input_findings(run, instrument), True)

    def checked(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """Return the rows of a frame that can be used, for whoever stores them, and how many were kept aside.

        Raises as `take` does.
        """
        _, checked = self._judged(frame)
        for result in checked.values():
            _keep_rejected(self._run, result.rejected)
        good = [result.accepted for result in checked.values()]
        rejected = sum(result.rejected.height for result in checked.values())
        return (pl.concat(good) if good else canonical(pl.DataFrame(schema=SCHEMA))), rejected

    def _judged(self, frame: pl.DataFrame) -> tuple[int, dict[str, Sifted]]:
        run = self._run
        rows = canonical(
            frame, source=run.source, interval=run.interval.value, observed_at_us=run.now_us, lag_us=run.lag_us
        )
        parts = {str(key[0]): part for key, part in rows.partition_by("instrument", as_dict=True).items()}
        for name in parts:
            if name not in self._known:
                raise UnknownName.of("instrument in this ingestion", name, self._known)
        return rows.height, {
            name: sift(part, self._known[name], close_only=run.close_only) for name, part in sorted(parts.items())
        }

    def revisit(self, instrument: str) -> None:
        """Judge this series at the end even when no frame of this run holds it: an earlier run stored some of it."""
        empty = canonical(pl.DataFrame(schema=SCHEMA))
        self._seen.setdefault(instrument, sift(empty, self._known[instrument], close_only=self._run.close_only))
        self._input.setdefault(instrument, [])
        self._grew.add(instrument)

    def answered(self, instrument: str, asked: Asked) -> None:
        """Everything that the source has of this span has come: what is not there, the source did not give."""
        self._asked[instrument] = asked
        if instrument in self._present and instrument not in self._seen:
            self.revisit(instrument)

    def asked_actions(self, instrument: str, refused: str) -> None:
        """The source was asked for splits and dividends. refused: why it did not give them, "" when it did."""
        self._actions_said[instrument] = refused

    def settle(self, instrument: str) -> None:
        """Write down what a series holds now, with its verdict, if it was touched. `conclude` need not do it again."""
        if instrument in self._seen:
            self._settled[instrument] = self._concluded(instrument)
            del self._seen[instrument], self._input[instrument]
        elif instrument in self._asked and instrument not in self._settled:
            self._settled.update(self._without_rows(instrument))

    def _concluded(self, instrument: str) -> SeriesReport:
        result, found, grew = self._seen[instrument], _merged(self._input[instrument]), instrument in self._grew
        asked, said = self._asked.get(instrument), self._actions_said.get(instrument)
        return _conclude(self._run, self._known[instrument], result, found, grew, asked, said)

    def _without_rows(self, name: str) -> dict[str, SeriesReport]:
        # there is no series to write this down at
        run, instrument, asked = self._run, self._known[name], self._asked[name]
        end_us = min(asked.end_us, until(instrument, run.interval, run.now_us - run.lag_us))
        count = expected(instrument, run.interval, asked.start_us, end_us)
        if count < asked.least:
            return {}
        detail = f"no bar came between {format_us(asked.start_us)} and {format_us(asked.end_us)}"
        told = f"{detail}; calendar {instrument.calendar} expects {count}"
        verdict = DataVerdict.of([Finding("no_rows", Verdict.REJECTED, told, name, count)])
        return {name: SeriesReport(run.source, name, run.interval.value, 0, verdict)}

    def conclude(self) -> IngestReport:
        """Write down what each series that was touched holds now, with its verdict; return the report of the whole."""
        run = self._run
        concluded = {name: self._concluded(name) for name in self._seen}
        reports = [report for _, report in sorted((self._settled | concluded).items())]
        return IngestReport(
            run.ingestion,
            rows_read=sum(taken.rows_read for taken in self._taken),
            accepted=sum(taken.accepted for taken in self._taken),
            rejected=sum(taken.rejected for taken in self._taken),
            duplicates=sum(taken.duplicates for taken in self._taken),
            stored=sum(taken.stored for taken in self._taken),
            series=tuple(reports),
        )


def ingest_frame(
    catalog: Catalog,
    database: Database,
    owner: Owner,
    frame: pl.DataFrame,
    instruments: Sequence[Instrument],
    *,
    interval: Interval | str,
    source: str,
    now_us: int,
    ingestion_id: str,
    close_only: bool = False,
    pre_adjusted: bool = False,
    lag_us: int = 0,
    revised: bool = False,
    findings: Sequence[Finding] = (),
    unreadable: pl.DataFrame | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Check and store bars of one source and interval; return what became of every row.

    frame: canonical or canonical but for source, interval, known_at (then time + lag_us) and observed_at (then now_us).
    instruments: those the frame may hold; new ones are stored. lag_us: the declared publication lag. revised: history
    is back-filled without vintages. findings: what is known beforehand, added to the verdict of every series.
    unreadable: rows that could not even be read: position, instrument, detail, row (JSON text). progress: called
    with (fraction, message). Raises UnknownName for an instrument that is not in `instruments`, StorageFailed when the
    disk or the database refuses; run it again with the same id to go on.
    """
    ingestion = Ingestion(
        catalog, database, owner, instruments, interval=interval, source=source, now_us=now_us,
        ingestion_id=ingestion_id, close_only=close_only, pre_adjusted=pre_adjusted, lag_us=lag_us, revised=revised,
        findings=findings,
    )  # fmt: skip
    ingestion.take(frame, unreadable, progress)
    report = ingestion.conclude()
    _tell(progress, 1.0, "wrote the verdicts")
    return report


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
    _tell(progress, 0.0, f"reading {spec.origin}")
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
    return IngestReport(_ingestion_id(spec), 0, 0, 0, 0, 0, tuple(reports))


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


def _tell(progress: Progress | None, fraction: float, message: str) -> None:
    if progress is not None:
        progress(fraction, message)


def _keep_rejected(run: _Run, rejected: pl.DataFrame) -> None:
    for start in range(0, rejected.height, _QUARANTINE_CHUNK):
        rows = [
            _quarantine_row(
                run,
                row["instrument"],
                _content(row) if run.paged else row["position"],
                row["time"],
                row["code"],
                row["detail"],
                values,
            )
            for row in rejected.slice(start, _QUARANTINE_CHUNK).iter_rows(named=True)
            for values in [{name: _plain(row[name]) for name in ("known_at", "observed_at", *VALUES)}]
        ]
        run.database.write(store.quarantine_rows, rows)


def _content(row: Mapping[str, Any]) -> str:
    return "/".join(str(row[name]) for name in ("time", "code", *VALUES))


def _keep_unreadable(run: _Run, unreadable: pl.DataFrame) -> None:
    for start in range(0, unreadable.height, _QUARANTINE_CHUNK):
        rows = [
            _quarantine_row(
                run,
                row["instrument"],
                f"line {row['position']}",
                None,
                "unparseable",
                f"line {row['position']}: {row['detail']}",
                json.loads(row["row"]),
            )
            for row in unreadable.slice(start, _QUARANTINE_CHUNK).iter_rows(named=True)
        ]
        run.database.write(store.quarantine_rows, rows)


def _quarantine_row(
    run: _Run, instrument: str, position: object, time_us: int | None, code: str, detail: str, values: object
) -> dict[str, Any]:
    key = (run.owner, run.source, instrument, run.interval.value)
    return {  # what comes in pages comes again in later ingestions, and is kept aside once
        "id": ids.derive("qua", "" if run.paged else run.ingestion, *key, position),
        "owner": run.owner,
        "source": run.source,
        "instrument": instrument,
        "interval": run.interval.value,
        "time": time_us,
        "code": code,
        "detail": detail,
        "row": values,
        "ingestion": run.ingestion,
        "status": "held",
        "created_at": run.now_us,
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and value in (float("inf"), float("-inf")) else value


def _store(run: _Run, checked: Mapping[str, Sifted], present: set[str]) -> int:
    accepted = [result.accepted for result in checked.values() if result.accepted.height]
    if not accepted:
        return 0
    rows = pl.concat(accepted)
    if present:
        rows = _without_stored(run, rows, present)
    return _append(run, rows)


def _append(run: _Run, rows: pl.DataFrame) -> int:
    if not rows.height:
        return 0
    content = rows.drop("observed_at").hash_rows(seed=0).to_numpy().tobytes()
    batch = ids.derive("bat", run.ingestion, run.source, run.interval.value, hashlib.sha256(content).hexdigest())
    run.catalog.append(run.owner, rows, batch)
    return rows.height


def _without_stored(run: _Run, rows: pl.DataFrame, present: set[str]) -> pl.DataFrame:
    first, last = rows.select(pl.col("time").min().alias("first"), pl.col("time").max().alias("last")).row(0)
    stored = run.catalog.read(run.owner, run.source, sorted(present), run.interval, first, last)
    if not stored.height:
        return rows
    several = pl.len().over("instrument", "time") > 1  # revisions within this frame are all new
    there = stored.select("instrument", "time", *VALUES, pl.lit(True).alias("there"))
    joined = rows.with_columns(several.alias("several")).join(
        there, on=["instrument", "time"], how="left", suffix="_stored", maintain_order="left"
    )
    known = pl.col("there").is_not_null() & same_values() & ~pl.col("several")
    return joined.filter(~known).select(rows.columns)


def _merged(findings: Sequence[Finding]) -> list[Finding]:
    if len(findings) < 2:
        return list(findings)
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    return [
        replace(
            same[0],
            severity=max(finding.severity for finding in same),
            detail=same[0].detail if len(same) == 1 else f"in {len(same)} pages: {same[0].detail}",
            count=sum(finding.count for finding in same),
            rows=tuple(time for finding in same for time in finding.rows)[:ROWS_KEPT],
        )
        for same in by_code.values()
    ]


def _input_findings(run: _Run, instrument: str) -> list[Finding]:
    row = run.database.read(store.get_series, run.owner, run.source, instrument, run.interval.value)
    stored = [] if row is None else [finding_from_json(each) for each in row["findings"]]
    return [finding for finding in stored if finding.code in _INPUT_CODES]


def _conclude(
    run: _Run,
    instrument: Instrument,
    result: Sifted | None,
    found: list[Finding],
    grew: bool,
    asked: Asked | None = None,
    actions_said: str | None = None,
) -> SeriesReport:
    key = (run.source, instrument.id, run.interval.value)
    rejected = run.database.read(store.count_quarantine, run.owner, *key)
    released = run.database.read(store.count_quarantine, run.owner, *key, "released")
    actions = _actions(run, instrument)
    if grew or result is None:
        whole = run.catalog.read(run.owner, run.source, [instrument.id], run.interval)
    else:
        whole = resolve(result.accepted)
    found += rejection_findings(rejected, whole.height + sum(rejected.values()), instrument.id)
    found += release_findings(released, instrument.id)
    flags = {"close_only": run.close_only, "pre_adjusted": run.pre_adjusted}
    found += series_findings(whole, instrument, run.interval, **flags, actions=actions)
    found += [replace(finding, instrument=instrument.id) for finding in run.known]
    row = run.database.read(store.get_series, run.owner, *key)
    found += kept(row)
    if not run.pre_adjusted:
        found += action_findings(actions_said, instrument.id, row)
    found += _span_findings(run, instrument, whole, asked, row)
    verdict = DataVerdict.of(found)
    run.database.write(store.save_series, _series_row(run, instrument.id, whole, verdict))
    return SeriesReport(*key, rows=whole.height, verdict=verdict)


def _span_findings(
    run: _Run, instrument: Instrument, whole: pl.DataFrame, asked: Asked | None, row: Mapping[str, Any] | None
) -> list[Finding]:
    if not whole.height:
        return []
    before = [] if row is None else [finding_from_json(each) for each in row["findings"]]
    stored = int(whole["time"][0]), int(whole["time"][-1])
    return span_findings(instrument, run.interval, stored, asked, before, run.now_us - run.lag_us)


def _actions(run: _Run, instrument: Instrument) -> tuple[Action, ...]:
    if run.pre_adjusted:
        return ()
    found = run.catalog.actions.read(run.owner, run.source, [instrument.id])
    return actions_of_column(found, instrument, run.interval)


def _series_row(run: _Run, instrument: str, whole: pl.DataFrame, verdict: DataVerdict) -> dict[str, Any]:
    content = hashlib.sha256(instrument.encode())
    for name in ("time", *VALUES):
        content.update(whole[name].fill_null(0 if name == "time" else float("nan")).to_numpy().tobytes())
    return {
        "owner": run.owner,
        "source": run.source,
        "instrument": instrument,
        "interval": run.interval.value,
        "pre_adjusted": run.pre_adjusted,
        "close_only": run.close_only,
        "revised": run.revised,
        "lag_us": run.lag_us,
        "rows": whole.height,
        "first_time": whole["time"].min() if whole.height else None,
        "last_time": whole["time"].max() if whole.height else None,
        "verdict": verdict.verdict.label,
        "findings": [finding_to_json(finding) for finding in verdict.findings],
        "data_version": content.hexdigest()[:32],
        "checked_at": run.now_us,
        "created_at": run.now_us,
    }


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
