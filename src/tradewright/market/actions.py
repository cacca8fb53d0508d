"""Splits and dividends in terms of bars: from which moment on bars of an interval are on the new terms.

What is stored of an action is the end of its ex day's session, which is where the daily bar of that day ends. Shorter
bars of that day end before it and are on the new terms all the same: for them the action takes place as the session
opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from tradewright.clock import DAY_US
from tradewright.market.arrays import Action, Floats, Times
from tradewright.market.calendars import ALWAYS, sessions
from tradewright.market.implied import calendar_of
from tradewright.market.instruments import Instrument, Interval


def in_bar_terms(found: pl.DataFrame, interval: Interval, calendar: Callable[[str], str] = calendar_of) -> pl.DataFrame:
    """Return stored actions with `time` and `known_at` as bars of this interval see them, those that change nothing
    left out; ascending by instrument and time.

    found: columns of `dated.ACTIONS`. calendar: that of an instrument id. What was known by its taking place at the
    latest is known as it takes place.
    """
    changing = found.filter((pl.col("split") != 1.0) | (pl.col("dividend") != 0.0)).sort("instrument", "time")
    if interval is Interval.DAY or not changing.height:
        return changing
    parts = [
        part.with_columns(_opening(calendar(str(name)), part["time"].to_numpy()))
        for (name,), part in changing.partition_by("instrument", as_dict=True, maintain_order=True).items()
    ]
    at_once = pl.col("known_at") == pl.col("time")
    moved = pl.concat(parts).with_columns(pl.when(at_once).then("opening").otherwise("known_at").alias("known_at"))
    return moved.with_columns(pl.col("opening").alias("time")).drop("opening")


def _opening(calendar: str, closes_us: Times) -> pl.Series:
    if calendar == ALWAYS:
        return pl.Series("opening", closes_us - DAY_US + 1)
    known = sessions(calendar)
    at = np.searchsorted(known.closes_us, closes_us)  # a day without a session takes place in the next one
    inside = np.minimum(at, len(known.closes_us) - 1)
    return pl.Series("opening", np.where(at < len(known.closes_us), known.opens_us[inside] + 1, closes_us))


def actions_of_column(
    found: pl.DataFrame, instrument: Instrument, interval: Interval, column: int = 0
) -> tuple[Action, ...]:
    """Return the stored actions of an instrument as those of a column, ascending by time."""
    mine = in_bar_terms(found.filter(pl.col("instrument") == instrument.id), interval, lambda _: instrument.calendar)
    rows: list[tuple[Any, ...]] = mine.select("time", "known_at", "split", "dividend").rows()
    return tuple(Action(column, *row) for row in rows)


def actions_of_columns(
    found: pl.DataFrame, instruments: Sequence[Instrument], interval: Interval, times: Times
) -> tuple[Action, ...]:
    """Return those of the stored actions of `instruments`, column by column, that take place behind the first of
    `times` and not after the last: the others change no row."""
    made = (
        action
        for column, instrument in enumerate(instruments)
        for action in actions_of_column(found, instrument, interval, column)
    )
    return tuple(action for action in made if times[0] < action.time_us <= times[-1])


def became_of_a_unit(times: Times, actions: Iterable[Action]) -> tuple[Floats, Floats]:
    """Return what one unit held before each row has become in it by the actions of one instrument: units and cash,
    (T,) each, 1 and 0 where there is none. times: of the rows in which it has a bar, ascending."""
    units, cash = np.ones(len(times)), np.zeros(len(times))
    for action in sorted(actions, key=lambda each: each.time_us):
        row = int(np.searchsorted(times, action.time_us))
        if row < len(times):
            cash[row] += units[row] * action.dividend
            units[row] *= action.split
    return units, cash
