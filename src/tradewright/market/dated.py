"""Facts and actions in the catalog: dated values that are no bars, every vintage kept.

Two Delta tables beside those of the bars. Rows are only added; a read gives, of every key, the vintage known last by
`as_of` among those received before `recorded_before`. An owner reads own rows and those of `system`.

Of facts a source says since when each vintage is known. Of actions it says, at best, when one was announced, whatever
became of it since: so one that comes with other values, or is taken back, is known to be that from when it came, and
known to be an action at all since its first vintage, which is what `read` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tradewright.errors import InvalidInput
from tradewright.ids import SYSTEM, Owner
from tradewright.market.delta import DeltaStore

ACTIONS: dict[str, pl.DataType] = {
    "instrument": pl.String(),
    "time": pl.Int64(),  # the end of the ex day's session: bars before it are those before the action
    "known_at": pl.Int64(),
    "split": pl.Float64(),  # new units per old one, 1.0 for none
    "dividend": pl.Float64(),  # cash per unit held before, 0.0 for none
}
FACTS: dict[str, pl.DataType] = {
    "instrument": pl.String(),
    "name": pl.String(),  # "" where the instrument is the series itself, else the concept: us-gaap:Revenues
    "unit": pl.String(),
    "period_start": pl.Int64(),  # null for a value at a moment
    "period_end": pl.Int64(),
    "known_at": pl.Int64(),
    "value": pl.Float64(),
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that changes the price and that a source told of, which is no split and no dividend of the instrument's
    currency. time_us: as of an action. what: a noun, such as `dividend in JPY`."""

    time_us: int
    what: str


@dataclass(frozen=True, slots=True)
class LeftOuts:
    """What was left out of a complete answer about the days start_us..end_us, both included."""

    start_us: int
    end_us: int
    told: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kind:
    folder: str
    schema: dict[str, pl.DataType]
    key: tuple[str, ...]
    time: str
    values: tuple[str, ...]
    vintages: bool  # the source says since when each is known


_ACTIONS = _Kind("actions", ACTIONS, ("source", "instrument", "time"), "time", ("split", "dividend"), False)
_FACTS = _Kind(
    "facts",
    FACTS,
    ("source", "instrument", "name", "unit", "period_start", "period_end"),
    "period_end",
    ("value",),
    True,
)


class Dated:
    """A store of one kind of dated values. Safe to use from several threads and processes."""

    def __init__(self, folder: Path, kind: _Kind) -> None:
        self._kind = kind
        self._store = DeltaStore(folder / kind.folder)
        self._columns = ["source", *kind.schema, "observed_at"]

    def append(self, owner: Owner, source: str, rows: pl.DataFrame, observed_at_us: int, batch: str) -> int:
        """Add the vintages that say something else than what is there; return how many.

        What is there is, of facts, the row of the same vintage that was received last, of actions the last of all: a
        value that comes back after another one is stored again. rows: columns of the kind's schema. batch: may come
        again with the same rows, which then changes nothing. Raises InvalidInput for rows without a time,
        StorageFailed.
        """
        kind = self._kind
        typed = rows.select(pl.col(name).cast(of) for name, of in kind.schema.items())
        if typed[kind.time].null_count() or typed["known_at"].null_count():
            raise InvalidInput(f"every row needs {kind.time} and known_at")
        fresh = typed.with_columns(
            pl.lit(source).alias("source"), pl.lit(observed_at_us, pl.Int64).alias("observed_at")
        )
        fresh = fresh.unique(subset=["source", *kind.schema], maintain_order=True)
        there = self._vintages(owner, source, fresh["instrument"].unique().to_list(), own=True)
        if there is not None and there.height:
            fresh = self._other(fresh, there)
        if fresh.height:
            year = pl.from_epoch(kind.time, time_unit="us").dt.strftime("%Y-01")
            stored = fresh.with_columns(pl.lit(str(owner)).alias("owner"), year.alias("month"))
            self._store.append(stored.select("owner", "month", *self._columns), f"{owner}/{batch}")
        return fresh.height

    def _other(self, rows: pl.DataFrame, there: pl.DataFrame) -> pl.DataFrame:
        # the rows that differ from what is there, known from when they came where they replace an action
        kind = self._kind
        key = [*kind.key, "known_at"] if kind.vintages else list(kind.key)
        last = there.sort("known_at", "observed_at").unique(key, keep="last", maintain_order=True)
        same = [*key, *kind.values]
        other = rows.join(last.select(same), on=same, how="anti", nulls_equal=True, maintain_order="left")
        if kind.vintages:
            return other
        before = last.select(*key, pl.col("known_at").alias("before"))
        joined = other.join(before, on=key, how="left", maintain_order="left")
        came = pl.max_horizontal("known_at", "before", "observed_at")
        known_at = pl.when(pl.col("before").is_null()).then("known_at").otherwise(came)
        return joined.with_columns(known_at.alias("known_at")).drop("before")

    def read(
        self,
        owner: Owner,
        source: str | None = None,
        instruments: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        start_us: int | None = None,
        end_us: int | None = None,
        as_of_us: int | None = None,
        recorded_before_us: int | None = None,
    ) -> pl.DataFrame:
        """Return one row for each key: the vintage known last, ascending by key; columns source, those of the kind,
        observed_at.

        names: of facts. start_us, end_us: bounds of the ex day or of the period's end, both included. Of the same
        vintage received twice the later wins. A split or dividend that was taken back is one with 1.0 and 0.0;
        `known_at` of an action is that of its first vintage.
        """
        found = self._vintages(owner, source, instruments)
        if found is None:
            return pl.DataFrame(schema={name: self._type(name) for name in self._columns})
        time = pl.col(self._kind.time)
        wanted = [pl.lit(True)]
        wanted += [] if start_us is None else [time >= start_us]
        wanted += [] if end_us is None else [time <= end_us]
        wanted += [] if as_of_us is None else [pl.col("known_at") <= as_of_us]
        wanted += [] if recorded_before_us is None else [pl.col("observed_at") < recorded_before_us]
        wanted += [] if names is None else [pl.col("name").is_in(list(names))]
        kept = found.filter(*wanted).sort(*self._kind.key, "known_at", "observed_at")
        if not self._kind.vintages:
            kept = kept.with_columns(pl.col("known_at").min().over(self._kind.key))
        return kept.unique(subset=list(self._kind.key), keep="last", maintain_order=True)

    def vintages(self, owner: Owner, source: str, instruments: Sequence[str]) -> pl.DataFrame:
        """Return every row that an owner has of its own: columns as in `read`, in no order."""
        found = self._vintages(owner, source, instruments, own=True)
        return pl.DataFrame(schema={name: self._type(name) for name in self._columns}) if found is None else found

    def forget(self, owner: Owner) -> int:
        """Remove every row of an organization that was erased; return how many files went. Raises StorageFailed."""
        return self._store.forget(owner)

    def _type(self, name: str) -> pl.DataType:
        return self._kind.schema.get(name) or (pl.String() if name == "source" else pl.Int64())

    def _vintages(
        self, owner: Owner, source: str | None, instruments: Sequence[str] | None, own: bool = False
    ) -> pl.DataFrame | None:
        filters = [pl.col("owner").is_in([owner] if own else list({owner, SYSTEM}))]
        filters += [] if source is None else [pl.col("source") == source]
        filters += [] if instruments is None else [pl.col("instrument").is_in(list(instruments))]
        return self._store.read(self._columns, filters)


def actions_of(folder: Path) -> Dated:
    """Return the store of dated splits and dividends in the data folder."""
    return Dated(folder, _ACTIONS)


def facts_of(folder: Path) -> Dated:
    """Return the store of facts in the data folder."""
    return Dated(folder, _FACTS)
