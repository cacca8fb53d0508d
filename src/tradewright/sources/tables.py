"""What several sources need alike: texts with commas, archives of one file, frames of quotes and of actions."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from tradewright.clock import DAY_US, from_us
from tradewright.errors import SourceFailed
from tradewright.market.calendars import ALWAYS, sessions
from tradewright.market.dated import FACTS, LeftOut
from tradewright.market.instruments import Instrument, Interval
from tradewright.sources import answers
from tradewright.sources.rows import LATEST_US, QUOTES, closes, days, end_of_day_us, no_actions, numbers
from tradewright.transport.messages import Response

_UNPACKED_MOST = 256_000_000


def unpacked(response: Response, title: str) -> Response:
    """Return the answer with the one file of its ZIP archive as body, or as it is when it is no archive.

    Raises SourceFailed for an archive that is damaged, holds several files or is too large.
    """
    if not response.body.startswith(b"PK"):
        return response
    try:
        with zipfile.ZipFile(io.BytesIO(response.body)) as archive:
            (entry,) = archive.infolist()
            if entry.file_size > _UNPACKED_MOST:
                raise ValueError(f"{entry.file_size:,} bytes")
            return replace(response, body=archive.read(entry))
    except (ValueError, OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        raise SourceFailed(
            f"{title} answered {response.status} with an archive that cannot be read ({error}); try again later",
            status=response.status,
            transient=True,
        ) from error


def table_of(response: Response, title: str, names: Sequence[str]) -> dict[str, list[str]]:
    """Return every column of a text with commas, by the name in its first line.

    Raises SourceFailed when a named one is absent or a line has another number of values.
    """
    lines = [line for line in csv.reader(io.StringIO(answers.text_of(response, title))) if line]
    heads = [head.strip() for head in lines[0]] if lines else []
    if any(name not in heads for name in names):
        raise answers.changed(response, title, f"table with {', '.join(names)}")
    for line in lines[1:]:
        if len(line) != len(heads):
            raise SourceFailed(
                f"{title} sent a line of {len(line)} values where {len(heads)} were expected: "
                f"{','.join(line)[:80]!r}; the answer may have been cut off, try again",
                status=response.status,
                transient=True,
            )
    return {head: [line[at].strip() for line in lines[1:]] for at, head in enumerate(heads)}


def asked_days(start_us: int, end_us: int) -> tuple[str, str]:
    """Return the first and last day, as YYYY-MM-DD, of bars or actions with a time in start_us..end_us.

    A day of a market that never closes ends with the next midnight, so one day more than needed may be named.
    """
    return from_us(start_us - DAY_US).date().isoformat(), from_us(end_us).date().isoformat()


def in_sessions(frame: pl.DataFrame, calendar: str, interval: Interval) -> pl.DataFrame:
    """Return the bars that share time with a session of `calendar`; one that would outlast its session ends with it.

    Daily bars and those of markets that do not close for the night stay as they are.
    """
    if interval is Interval.DAY or calendar in (ALWAYS, "24/5") or not frame.height:
        return frame
    known = sessions(calendar)
    ends = frame["time"].to_numpy()
    at = np.searchsorted(known.closes_us, ends - interval.us, side="right")  # the first session that closes later
    at = np.minimum(at, len(known.closes_us) - 1)
    within = (ends > known.opens_us[at]) & (ends - interval.us < known.closes_us[at])
    beyond = np.maximum(ends - known.closes_us[at], 0)
    moved = frame.with_columns(pl.col("time") - pl.Series(beyond), pl.col("known_at") - pl.Series(beyond))
    return moved.filter(pl.Series(within))


def quotes_frame(
    instruments: Sequence[Instrument],
    times_us: Sequence[int],
    prices: Sequence[Any],
    title: str,
    bids: Sequence[Any] | None = None,
    asks: Sequence[Any] | None = None,
) -> pl.DataFrame:
    """Return a frame of `rows.QUOTES`. A bid or ask of 0 is an empty side; without a finite price there is no row."""
    if any(abs(at_us) > LATEST_US for at_us in times_us):
        raise SourceFailed(f"{title} sent a time far from any market; the answer may have changed its form")
    none: list[None] = [None] * len(instruments)
    frame = pl.DataFrame(
        {
            "instrument": pl.Series([each.id for each in instruments], dtype=pl.String),
            "time": pl.Series(list(times_us), dtype=pl.Int64),
            "price": numbers(prices, f"{title}, price"),
            "bid": numbers(none if bids is None else bids, f"{title}, bid"),
            "ask": numbers(none if asks is None else asks, f"{title}, ask"),
        }
    )
    sides = [pl.when((pl.col(side) > 0) & pl.col(side).is_finite()).then(side).alias(side) for side in ("bid", "ask")]
    return frame.filter(pl.col("price").is_finite()).with_columns(sides).select(list(QUOTES))


def actions_frame(
    instrument: Instrument,
    ex_days: Sequence[Any],
    splits: Sequence[Any],
    dividends: Sequence[Any],
    title: str,
    announced: Sequence[Any] | None = None,
) -> pl.DataFrame:
    """Return a frame of `rows.ACTIONS`; rows that neither split nor pay are left out.

    ex_days, announced: dates or texts of dates. An action is known from the end of the day it was announced on, else
    from a day before its ex day's close; those before the calendar begins are left out. Raises SourceFailed for
    what cannot be read and for ratios not above 0.
    """
    dated = [each if isinstance(each, date) else days([each], title)[0] for each in ex_days]
    times = closes(instrument.calendar, dated, title)
    told = [None] * len(times) if announced is None else announced
    known = [
        None
        if time is None
        else time - DAY_US
        if not day
        else min(end_of_day_us(days([day], title)[0], "America/New_York"), time)
        for time, day in zip(times, told, strict=True)
    ]
    ratios, paid = numbers(splits, f"{title}, split"), numbers(dividends, f"{title}, dividend")
    if not ((ratios > 0) & (paid >= 0) & ratios.is_finite() & paid.is_finite()).fill_null(False).all():
        raise SourceFailed(f"{title} sent a split or dividend that cannot be: {ratios.to_list()}, {paid.to_list()}")
    frame = pl.DataFrame(
        {
            "instrument": pl.Series([instrument.id] * len(times), dtype=pl.String),
            "time": pl.Series(times, dtype=pl.Int64),
            "known_at": pl.Series(known, dtype=pl.Int64),
            "split": ratios,
            "dividend": paid,
        }
    )
    changing = frame.filter(pl.col("time").is_not_null(), (pl.col("split") != 1.0) | (pl.col("dividend") != 0.0))
    return merged(changing.select(no_actions().columns))


def left_out(instrument: Instrument, what: Sequence[str], on_days: Sequence[Any], title: str) -> tuple[LeftOut, ...]:
    """Return what a source told of that no action can hold, dated as `actions_frame` does. Raises SourceFailed."""
    times = closes(instrument.calendar, days(on_days, title), title)
    return tuple(LeftOut(time, each) for time, each in zip(times, what, strict=True) if time is not None)


def own_currency(
    instrument: Instrument, ex_days: Sequence[Any], paid: Sequence[Any], currencies: Sequence[Any], title: str
) -> tuple[list[Any], tuple[LeftOut, ...]]:
    """Return the dividends that are paid in the instrument's currency, 0.0 for each other one, and those others.

    currencies: of each; None or "" where the source does not say. Raises SourceFailed.
    """
    named = [str(each or instrument.currency)[:12].upper() for each in currencies]
    other = [at for at, each in enumerate(named) if each != instrument.currency and paid[at]]
    told = left_out(instrument, [f"dividend in {named[at]}" for at in other], [ex_days[at] for at in other], title)
    return [0.0 if at in other else each for at, each in enumerate(paid)], told


def merged(actions: pl.DataFrame) -> pl.DataFrame:
    """Return the actions with one row for each instrument and ex day: dividends added up, splits multiplied."""
    alike = actions.group_by("instrument", "time", maintain_order=True)
    return alike.agg(pl.col("known_at").max(), pl.col("split").product(), pl.col("dividend").sum())


def facts_frame(
    instrument: Instrument, records: Sequence[tuple[Any, ...]], received_at_us: int, vintages: bool = True
) -> pl.DataFrame:
    """Return a frame of `dated.FACTS` of rows (name, unit, period_start, period_end, known_at, value), each once.

    vintages: as in `Facts`; without, nothing counts as known before the answer was received, whatever known_at says.
    Rows without a value are left out, and those that count as known only after the answer came: they come next time.
    """
    if not vintages:
        records = [(*row[:4], max(row[3], received_at_us), row[5]) for row in records]
    columns = {name: kind for name, kind in FACTS.items() if name != "instrument"}
    frame = pl.DataFrame(records, schema=columns, orient="row")
    frame = frame.filter(pl.col("value").is_not_null(), pl.col("known_at") <= received_at_us)
    return frame.unique(maintain_order=True).select(pl.lit(instrument.id).alias("instrument"), *columns)


def midnight_us(day: date) -> int:
    """Return the first moment of a day in UTC."""
    return (day - date(1970, 1, 1)).days * DAY_US
