"""From the columns of an answer to frames: bars that are complete, facts, quotes, actions.

Times of answers are starts of bars, days, or ends; here they become the three times of a row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from tradewright.clock import DAY_US, format_us, from_us
from tradewright.errors import InvalidInput, SourceFailed
from tradewright.market.arrays import Floats, Times
from tradewright.market.calendars import begins_us, close_of
from tradewright.market.dated import ACTIONS
from tradewright.market.frames import VALUES
from tradewright.market.instruments import Instrument, Interval, Kind

QUOTES: dict[str, pl.DataType] = {
    "instrument": pl.String(),
    "time": pl.Int64(),
    "price": pl.Float64(),
    "bid": pl.Float64(),
    "ask": pl.Float64(),
}

LATE_INDICES = frozenset(("GVZ", "OVX", "RVX", "SKEW", "VIX", "VIX1D", "VIX3M", "VIX6M", "VIX9D", "VVIX", "VXN", "VXO"))
"""Indices of Cboe made of the prices of options, which go on until 16:15 in New York (an early close plus 15 minutes
likewise), while their bars end with the session of the shares. Source: Cboe, VIX regular trading hours to 3:15 p.m.
Chicago time."""
LATE_US = 15 * 60 * 1_000_000
LATEST_US = 10**17
"""A time beyond this, about the year 5138, or as long before 1970, is none that a source means."""
_YEARS = range(1000, 5001)  # facts go back to the middle ages


class Asked(Protocol):
    """What the frame of an answer needs to know of the query."""

    @property
    def instrument(self) -> Instrument: ...
    @property
    def interval(self) -> Interval: ...


_NO_ACTIONS = pl.DataFrame(schema=ACTIONS)


def no_actions() -> pl.DataFrame:
    """Return a frame of actions without rows."""
    return _NO_ACTIONS.clone()


def numbers(values: Sequence[Any] | Floats, what: str) -> pl.Series:
    """Return numbers, or texts of numbers, as float64; None and "" are null, what is too large is infinite.

    Raises SourceFailed, naming the value.
    """
    if isinstance(values, np.ndarray):
        return pl.Series(values, dtype=pl.Float64)
    try:  # what nearly every answer is: texts of numbers
        return pl.Series(values, dtype=pl.String, strict=True).cast(pl.Float64)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        pass
    plain = [None if value is None or value == "" else value for value in values]
    if any(isinstance(value, bool) or not isinstance(value, str | int | float | None) for value in plain):
        odd = next(v for v in plain if isinstance(v, bool) or not isinstance(v, str | int | float | None))
        raise SourceFailed(f"{what}: expected a number, got {str(odd)[:60]!r}; the answer may have changed its form")
    texts = any(isinstance(value, str) for value in plain)
    if not texts:
        return pl.Series([None if value is None else _float(value) for value in plain], dtype=pl.Float64)
    strings = pl.Series([None if value is None else str(value) for value in plain], dtype=pl.String)
    made = strings.cast(pl.Float64, strict=False)
    if made.null_count() != strings.null_count():
        odd = strings.filter(made.is_null() & strings.is_not_null())[0]
        raise SourceFailed(f"{what}: expected a number, got {str(odd)[:60]!r}; the answer may have changed its form")
    return made


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf if value > 0 else -math.inf


def whole_numbers(values: Sequence[Any], what: str, factor: int = 1) -> list[int]:
    """Return whole numbers, or texts of them, times `factor`. Raises SourceFailed, naming the value."""
    try:
        if set(map(type, values)) <= {int}:
            return [value * factor for value in values]
        if any(isinstance(value, bool | float) and not float(value).is_integer() for value in values):
            raise ValueError
        return [int(value) * factor for value in values]
    except (TypeError, ValueError, OverflowError):
        odd = next((v for v in values if not str(v).lstrip("-").isdigit()), None)
        raise SourceFailed(
            f"{what}: expected a time, got {str(odd)[:60]!r}; the answer may have changed its form"
        ) from None


def texts(values: Sequence[Any], what: str) -> list[str]:
    """Return texts as they are. Raises SourceFailed, naming the value, for anything else."""
    odd = next((value for value in values if not isinstance(value, str)), None)
    if odd is not None or any(value is None for value in values):
        raise SourceFailed(f"{what}: expected a text, got {str(odd)[:60]!r}; the answer may have changed its form")
    return list(values)


def days(values: Sequence[Any], what: str) -> list[date]:
    """Return the dates of texts that begin with YYYY-MM-DD. Raises SourceFailed, naming the value."""
    try:
        made = [date.fromisoformat(str(value)[:10]) for value in values]
    except ValueError:
        raise SourceFailed(f"{what}: expected dates, got {str(list(values)[:3])[:80]}; it may have changed") from None
    odd = next((day for day in made if day.year not in _YEARS), None)
    if odd is not None:
        raise SourceFailed(f"{what}: sent a day far from any market, {odd}; the answer may have changed its form")
    return made


def wall_times(values: Sequence[Any], zone: str, what: str) -> list[int]:
    """Return the moments of texts like `2024-03-08 15:59:00`, wall time of a zone, in microseconds.

    An hour that occurs twice is taken as the first of the two: a stamp without a zone cannot say which. Bars of both
    have one time then, and the checks keep them aside where they differ. Raises SourceFailed for what cannot be read.
    """
    read = pl.Series([str(value)[:19].replace("T", " ") for value in values], dtype=pl.String)
    form = "%Y-%m-%d %H:%M:%S"
    made = read.str.to_datetime(form, time_unit="us", strict=False)
    if made.null_count():
        raise SourceFailed(f"{what}: expected times like 2024-03-08 15:59:00, got {read.filter(made.is_null())[0]!r}")
    try:
        placed = made.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="raise")
    except pl.exceptions.PolarsError as error:
        raise SourceFailed(f"{what}: a time does not exist in the zone {zone}: {error}") from error
    return list(placed.dt.epoch("us"))


def moments(values: Sequence[Any], what: str) -> list[int]:
    """Return the moments of RFC 3339 texts with a zone, in microseconds; finer digits are cut. Raises SourceFailed."""
    texts = pl.Series([str(value) for value in values], dtype=pl.String)
    plain = texts.str.replace(r"(\.\d{6})\d+", "$1").str.replace(r"Z$", "+00:00")
    made = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False, time_zone="UTC")
    if made.null_count():
        raise SourceFailed(f"{what}: expected times like 2024-03-08T15:59:00Z, got {texts.filter(made.is_null())[0]!r}")
    return list(made.dt.epoch("us"))


def bars_frame(
    source: str,
    asked: Asked,
    received_at_us: int,
    values: Mapping[str, Sequence[Any] | Floats],
    *,
    starts_us: Sequence[int] | Times | None = None,
    on_days: Sequence[date] | None = None,
    ends_us: Sequence[int | None] | Times | None = None,
    lag_us: int = 0,
) -> pl.DataFrame:
    """Return complete bars as a canonical frame, in the order received; those that have not ended are left out.

    One of starts_us (start of each bar), on_days (trading days of daily bars: they end with their session) and ends_us.
    Daily bars given by their start are taken by its date in the calendar's zone: UTC for 24/7 and 24/5, else New York.
    values: open, high, low, close, volume, each as long as the times, texts or numbers. A bar is complete when its end
    had passed when the answer came in; a day before the calendar begins cannot be placed and is left out. lag_us: how
    long after its end a bar is known; hours and days of `LATE_INDICES` are complete and known LATE_US later at the
    earliest. Raises SourceFailed for what is no number and for columns of unequal length.
    """
    instrument, interval = asked.instrument, asked.interval
    if ends_us is None:
        starts = near(() if starts_us is None else starts_us, source)
        if on_days is None and starts_us is not None and interval is Interval.DAY:
            on_days = _days_of(starts, instrument.calendar)
        if on_days is not None:
            ends_us = closes(instrument.calendar, on_days, source)
        elif starts_us is not None:
            ends_us = starts + interval.us
        else:
            raise AssertionError("one of starts_us, on_days and ends_us")
    placed = isinstance(ends_us, np.ndarray) or None not in ends_us
    known = near(ends_us if placed else [end for end in ends_us if end is not None], source)  # type: ignore[arg-type] # no None
    columns = {name: numbers(column, f"{source}, {name}") for name, column in values.items()}
    if any(len(column) != len(ends_us) for column in columns.values()):
        said = ", ".join(f"{len(column)} of {name}" for name, column in columns.items())
        raise SourceFailed(f"{source} sent {len(ends_us)} times and {said}; the answer may have been cut off")
    rows, late_us = len(ends_us), _late_us(instrument, interval)
    times = pl.Series("time", known if placed else ends_us, dtype=pl.Int64)
    frame = pl.DataFrame(  # of columns that are made one by one: a plan for each page would cost more
        [
            _constant("source", source, rows, pl.String()),
            _constant("instrument", instrument.id, rows, pl.String()),
            _constant("interval", interval.value, rows, pl.String()),
            times,
            (times + max(lag_us, late_us)).alias("known_at"),
            _constant("observed_at", received_at_us, rows, pl.Int64()),
            *(
                columns[name].alias(name) if name in columns else _constant(name, None, rows, pl.Float64())
                for name in VALUES
            ),
        ]
    )
    if any(np.isnan(column.to_numpy()).any() for column in columns.values()):
        frame = frame.with_columns(pl.col(name).fill_nan(None) for name in VALUES)
    if not placed or (len(known) and known.max() + late_us > received_at_us):
        frame = frame.filter(pl.col("time") + late_us <= received_at_us)
    return frame


def _constant(name: str, value: Any, rows: int, kind: pl.DataType) -> pl.Series:
    return pl.Series(name, [value], dtype=kind).new_from_index(0, rows)


def near(times_us: Sequence[int] | Times, source: str, unit_us: int = 1) -> Times:
    """Return times that are given in units of so many microseconds, in microseconds. Raises SourceFailed when one is
    beyond `LATEST_US`: it may be in another unit."""
    try:
        times = np.asarray(times_us, dtype=np.int64)
    except OverflowError:
        times = np.array([LATEST_US + 1])
    if len(times) and max(int(times.max()), -int(times.min())) * unit_us > LATEST_US:
        raise SourceFailed(f"{source} sent a time far from any market; the answer may have changed its form")
    return times if unit_us == 1 else times * unit_us


def _late_us(instrument: Instrument, interval: Interval) -> int:
    late = instrument.kind is Kind.INDEX and instrument.symbol in LATE_INDICES
    return LATE_US if late and interval in (Interval.HOUR, Interval.DAY) else 0  # shorter ones beyond it are left out


def on_grid(starts: Sequence[int] | Times, interval: Interval, source: str, unit_us: int = 1) -> Times:
    """Return starts of bars of a market that never closes, given in units of so many microseconds, in microseconds.

    Raises SourceFailed when one is no multiple of the interval: its days would not be those of UTC, or its times are in
    another unit."""
    starts_us = near(starts, source, unit_us)
    odd = starts_us[starts_us % interval.us != 0]
    if len(odd):
        raise SourceFailed(
            f"{source} sent a bar of {interval.value} that starts at {format_us(int(odd[0]))}, between two of ours"
        )
    return starts_us


def quotes_frame(
    wanted: Mapping[str, Instrument], columns: Mapping[str, Sequence[Any]], times_us: Sequence[int] | int, source: str
) -> pl.DataFrame:
    """Return the rows of wanted symbols as a frame of `QUOTES`.

    columns: symbol, price, bid, ask, each as long as the others; a price of None is the middle of bid and ask, a bid or
    ask of None or 0 is none. times_us: of each, or one for all. Raises SourceFailed for what is no number.
    """
    symbols = list(columns["symbol"])
    times = [times_us] * len(symbols) if isinstance(times_us, int) else times_us
    known = [wanted[symbol].id if symbol in wanted else None for symbol in symbols]
    frame = pl.DataFrame(
        {
            "instrument": pl.Series(known, dtype=pl.String),
            "time": pl.Series(times, dtype=pl.Int64),
            **{name: numbers(columns[name], f"{source}, {name}") for name in ("price", "bid", "ask")},
        }
    ).with_columns(pl.when(pl.col(side) > 0).then(side).alias(side) for side in ("bid", "ask"))
    middle = (pl.col("bid") + pl.col("ask")) / 2
    priced = frame.with_columns(pl.col("price").fill_null(middle))
    return priced.filter(pl.col("instrument").is_not_null(), pl.col("price").is_not_null()).select(list(QUOTES))


def closes(calendar: str, on_days: Sequence[date], source: str) -> list[int | None]:
    """Return when each trading day ends, None for days before the calendar begins: those cannot be placed."""
    begins = begins_us(calendar) if on_days else None
    first = date.min if begins is None else from_us(begins).date()
    placed = [day for day in on_days if day >= first]
    try:
        ends = dict(zip(placed, (int(each) for each in close_of(calendar, placed)), strict=True)) if placed else {}
    except InvalidInput as error:
        raise SourceFailed(f"{source} sent a day that cannot be placed: {error.message}") from error
    return [ends.get(day) for day in on_days]


def _days_of(starts_us: Times, calendar: str) -> list[date]:
    if calendar in ("24/7", "24/5"):
        days_since = starts_us // DAY_US
        return [each.item() for each in days_since.astype("datetime64[D]")]
    stamps = pl.Series(starts_us, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    return list(stamps.dt.convert_time_zone("America/New_York").dt.date())


def end_of_day_us(day: date, zone: str) -> int:
    """Return the first moment after a day in a zone: when at the latest something dated that day was known."""
    following = datetime.combine(day + timedelta(days=1), datetime.min.time(), ZoneInfo(zone))
    return round(following.timestamp() * 1_000_000)


def rows_of(records: Sequence[Any], names: Sequence[str], source: str) -> dict[str, list[Any]]:
    """Return the named values of JSON objects as columns. Raises SourceFailed when one is no object or lacks a name."""
    for record in records:
        if not isinstance(record, dict) or any(name not in record for name in names):
            raise SourceFailed(f"{source} sent {str(record)[:80]!r} where {', '.join(names)} were expected")
    return {name: [record[name] for record in records] for name in names}


def arrays_of(rows: Sequence[Any], width: int, source: str) -> list[Sequence[Any]]:
    """Return the columns of arrays of at least `width` values. Raises SourceFailed for anything else."""
    if set(map(type, rows)) <= {list} and len(widths := set(map(len, rows))) == 1 and min(widths) >= width:
        columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
        return columns[:width]
    for row in rows:
        if not isinstance(row, list) or len(row) < width:
            raise SourceFailed(
                f"{source} sent {str(row)[:80]!r} where arrays of {width} were expected; it may have changed"
            )
    return [[row[at] for row in rows] for at in range(width)]
