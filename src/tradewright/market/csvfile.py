"""Bars from a CSV file: rows that can be read, and those that cannot, with line and reason."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tradewright.clock import from_us
from tradewright.errors import InvalidInput
from tradewright.market.calendars import begins_us
from tradewright.market.frames import VALUES
from tradewright.market.instruments import Interval
from tradewright.market.intake import bar_times

MISSING = ("", "nan", "null", "none", "na", "n/a", "-")
TIME_NAMES = {"date": "timestamp", "datetime": "timestamp", "time": "time", "timestamp": "timestamp"}
DAY_FORMAT = "%Y-%m-%d"
TIME_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.fZ", DAY_FORMAT, "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%:z",
)  # fmt: skip
OFFSET = r"\d:\d.*(Z|[+-]\d{2}:?\d{2})$"
SECONDS_BELOW = 10**11  # an integer below this is seconds (until the year 5138), below the next milliseconds
MILLISECONDS_BELOW = 10**14
FIRST_US = -2_208_988_800_000_000  # 1900: a time before it is a slip of the pen, and would be a gap of ages
LAST_US = 7_258_118_400_000_000  # 2200
_UNREADABLE = {"position": pl.Int64(), "instrument": pl.String(), "detail": pl.String(), "row": pl.String()}


@dataclass(frozen=True, slots=True, eq=False)
class CsvBars:
    """What a file holds. bars: time (microseconds) and the values. unreadable: position (line), instrument, detail,
    row (JSON text of the line).

    bars.height + unreadable.height is the number of lines with content below the header.
    """

    bars: pl.DataFrame
    unreadable: pl.DataFrame
    close_only: bool


def read_csv(path: Path | str, instrument: str, interval: Interval, calendar: str) -> CsvBars:
    """Return the bars of a CSV file with a header: time (ends) or timestamp (starts; also date), open .. volume.

    Times: RFC 3339, `2024-03-28 14:30:00` (UTC), bare dates, or integers (seconds, milliseconds or microseconds, told
    by their size), from 1900 to 2199. A file with a close and no open, high and low is close-only. Raises InvalidInput
    for a file that cannot be opened, has no header, lacks a column, or writes some times with an offset and others
    without or as numbers.
    """
    table = _table(Path(path))
    names = {_plain_name(name): name for name in table.columns if name != "line" and name[:1] != "@"}
    time_name = next((name for name in ("time", "timestamp", "date", "datetime") if name in names), None)
    close_only = "close" in names and not any(name in names for name in VALUES[:3])
    missing = [name for name in VALUES[:4] if name not in names and not (close_only and name != "close")]
    if time_name is None:
        missing = ["time (or timestamp)", *missing]
    if missing:
        raise InvalidInput(
            f"{path}: the file has no column {', '.join(missing)}; its columns are {', '.join(names) or 'none'}. The "
            "first line must name them: time or timestamp, open, high, low, close, volume",
            file=str(path),
            missing=missing,
        )
    assert time_name is not None
    columns = {"time": names[time_name], **{name: names[name] for name in VALUES if name in names}}
    read = table.with_columns(
        (_times if name == "time" else _numbers)(table[column]).alias(f"@{name}") for name, column in columns.items()
    )
    _refuse_mixture(path, read.filter(pl.col("@time").is_not_null()), columns["time"])
    problem = pl.coalesce(_problem(name, column) for name, column in columns.items())
    ragged = pl.when(pl.col("@extra").is_not_null()).then(pl.col("@extra")) if "@extra" in read.columns else None
    too_early = _too_early(columns["time"], calendar) if interval is Interval.DAY and time_name != "time" else None
    found = [each for each in (ragged, problem, too_early) if each is not None]
    read = read.with_columns(pl.coalesce(found).alias("@problem"))
    good, bad = read.filter(pl.col("@problem").is_null()), read.filter(pl.col("@problem").is_not_null())
    given = {TIME_NAMES[time_name]: good["@time"]}
    bars = pl.DataFrame({"time": bar_times(given, interval, calendar)}).with_columns(
        good[f"@{name}"].alias(name) for name in columns if name != "time"
    )
    return CsvBars(bars, _unreadable(bad, instrument), close_only)


def _table(path: Path) -> pl.DataFrame:
    try:
        frame = pl.read_csv(path, infer_schema=False, glob=False, encoding="utf8-lossy")
        numbered = frame.with_columns(pl.int_range(2, frame.height + 2, dtype=pl.Int64).alias("line"))
        return numbered.filter(~pl.all_horizontal(pl.col(name).is_null() for name in frame.columns))
    except pl.exceptions.NoDataError:
        raise InvalidInput(f"{path}: the file is empty; the first line must name the columns", file=str(path)) from None
    except pl.exceptions.PolarsError:
        return _ragged_table(path)
    except OSError as error:
        raise InvalidInput(f"cannot open {path}: {error.strerror or error}", file=str(path)) from error


def _ragged_table(path: Path) -> pl.DataFrame:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        rows: list[list[str | int | None]] = []
        for cells in reader:
            if not cells:
                continue
            extra = None
            if len(cells) != len(header):
                extra = f"{len(cells)} values for {len(header)} columns: {','.join(cells)}"
            padded = [*cells[: len(header)], *[""] * (len(header) - len(cells))]
            rows.append([*padded, reader.line_num, extra])
    schema = {**dict.fromkeys(header, pl.String()), "line": pl.Int64(), "@extra": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _plain_name(name: str) -> str:
    return name.strip().strip("\ufeff").lower()


def _is_missing(column: pl.Expr) -> pl.Expr:
    return column.is_null() | column.str.strip_chars().str.to_lowercase().is_in(MISSING)


def _numbers(column: pl.Series) -> pl.Series:
    read = column.cast(pl.Float64, strict=False)
    if read.null_count() > column.null_count():
        read = column.str.strip_chars().cast(pl.Float64, strict=False)
    return read.fill_nan(None)


def _times(column: pl.Series) -> pl.Series:
    text = column.str.strip_chars()
    number = text.cast(pl.Int64, strict=False)
    in_seconds, in_ms = number.abs() < SECONDS_BELOW, number.abs() < MILLISECONDS_BELOW
    read = pl.select(pl.when(in_seconds).then(number * 1_000_000).when(in_ms).then(number * 1_000).otherwise(number))
    times = read.to_series()
    for form in TIME_FORMATS:
        if times.null_count() == text.null_count():
            break
        kind = pl.Date() if form == DAY_FORMAT else pl.Datetime("us")
        parsed = text.str.strptime(kind, form, strict=False).cast(pl.Datetime("us")).dt.epoch("us")
        times = times.zip_with(times.is_not_null(), parsed)
    return times.set(~times.is_between(FIRST_US, LAST_US).fill_null(True), None)


def _refuse_mixture(path: Path | str, read: pl.DataFrame, column: str) -> None:
    text = pl.col(column).str.strip_chars()
    kind = (
        pl.when(text.cast(pl.Int64, strict=False).is_not_null()).then(pl.lit("as a number"))
        .when(text.str.contains(OFFSET)).then(pl.lit("with an offset"))
        .otherwise(pl.lit("without an offset"))
    )  # fmt: skip
    first = read.select(kind.alias("kind"), text.alias("text"), "line").unique(
        "kind", keep="first", maintain_order=True
    )
    if first.height > 1:
        told = ", ".join(f"{row['kind']} (line {row['line']}: {row['text']})" for row in first.iter_rows(named=True))
        raise InvalidInput(
            f"{path}: the column {column.strip()} holds times that are written in different ways, {told}: they may be "
            "of different zones; write all of them the same way, best with an offset like 2024-03-28T14:30:00Z, or "
            "ingest a file for each way. Nothing was stored",
            file=str(path),
        )


def _problem(name: str, column: str) -> pl.Expr:
    given = ~_is_missing(pl.col(column))
    lost = pl.col(f"@{name}").is_null() & (given if name != "time" else pl.lit(True))
    what = "time" if name == "time" else "number"
    return pl.when(lost).then(
        pl.format("{} is no " + what + ": {}", pl.lit(column.strip()), pl.col(column).fill_null("missing"))
    )


def _too_early(column: str, calendar: str) -> pl.Expr | None:
    begins = begins_us(calendar)
    if begins is None:
        return None
    what = f" lies before {from_us(begins).date()}, where calendar {calendar} begins"
    return pl.when(pl.col("@time") < begins).then(pl.format("{} {}" + what, pl.lit(column.strip()), pl.col(column)))


def _unreadable(bad: pl.DataFrame, instrument: str) -> pl.DataFrame:
    shown = [name for name in bad.columns if not name.startswith("@") and name != "line"]
    rows: Iterable[tuple[int, str, str, str]] = (
        (row["line"], instrument, row["@problem"], json.dumps({name: row[name] for name in shown}))
        for row in bad.iter_rows(named=True)
    )
    return pl.DataFrame(list(rows), schema=_UNREADABLE, orient="row")
