"""From a frame of bars to the catalog: check, keep aside what cannot be used, store the rest, write down the verdict.

An ingestion can be repeated. Rows kept aside have ids that derive from the ingestion and their position, bars are
stored under a batch id that derives from the ingestion and their content, rows that are stored already with the same
values are not stored again, and the verdict is computed from what is stored. So a run that was stopped anywhere ends,
when run again, in the state of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from tradewright.clock import format_us
from tradewright.errors import UnknownName
from tradewright.ids import Owner
from tradewright.market.arrival import Arrival, append, keep_rejected, keep_unreadable, store_new, without_stored
from tradewright.market.catalog import Catalog
from tradewright.market.checks.sifting import Sifted, sift
from tradewright.market.dated import LeftOuts
from tradewright.market.frames import SCHEMA, canonical
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.judging import INPUT_CODES, SeriesReport, conclude, input_findings, merged
from tradewright.market.provenance import REVISED, Said
from tradewright.market.records import instrument_to_row
from tradewright.market.span import Asked, expected, until
from tradewright.market.verdicts import DataVerdict, Finding, Verdict
from tradewright.storage import series as store
from tradewright.storage import tail
from tradewright.storage.database import Database

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingestion did. rows_read = accepted + rejected + duplicates.

    accepted: rows that can be used. stored: those of them that were not there with the same values. revised: of these,
    the bars that were there with other values.
    """

    ingestion: str
    rows_read: int
    accepted: int
    rejected: int
    duplicates: int
    stored: int
    revised: int
    series: tuple[SeriesReport, ...]

    @property
    def verdict(self) -> DataVerdict:
        """The verdict over all series."""
        return DataVerdict.of(finding for series in self.series for finding in series.verdict.findings)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the rows of one frame, as in `IngestReport`."""

    rows_read: int
    accepted: int
    rejected: int
    duplicates: int
    stored: int
    revised: int


class Ingestion:
    """Bars of one source and interval on their way in, frame by frame: `take` each, then `conclude` once.

    What was taken is in the catalog when `take` returns. A run that stopped is repeated with the same id, from any
    frame before the one that it stopped at: what is there already is not stored again. instruments: those the frames
    may hold; new ones are stored. paged: a row that comes again is the same row, so one that is kept aside is kept
    once; else rows are told apart by their position. elsewhere: the host that they come from, "" for the source's own.
    The rest is as in `ingest_frame`.
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
        elsewhere: str = "",
    ) -> None:
        self._arrival = Arrival(
            catalog, database, owner, source, Interval.parse(interval), ingestion_id, now_us, close_only, pre_adjusted,
            lag_us, revised, (*findings, REVISED) if revised else tuple(findings), paged,
            elsewhere,
        )  # fmt: skip
        self._known = {instrument.id: instrument for instrument in instruments}
        self._seen: dict[str, Sifted] = {}  # of the last frame of each instrument, and the findings of all of them
        self._input: dict[str, list[Finding]] = {}
        self._grew: set[str] = set()
        self._taken: list[Taken] = []
        self._settled: dict[str, SeriesReport] = {}
        self._asked: dict[str, Asked] = {}
        self._said: dict[str, Said] = {}
        database.write(store.add_instruments, [instrument_to_row(i, now_us) for i in instruments])
        visible = database.read(store.list_series, owner, interval=self._arrival.interval.value, source=source)
        self._present = {row["instrument"] for row in visible if row["owner"] == owner}

    def at(self, now_us: int) -> None:
        """From here on it is now_us: for whoever takes in rows for longer than a moment."""
        self._arrival = replace(self._arrival, now_us=now_us)

    def take(
        self, frame: pl.DataFrame, unreadable: pl.DataFrame | None = None, progress: Progress | None = None
    ) -> Taken:
        """Check the rows of a frame, keep aside what cannot be used and store the rest.

        Raises UnknownName for an instrument that is not among those of this ingestion, StorageFailed when the disk or
        the database refuses.
        """
        arrival = self._arrival
        if unreadable is not None and unreadable.height:
            keep_unreadable(arrival, unreadable)
        height, checked = self._judged(frame)
        _tell(progress, 0.4, f"checked {height} rows of {len(checked)} series")
        for result in checked.values():
            keep_rejected(arrival, result.rejected)
        _tell(progress, 0.5, "kept rejected rows aside")
        stored, revised = store_new(arrival, checked, self._present)
        _tell(progress, 0.8, f"stored {stored} rows")
        for name, result in checked.items():
            if name in self._present or name in self._seen:
                self._grew.add(name)
            self._input.setdefault(name, []).extend(f for f in result.findings if f.code in INPUT_CODES)
            self._seen[name] = result
        self._present |= {name for name, result in checked.items() if result.accepted.height}
        lost = 0 if unreadable is None else unreadable.height
        taken = Taken(
            height + lost,
            sum(result.accepted.height for result in checked.values()),
            sum(result.rejected.height for result in checked.values()) + lost,
            sum(result.duplicates for result in checked.values()),
            stored,
            revised,
        )
        self._taken.append(taken)
        return taken

    def admit(self, rows: pl.DataFrame) -> int:
        """Store rows that were taken out of quarantine, as they are; return how many were new. Raises StorageFailed."""
        arrival = self._arrival
        fresh = canonical(rows, source=arrival.source, interval=arrival.interval.value, observed_at_us=arrival.now_us)
        return append(arrival, without_stored(arrival, fresh, set(fresh["instrument"]))[0]) if fresh.height else 0

    def placed(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return checked rows apart: those to be stored, and those that are stored already with the same values. What
        replaces other values was known when it came; the rest stays as it is. Raises StorageFailed."""
        arrival, names = self._arrival, rows["instrument"].unique().to_list()
        key = (arrival.owner, arrival.source, arrival.interval.value, names)
        newest = arrival.database.read(tail.newest_times, *key)
        last = pl.col("instrument").replace_strict(newest, default=None, return_dtype=pl.Int64)
        may_be_there = (pl.col("time") <= last).fill_null(False)
        old = rows.filter(may_be_there)
        if not old.height:  # as nearly always: what a stream brings is new
            return rows, old
        fresh, _ = without_stored(arrival, old, set(newest))
        same = old.join(fresh, on=["instrument", "time", "observed_at"], how="anti", maintain_order="left")
        return pl.concat([fresh, rows.filter(~may_be_there)]), same

    def judge(self, instrument: str) -> SeriesReport:
        """Write down what a series holds now, with its verdict, without new rows; return that."""
        arrival = self._arrival
        return conclude(arrival, self._known[instrument], None, input_findings(arrival, instrument), True)

    def checked(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """Return the rows of a frame that can be used, for whoever stores them, and how many were kept aside.

        Raises as `take` does.
        """
        _, checked = self._judged(frame)
        for result in checked.values():
            keep_rejected(self._arrival, result.rejected)
        good = [result.accepted for result in checked.values()]
        rejected = sum(result.rejected.height for result in checked.values())
        return (pl.concat(good) if good else canonical(pl.DataFrame(schema=SCHEMA))), rejected

    def _judged(self, frame: pl.DataFrame) -> tuple[int, dict[str, Sifted]]:
        arrival = self._arrival
        rows = canonical(
            frame,
            source=arrival.source,
            interval=arrival.interval.value,
            observed_at_us=arrival.now_us,
            lag_us=arrival.lag_us,
        )
        parts = {str(key[0]): part for key, part in rows.partition_by("instrument", as_dict=True).items()}
        for name in parts:
            if name not in self._known:
                raise UnknownName.of("instrument in this ingestion", name, self._known)
        return rows.height, {
            name: sift(part, self._known[name], close_only=arrival.close_only) for name, part in sorted(parts.items())
        }

    def revisit(self, instrument: str) -> None:
        """Judge this series at the end even when no frame of this run holds it: an earlier run stored some of it."""
        empty = canonical(pl.DataFrame(schema=SCHEMA))
        self._seen.setdefault(instrument, sift(empty, self._known[instrument], close_only=self._arrival.close_only))
        self._input.setdefault(instrument, [])
        self._grew.add(instrument)

    def answered(self, instrument: str, asked: Asked) -> None:
        """Everything that the source has of this span has come: what is not there, the source did not give."""
        self._asked[instrument] = asked
        if instrument in self._present and instrument not in self._seen:
            self.revisit(instrument)

    def asked_actions(self, instrument: str, refused: str, left_out: LeftOuts | None = None) -> None:
        """The source was asked for splits and dividends. refused: why it did not give them, "" when it did. left_out:
        what it told of beside them."""
        said = replace(self._said.get(instrument, Said()), actions_refused=refused)
        self._said[instrument] = replace(said, actions_left_out=left_out)

    def adjusted_apart(self, instrument: str, why: str) -> None:
        """Stored bars are on another scale than what the source gives now, or may be. why: "" when none is any more."""
        self._said[instrument] = replace(self._said.get(instrument, Said()), adjusted_apart=why)

    def settle(self, instrument: str) -> None:
        """Write down what a series holds now, with its verdict, if it was touched. `conclude` need not do it again."""
        if instrument in self._seen:
            self._settled[instrument] = self._concluded(instrument)
            del self._seen[instrument], self._input[instrument]
        elif instrument in self._asked and instrument not in self._settled:
            self._settled.update(self._without_rows(instrument))

    def _concluded(self, instrument: str) -> SeriesReport:
        result, found, grew = self._seen[instrument], merged(self._input[instrument]), instrument in self._grew
        asked, said = self._asked.get(instrument), self._said.get(instrument, Said())
        return conclude(self._arrival, self._known[instrument], result, found, grew, asked, said)

    def _without_rows(self, name: str) -> dict[str, SeriesReport]:
        # there is no series to write this down at
        arrival, instrument, asked = self._arrival, self._known[name], self._asked[name]
        end_us = min(asked.end_us, until(instrument, arrival.interval, arrival.now_us - arrival.lag_us))
        count = expected(instrument, arrival.interval, asked.start_us, end_us)
        if count < asked.least:
            return {}
        detail = f"no bar came between {format_us(asked.start_us)} and {format_us(asked.end_us)}"
        told = f"{detail}; calendar {instrument.calendar} expects {count}"
        verdict = DataVerdict.of([Finding("no_rows", Verdict.REJECTED, told, name, count)])
        return {name: SeriesReport(arrival.source, name, arrival.interval.value, 0, verdict)}

    def conclude(self) -> IngestReport:
        """Write down what each series that was touched holds now, with its verdict; return the report of the whole."""
        arrival = self._arrival
        concluded = {name: self._concluded(name) for name in self._seen}
        reports = [report for _, report in sorted((self._settled | concluded).items())]
        return IngestReport(
            arrival.ingestion,
            rows_read=sum(taken.rows_read for taken in self._taken),
            accepted=sum(taken.accepted for taken in self._taken),
            rejected=sum(taken.rejected for taken in self._taken),
            duplicates=sum(taken.duplicates for taken in self._taken),
            stored=sum(taken.stored for taken in self._taken),
            revised=sum(taken.revised for taken in self._taken),
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


def _tell(progress: Progress | None, fraction: float, message: str) -> None:
    if progress is not None:
        progress(fraction, message)
