"""The catalog: every bar of every series, as it was known at any moment.

Delta tables, one for each interval, hold the past; table `bar_tail` of the database holds what came in live until it is
flushed. Rows are only added. A read joins both and resolves them: of several rows of one key the latest wins that was
known by `as_of` and received before `recorded_before`. An owner reads own rows and those of `system`; for an instrument
of which the owner has rows, only those. A panel carries the splits and dividends that the source of each raw series
told of, read by the same bounds; those of another source are never taken in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tradewright import ids
from tradewright.clock import from_us
from tradewright.errors import InvalidInput, StorageFailed, UnknownName
from tradewright.ids import SYSTEM, Owner
from tradewright.market.actions import actions_of_columns
from tradewright.market.alignment import aligned
from tradewright.market.dated import actions_of
from tradewright.market.delta import DeltaStore
from tradewright.market.frames import SCHEMA, ascends, canonical, empty, resolve
from tradewright.market.instruments import Interval
from tradewright.market.panel import Panel
from tradewright.market.records import instrument_from_row, verdict_of_series
from tradewright.market.seals import damaged
from tradewright.storage import series as store
from tradewright.storage import tail
from tradewright.storage.database import Database, Tx

FLUSH_ROWS = 200_000  # rows of the tail that move in one batch
_STORED = [name for name in SCHEMA if name != "interval"]


class Catalog:
    """The store of all series in one folder and one database. Safe to use from several threads and processes."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.database = database
        self.actions = actions_of(folder)
        self._stores = {i: DeltaStore(folder / "bars" / i.value) for i in Interval}

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, owner: Owner, frame: pl.DataFrame, batch_id: str) -> int:
        """Add the rows of a canonical frame; return how many were added, 0 when this batch id is stored already.

        A frame may hold several sources, instruments and intervals; each interval is added as a whole or not at all.
        Raises InvalidInput for rows without `observed_at`, StorageFailed when the disk refuses (nothing half-written)
        or the bars that are there are damaged.
        """
        rows = canonical(frame)
        if rows["observed_at"].null_count() or rows["time"].null_count():
            raise InvalidInput("every bar needs a time and an observed_at before it can be stored; hand in both")
        added = 0
        for (name,), part in rows.partition_by("interval", as_dict=True).items():
            stored = part.with_columns(pl.lit(str(owner)).alias("owner"), _month().alias("month"))
            stored = stored.select("owner", "month", *_STORED)
            if not ascends(stored) or stored["source"].n_unique() > 1:
                stored = stored.sort("source", "month", "instrument", "time")
            self._refuse_when_lost(owner, Interval.parse(name))
            if self._stores[Interval.parse(name)].append(stored, f"{owner}/{batch_id}"):
                added += part.height
        return added

    def _refuse_when_lost(self, owner: Owner, step: Interval) -> None:
        if not self._stores[step].is_empty():
            return
        known = self.database.read(store.list_series, owner, interval=step.value)
        for row in known:
            if row["rows"] and self._stores[step].is_empty():
                raise self._lost(step, row)

    def tail_append(self, tx: Tx, owner: Owner, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add live bars inside the caller's transaction. rows: the columns of the canonical frame."""
        tail.insert(tx, owner, rows)

    def flush(self, owner: Owner | None = None) -> int:
        """Move the tail into the Delta tables; return how many rows moved. owner: only the rows of this one.

        Three steps: mark rows with a batch id, append them under that id, delete them. After a stop between any two the
        next flush goes on with the marked batches, and a batch that was appended is not appended again.
        """
        for waiting, interval in self.database.read(tail.groups, owner):
            self.database.write(tail.mark, Owner(waiting), interval, ids.new("bat"), FLUSH_ROWS)
        moved = 0
        for batch, waiting, _ in self.database.read(tail.batches, owner):
            rows = self.database.read(tail.batch_rows, batch)
            self.append(Owner(waiting), pl.DataFrame(rows, schema=SCHEMA, orient="row"), batch)
            moved += self.database.write(tail.remove_batch, batch)
        return moved

    def compact(self, interval: Interval | str) -> int:
        """Merge the small files of one interval; return how many were merged. Readers are not disturbed."""
        step = Interval.parse(interval)
        self._refuse_when_lost(SYSTEM, step)
        return self._stores[step].compact()

    def forget(self, owner: Owner) -> int:
        """Remove every bar of an organization that was erased; return how many files went. Raises StorageFailed."""
        if owner == SYSTEM:
            raise InvalidInput("the bars of `system` are shared by all and stay")
        return sum(each.forget(owner) for each in self._stores.values())

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(
        self,
        owner: Owner,
        source: str,
        instruments: Sequence[str] | None,
        interval: Interval | str,
        start_us: int | None = None,
        end_us: int | None = None,
        as_of_us: int | None = None,
        recorded_before_us: int | None = None,
    ) -> pl.DataFrame:
        """Return the bars of one source as a canonical frame, ascending by instrument and time, one row per bar.

        instruments: ids, None for all. start_us, end_us: bounds of `time`, both included. as_of_us: only what could be
        known at that moment (`known_at` at most). recorded_before_us: only what had come in (`observed_at` below).
        Raises StorageFailed, naming the file, when bars are damaged or were lost.
        """
        frame = self._history(owner, source, instruments, interval, start_us, end_us, as_of_us, recorded_before_us)
        return resolve(frame)

    def history(
        self, owner: Owner, source: str, instruments: Sequence[str] | None, interval: Interval | str
    ) -> pl.DataFrame:
        """Return every row ever stored of bars, in no order: what `read` resolves, and with what it raises."""
        return self._history(owner, source, instruments, interval, None, None, None, None)

    def revisions(
        self, owner: Owner, source: str, instrument: str, interval: Interval | str, time_us: int
    ) -> pl.DataFrame:
        """Return every row ever stored of one bar, ascending by `observed_at`."""
        frame = self._history(owner, source, [instrument], interval, time_us, time_us, None, None)
        return frame.sort("observed_at", "known_at")

    def panel(
        self,
        name: str | None = None,
        *,
        instruments: Sequence[str] | None = None,
        interval: Interval | str = Interval.DAY,
        source: str | None = None,
        owner: Owner = SYSTEM,
        start_us: int | None = None,
        end_us: int | None = None,
        as_of_us: int | None = None,
        recorded_before_us: int | None = None,
    ) -> Panel:
        """Return the panel of a data set by name, or of instruments at an interval.

        source: needed only when several sources have an instrument; they are never spliced. The bounds are those of
        `read`. Raises UnknownName for a data set or instrument that is not there, InvalidInput when the source is
        ambiguous, TooFewRows when no bar is left.
        """
        if (name is None) == (instruments is None):
            raise InvalidInput("name a data set or instruments, one of the two")
        step = Interval.parse(interval).value
        rows = self.database.read(series_named, owner, name, instruments, step, source)
        return self._panel(rows, start_us, end_us, as_of_us, recorded_before_us)

    def _panel(self, rows: Sequence[Mapping[str, Any]], *bounds: int | None) -> Panel:
        wanted = [row["instrument"] for row in rows]
        found = self.database.read(store.get_instruments, wanted)
        by_id = {row["id"]: instrument_from_row(row) for row in found}
        columns, step = [by_id[i] for i in wanted], Interval.parse(rows[0]["interval"])
        bars, actions = [], []
        for origin in dict.fromkeys(map(_origin, rows)):
            owner, source, interval, adjusted = origin
            mine = [row["instrument"] for row in rows if _origin(row) == origin]
            bars.append(resolve(self._history(Owner(owner), source, mine, interval, *bounds)))
            if not adjusted:
                actions.append(self.actions.read(Owner(owner), source, mine, None, None, None, *bounds[2:]))
        parts = aligned(
            pl.concat(bars),
            columns,
            step,
            close_only=any(row["close_only"] for row in rows),
            pre_adjusted=any(row["pre_adjusted"] for row in rows),
            verdict=verdict_of_series(rows),
            sources=[row["source"] for row in rows],
        )
        told = actions_of_columns(pl.concat(actions), columns, step, parts["times"]) if actions else ()
        return Panel(**parts, actions=told)

    def _history(
        self,
        owner: Owner,
        source: str,
        instruments: Sequence[str] | None,
        interval: Interval | str,
        start_us: int | None,
        end_us: int | None,
        as_of_us: int | None,
        recorded_before_us: int | None,
    ) -> pl.DataFrame:
        step = Interval.parse(interval)
        owners = list({owner, SYSTEM})
        bounds = {"start": start_us, "end": end_us, "as_of": as_of_us, "recorded_before": recorded_before_us}
        # The tail first: a row that is flushed in between is then seen twice, which resolving mends, and never missed.
        live = self.database.read(tail.read, owners, source, instruments, step.value, bounds)
        filters = [pl.col("owner").is_in(owners), pl.col("source") == source, *_filters(instruments, bounds)]
        stored = self._stores[step].read(["owner", *_STORED], filters)
        if not live and (stored is None or not stored.height):
            stored = self._read_again(owner, source, instruments, step, bounds, filters)
        frames = [] if stored is None else [stored]
        if live:
            frames.append(pl.DataFrame(live, schema={"owner": pl.String(), **SCHEMA}).select("owner", *_STORED))
        if not frames:
            return empty()
        rows = pl.concat(frames)
        if owner != SYSTEM:
            own = set(rows.filter(pl.col("owner") == owner)["instrument"].unique())
            known = self.database.read(store.list_series, owner, interval=step.value, source=source)
            own |= {row["instrument"] for row in known if row["owner"] == owner}
            rows = rows.filter((pl.col("owner") == owner) | ~pl.col("instrument").is_in(list(own)))
        return rows.with_columns(pl.lit(step.value).alias("interval")).select(list(SCHEMA))

    def _read_again(
        self,
        owner: Owner,
        source: str,
        instruments: Sequence[str] | None,
        step: Interval,
        bounds: Mapping[str, int | None],
        filters: Sequence[pl.Expr],
    ) -> pl.DataFrame | None:
        # Nothing was found. What is written down of a series is written after its bars, so those are there by now.
        known = self.database.read(
            store.list_series, owner, instruments=instruments, interval=step.value, source=source
        )
        stored = self._stores[step].read(["owner", *_STORED], filters)
        if stored is None or not stored.height:
            for row in known:
                if row["rows"] and _whole(row, bounds):
                    raise self._lost(step, row)
        return stored

    def _lost(self, step: Interval, row: Mapping[str, Any]) -> StorageFailed:
        what = f"the {row['rows']} bars of {row['instrument']} from {row['source']} are missing"
        return damaged(self._stores[step].folder, what)


def _origin(row: Mapping[str, Any]) -> tuple[str, str, str, bool]:
    return row["owner"], row["source"], row["interval"], row["pre_adjusted"]


def _whole(row: Mapping[str, Any], bounds: Mapping[str, int | None]) -> bool:
    start, end, as_of, recorded_before = (bounds[n] for n in ("start", "end", "as_of", "recorded_before"))
    within = (start is None or start <= row["first_time"]) and (end is None or end >= row["last_time"])
    return within and as_of is None and recorded_before is None


def _month() -> pl.Expr:
    return pl.from_epoch("time", time_unit="us").dt.strftime("%Y-%m")


def _filters(instruments: Sequence[str] | None, bounds: Mapping[str, int | None]) -> list[pl.Expr]:
    filters: list[pl.Expr] = []
    if instruments is not None:
        filters.append(pl.col("instrument").is_in(list(instruments)))
    start, end, as_of, recorded_before = (bounds[n] for n in ("start", "end", "as_of", "recorded_before"))
    if start is not None:
        filters += [pl.col("month") >= f"{from_us(start):%Y-%m}", pl.col("time") >= start]
    if end is not None:
        filters += [pl.col("month") <= f"{from_us(end):%Y-%m}", pl.col("time") <= end]
    if as_of is not None:
        filters.append(pl.col("known_at") <= as_of)
    if recorded_before is not None:
        filters.append(pl.col("observed_at") < recorded_before)
    return filters


def _series_of_data_set(tx: Tx, owner: Owner, name: str) -> list[dict[str, Any]]:
    members = store.get_data_set(tx, owner, name)
    if members is None:
        raise UnknownName.of("data set", name, {row["name"] for row in store.list_data_sets(tx, owner)})
    rows = []
    for member in members["series"]:
        key = (member["source"], member["instrument"], member["interval"])
        row = store.get_series(tx, owner, *key) or store.get_series(tx, SYSTEM, *key)
        if row is None:
            raise UnknownName(f"data set {name!r} names the series {'/'.join(key)}, which is not there; ingest it")
        rows.append(row)
    return rows


def series_named(
    tx: Tx, owner: Owner, name: str | None, instruments: Sequence[str] | None, interval: str, source: str | None
) -> list[dict[str, Any]]:
    """Return the series that a panel of a data set, or of instruments, is made of; raises as `Catalog.panel`."""
    if name is not None:
        return _series_of_data_set(tx, owner, name)
    return _series_of_instruments(tx, owner, list(instruments or ()), interval, source)


def series_to_choose_from(found: Sequence[dict[str, Any]], owner: Owner, instrument: str) -> list[dict[str, Any]]:
    """Return the series of an instrument that a panel may be of: the owner's own, those of all where it has none."""
    mine = [row for row in found if row["instrument"] == instrument]
    return [row for row in mine if row["owner"] == owner] or mine


def _series_of_instruments(
    tx: Tx, owner: Owner, instruments: list[str], interval: str, source: str | None
) -> list[dict[str, Any]]:
    if not instruments:
        raise InvalidInput("name at least one instrument")
    if len(set(instruments)) < len(instruments):
        raise InvalidInput(f"an instrument is named twice in {', '.join(instruments)}; name each once")
    found = store.list_series(tx, owner, instruments=instruments, interval=interval, source=source)
    rows = []
    for instrument in instruments:
        own = series_to_choose_from(found, owner, instrument)
        sources = sorted({row["source"] for row in own})
        if not own:
            known = {row["instrument"] for row in store.list_series(tx, owner, interval=interval)}
            where = "`tradewright catalog` and GET /v1/verdicts list them"
            raise UnknownName.of(f"series at {interval} of an instrument", instrument, known, where)
        if len(sources) > 1:
            raise InvalidInput(f"{instrument} comes from {', '.join(sources)}; choose one with source=")
        rows.append(own[0])
    return rows
