"""From a frame in memory to the checked, aligned arrays of a panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from tradewright.clock import parse_us
from tradewright.errors import InvalidInput, TooFewRows
from tradewright.market.alignment import aligned
from tradewright.market.calendars import close_of
from tradewright.market.checks import check_bars
from tradewright.market.frames import VALUES, canonical, resolve
from tradewright.market.implied import instrument_of
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.records import finding_to_json, verdict_of_series

SOURCE_IN_MEMORY = "memory"


def frame_parts(
    frame: Any,
    *,
    instrument: Instrument | str | None = None,
    interval: Interval | str,
    close_only: bool | None = None,
    pre_adjusted: bool = False,
    calendar: str | None = None,
    currency: str | None = None,
) -> dict[str, Any]:
    """Return the arguments of the panel of a frame; `Panel.from_frame` says what is understood."""
    step = Interval.parse(interval)
    columns = _columns(frame)
    if isinstance(instrument, str):
        columns = {**columns, "instrument": pl.Series([instrument] * _height(columns), dtype=pl.String)}
    elif instrument is not None:
        columns = {**columns, "instrument": pl.Series([instrument.id] * _height(columns), dtype=pl.String)}
    if "instrument" not in columns:
        raise InvalidInput("hand in instrument=, for example instrument='crypto:BTC-USD', or a column `instrument`")
    if close_only is None:
        close_only = "open" not in columns
    missing = [name for name in ("close",) + (() if close_only else VALUES[:3]) if name not in columns]
    if missing:
        raise InvalidInput(f"the frame has no column {', '.join(missing)}; its columns are {', '.join(columns)}")
    table = pl.DataFrame({name: columns[name] for name in ("instrument", *VALUES) if name in columns})
    known: dict[str, Instrument] = {}
    for name in table["instrument"].unique(maintain_order=True).to_list():
        given = instrument if isinstance(instrument, Instrument) else None
        known[name] = given or instrument_of(name, currency, calendar)
    calendars = {i.calendar for i in known.values()}
    if len(calendars) > 1:
        raise InvalidInput(f"the instruments follow the calendars {', '.join(sorted(calendars))}; one frame for each")
    times = bar_times(columns, step, calendars.pop() if calendars else "24/7")
    rows = canonical(table.with_columns(times.alias("time")), source=SOURCE_IN_MEMORY, interval=step.value)
    return checked_parts(rows, list(known.values()), step, close_only, pre_adjusted, ())


def bar_times(columns: dict[str, pl.Series], interval: Interval, calendar: str) -> pl.Series:
    """Return the ends of bars in microseconds, from column `time` (ends) or `timestamp` (starts).

    A daily bar given by its start ends with the session of that day. Raises InvalidInput when neither column is there.
    """
    if "time" in columns:
        return _microseconds(columns["time"], "time")
    if "timestamp" not in columns:
        raise InvalidInput(
            f"the frame has no column `time` (end of the bar) or `timestamp` (its start); it has {', '.join(columns)}"
        )
    starts = _microseconds(columns["timestamp"], "timestamp")
    if interval is not Interval.DAY:
        return starts + interval.us
    known = starts.drop_nulls()
    ends = close_of(calendar, known.to_numpy().astype("datetime64[us]"))
    closing = dict(zip(known.to_list(), ends.tolist(), strict=True))
    return starts.replace_strict(closing, return_dtype=pl.Int64) if closing else starts


def _columns(frame: Any) -> dict[str, pl.Series]:
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return {str(name).lower(): frame[name] for name in frame.columns}
    if not type(frame).__module__.startswith("pandas"):
        raise InvalidInput(f"expected a polars or pandas frame, got {type(frame).__name__}")
    if str(frame.index.name).lower() in ("time", "timestamp"):
        frame = frame.reset_index()
    return {str(name).lower(): _from_pandas(frame[name]) for name in frame.columns}


def _from_pandas(column: Any) -> pl.Series:
    if str(column.dtype).startswith("datetime64"):
        plain = column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz is not None else column
        return pl.Series(plain.to_numpy().astype("datetime64[us]"))
    if column.dtype.kind in "iuf":
        return pl.Series(np.ascontiguousarray(column.to_numpy()))
    return pl.Series(column.tolist(), strict=False)


def _height(columns: dict[str, pl.Series]) -> int:
    return len(next(iter(columns.values()))) if columns else 0


def _microseconds(column: pl.Series, name: str) -> pl.Series:
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.epoch("us")
    if column.dtype.is_integer():
        return column.cast(pl.Int64)
    if column.dtype == pl.String:
        return pl.Series([None if text is None else parse_us(text) for text in column.to_list()], dtype=pl.Int64)
    raise InvalidInput(f"column {name} holds {column.dtype}; give datetimes, RFC 3339 text or integer microseconds")


def checked_parts(
    rows: pl.DataFrame,
    instruments: Sequence[Instrument],
    interval: Interval,
    close_only: bool,
    pre_adjusted: bool,
    findings: Sequence[Any],
) -> dict[str, Any]:
    """Return the arguments of the panel of what the checks accept of a canonical frame, with their verdict.

    findings: what is known of the data beforehand. Raises TooFewRows when no row can be used.
    """
    parts = {str(key[0]): part for key, part in rows.partition_by("instrument", as_dict=True).items()}
    accepted, said, sources = [], [], []
    for instrument in instruments:
        part = parts.get(instrument.id, rows.clear())
        checked = check_bars(part, instrument, interval, close_only=close_only, pre_adjusted=pre_adjusted)
        accepted.append(resolve(checked.accepted))
        said.append({"findings": [finding_to_json(f) for f in (*checked.verdict.findings, *findings)]})
        sources.append(part["source"][0] if part.height else SOURCE_IN_MEMORY)
    if not accepted or not any(part.height for part in accepted):
        raise TooFewRows("no row can be used; look at the times and prices, or at the calendar of the instrument")
    return aligned(
        pl.concat(accepted),
        instruments,
        interval,
        close_only=close_only,
        pre_adjusted=pre_adjusted,
        verdict=verdict_of_series(said),
        sources=sources,
    )
