"""Which representation a caller wants, and bars as CSV and as an Arrow stream, whose verdicts stand in a
header. Pure."""

from __future__ import annotations

import io
from collections.abc import Sequence

import polars as pl

from tradewright.api.market_data import BarRow, ServedSeries
from tradewright.api.problems import Refused
from tradewright.clock import format_us

JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
_NUMBERS = ("open", "high", "low", "close", "volume")


def chosen(accept: str | None, offered: Sequence[str]) -> str:
    """Return the media type of `offered` that an Accept header likes best; of equals the first one.

    The most specific range that matches a type counts for it, as RFC 9110 says. Raises Refused.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    liked = {name: _quality(name, ranges) for name in offered}
    best = max(offered, key=lambda name: liked[name])
    if liked[best] <= 0:
        raise Refused("not_acceptable", f"the Accept header {accept[:200]!r} names none of {', '.join(offered)}")
    return best


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (text.strip().lower() for text in part.split(";"))
    quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
    try:
        return name, min(max(float(quality), 0.0), 1.0)
    except ValueError:
        return name, 0.0


def _quality(name: str, ranges: Sequence[tuple[str, float]]) -> float:
    for wanted in (name, f"{name.partition('/')[0]}/*", "*/*"):
        found = [quality for known, quality in ranges if known == wanted]
        if found:
            return max(found)
    return 0.0


def verdicts_of(served: Sequence[ServedSeries]) -> str:
    """Return which series have which verdict, as a dictionary of lists by RFC 9651:
    `clean=("crypto:AAA-USD"), usable=("equity:AAPL";pre_adjusted)`."""
    names: dict[str, list[str]] = {}
    for each in served:
        mark = ";pre_adjusted" if each.pre_adjusted else ""
        names.setdefault(each.verdict, []).append(f'"{each.key.instrument}"{mark}')
    return ", ".join(f"{verdict}=({' '.join(named)})" for verdict, named in names.items())


def csv_of(rows: Sequence[BarRow]) -> bytes:
    """Return bars as CSV: a line of names, times as RFC 3339, nothing where a value is missing."""
    frame = _frame(rows)
    shown = pl.Series("time", [format_us(row.time) for row in rows], dtype=pl.String)
    return frame.with_columns(shown).write_csv().encode()


def arrow_of(rows: Sequence[BarRow]) -> bytes:
    """Return bars as an Arrow IPC stream: texts, times in microseconds UTC, doubles with nulls."""
    out = io.BytesIO()
    frame = _frame(rows).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
    frame.write_ipc_stream(out, compression="uncompressed", compat_level=pl.CompatLevel.oldest())
    return out.getvalue()


def _frame(rows: Sequence[BarRow]) -> pl.DataFrame:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    keys = columns[0]
    return pl.DataFrame(
        [
            pl.Series("instrument", [key.instrument for key in keys], dtype=pl.String),
            pl.Series("time", columns[1], dtype=pl.Int64),
            *(pl.Series(name, columns[2 + at], dtype=pl.Float64).fill_nan(None) for at, name in enumerate(_NUMBERS)),
            pl.Series("source", [key.source for key in keys], dtype=pl.String),
        ]
    )
