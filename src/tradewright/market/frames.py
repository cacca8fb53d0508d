"""The canonical long bar frame: one row for each bar of each instrument, as checks, catalog and sources exchange it."""

from __future__ import annotations

import numpy as np
import polars as pl

from tradewright.errors import InvalidInput

VALUES = ("open", "high", "low", "close", "volume")
SCHEMA: dict[str, pl.DataType] = {
    "source": pl.String(),
    "instrument": pl.String(),
    "interval": pl.String(),
    "time": pl.Int64(),
    "known_at": pl.Int64(),
    "observed_at": pl.Int64(),
    **dict.fromkeys(VALUES, pl.Float64()),
}
KEY = ("source", "instrument", "interval", "time")
TOTAL_ORDER = ("instrument", "time", "observed_at", "known_at", *VALUES)


def empty() -> pl.DataFrame:
    """Return a canonical frame without rows."""
    return pl.DataFrame(schema=SCHEMA)


def canonical(
    frame: pl.DataFrame,
    *,
    source: str | None = None,
    instrument: str | None = None,
    interval: str | None = None,
    observed_at_us: int | None = None,
    lag_us: int = 0,
) -> pl.DataFrame:
    """Return `frame` with the columns, types and order of `SCHEMA`; rows stay in their order.

    source, instrument, interval: written where the column is missing. observed_at_us: written where `observed_at` is
    missing or null. lag_us: `known_at` becomes `time + lag_us` where missing or null. Prices and volume that are
    missing, NaN included, are null. Raises InvalidInput for a column that is missing and not given, or of a wrong type.
    """
    given: dict[str, object] = {"source": source, "instrument": instrument, "interval": interval}
    fill: list[pl.Expr] = []
    for name, value in given.items():
        if name not in frame.columns:
            if value is None:
                raise InvalidInput(f"the bar frame has no column {name!r}; add it or hand it in as {name}=")
            fill.append(pl.lit(value).alias(name))
    for name in ("time", "close"):
        if name not in frame.columns:
            raise InvalidInput(f"the bar frame has no column {name!r}; its columns are {', '.join(frame.columns)}")
    fill += [pl.lit(None, pl.Float64).alias(name) for name in VALUES if name not in frame.columns]
    fill += [pl.lit(None, pl.Int64).alias(name) for name in ("known_at", "observed_at") if name not in frame.columns]
    try:
        typed = frame.with_columns(fill).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"the bar frame cannot be read: {error}; times are integers, prices are numbers") from error
    return typed.with_columns(
        pl.col("known_at").fill_null(pl.col("time") + lag_us),
        pl.col("observed_at").fill_null(observed_at_us) if observed_at_us is not None else pl.col("observed_at"),
        *(pl.col(name).fill_nan(None) for name in VALUES),
    )


def resolve(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each instrument and time of a single-source frame, ascending by instrument and time.

    The row with the latest `observed_at` wins; equal ones fall to the later `known_at`, then to the greater values, so
    that the answer does not depend on the order in which rows were stored.
    """
    if ascends(frame):
        return frame
    ordered = frame.sort("instrument", "time")
    repeated = (pl.col("time") == pl.col("time").shift()) & (pl.col("instrument") == pl.col("instrument").shift())
    if not ordered.select(repeated.any()).item():
        return ordered
    return frame.sort(TOTAL_ORDER).unique(subset=["instrument", "time"], keep="last", maintain_order=True)


def ascends(frame: pl.DataFrame) -> bool:
    """Return whether these are bars of one instrument, each later than the one before: what most pages are."""
    times = frame["time"]
    return not times.null_count() and bool((np.diff(times.to_numpy()) > 0).all()) and frame["instrument"].n_unique() < 2


def same_values() -> pl.Expr:
    """Return an expression over a join with suffix `_stored`: every value equal, missing equal to missing."""
    return pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_stored")) for name in VALUES)
