"""Panels for a notebook: from a frame in memory, from the data folder, or straight from a package that ships data.

Whatever the way, the same checks run and their verdict stands on the panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tradewright.clock import parse_us, to_us
from tradewright.errors import InvalidInput, TooFewRows, UnknownName
from tradewright.market.calendars import calendar_of, close_of
from tradewright.market.catalog import Catalog
from tradewright.market.checks import check_bars
from tradewright.market.datasets import DATA_SETS, data_set, load_bars
from tradewright.market.frames import VALUES, canonical, resolve
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Panel
from tradewright.market.panels import to_panel
from tradewright.market.records import finding_to_json, verdict_of_series
from tradewright.settings import load as load_settings
from tradewright.storage.database import Database

SOURCE_IN_MEMORY = "memory"


def load_panel(
    name: str | None = None,
    *,
    instruments: Sequence[str] | None = None,
    interval: Interval | str = Interval.DAY,
    as_of: str | datetime | int | None = None,
    source: str | None = None,
    data_folder: Path | str | None = None,
) -> Panel:
    """Return the panel of a data set, or of instruments at an interval.

    name: "us-stocks" or "us-indices", or a data set of the data folder. instruments: ids in the data folder's catalog.
    as_of: a time (RFC 3339 text, aware datetime or microseconds): only what could be known then. source: needed only
    when several have an instrument. data_folder: where `tradewright up` keeps its data; left out, the folder of the
    settings is used if it is there, else a packaged data set is read straight from its package. Raises UnknownName for
    a data set or instrument that is not there, InvalidInput, TooFewRows.
    """
    step = Interval.parse(interval)
    moment = _moment(as_of)
    overrides = None if data_folder is None else {"data_folder": Path(data_folder)}
    settings = load_settings(overrides=overrides)
    embedded = settings.database_url == ""
    if not embedded or (settings.data_folder / "tradewright.db").exists():
        with Database(settings.resolved_database_url) as database:
            catalog = Catalog(settings.data_folder, database)
            try:
                return catalog.panel(name, instruments=instruments, interval=step, source=source, as_of_us=moment)
            except UnknownName:
                if name not in DATA_SETS or data_folder is not None:
                    raise
    if data_folder is not None:
        raise UnknownName(
            f"there is no Tradewright data in {data_folder}; run `tradewright up` or `tradewright ingest`"
        )
    if name is None:
        raise InvalidInput(
            f"there is no data folder at {settings.data_folder}; hand in data_folder=, run `tradewright ingest`, or "
            f"name a packaged data set: {', '.join(DATA_SETS)}"
        )
    return _packaged_panel(name, moment)


def panel_from_frame(
    frame: Any,
    *,
    instrument: Instrument | str | None = None,
    interval: Interval | str,
    close_only: bool | None = None,
    pre_adjusted: bool = False,
    calendar: str | None = None,
    currency: str = "USD",
) -> Panel:
    """Return the panel of a polars or pandas frame.

    frame: column `time` (the bar's end) or `timestamp` (its start), `close`, and unless close_only open, high, low;
    `volume` where there is one. Times are datetimes (without a zone they are UTC), RFC 3339 text, or integer
    microseconds. Daily bars given by their start are complete at the close of that day's session.
    instrument: an id or an Instrument for every row; left out, column `instrument` says it. close_only: left out, it is
    true when there are no opens. calendar: left out, the one that the id implies. Rows that cannot be used are left
    out and the verdict says which. Raises InvalidInput for missing columns, TooFewRows when no row can be used.
    """
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
        known[name] = given or Instrument(name, calendar=calendar or calendar_of(name), currency=currency)
    calendars = {i.calendar for i in known.values()}
    if len(calendars) > 1:
        raise InvalidInput(f"the instruments follow the calendars {', '.join(sorted(calendars))}; one frame for each")
    times = bar_times(columns, step, calendars.pop() if calendars else "24/7")
    rows = canonical(table.with_columns(times.alias("time")), source=SOURCE_IN_MEMORY, interval=step.value)
    return _checked_panel(rows, list(known.values()), step, close_only, pre_adjusted, ())


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


def _packaged_panel(name: str, as_of_us: int | None) -> Panel:
    spec = data_set(name)
    rows = load_bars(name)
    if as_of_us is not None:
        rows = rows.filter(pl.col("known_at") <= as_of_us)
    return _checked_panel(rows, spec.instruments, spec.interval, spec.close_only, spec.pre_adjusted, spec.findings)


def _checked_panel(
    rows: pl.DataFrame,
    instruments: Sequence[Instrument],
    interval: Interval,
    close_only: bool,
    pre_adjusted: bool,
    findings: Sequence[Any],
) -> Panel:
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
    return to_panel(
        pl.concat(accepted),
        instruments,
        interval,
        close_only=close_only,
        pre_adjusted=pre_adjusted,
        verdict=verdict_of_series(said),
        sources=sources,
    )


def _moment(as_of: str | datetime | int | None) -> int | None:
    if isinstance(as_of, str):
        return parse_us(as_of)
    return to_us(as_of) if isinstance(as_of, datetime) else as_of
