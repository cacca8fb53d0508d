"""Bars that are absent, or at times that are not expected."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tradewright.market.calendars import coverage, on_closed_days
from tradewright.market.checks.series import Series
from tradewright.market.checks.thresholds import MANY, ROWS_KEPT
from tradewright.market.instruments import Interval
from tradewright.market.verdicts import Finding, Verdict


def gaps(series: Series) -> Iterator[Finding]:
    """Yield what is absent of the calendar, and what it does not expect."""
    calendar = series.instrument.calendar
    seen = coverage(calendar, series.interval, series.times, ROWS_KEPT)
    if seen.absent:
        severity = Verdict.SUSPECT if seen.absent / seen.expected > MANY else Verdict.USABLE
        detail = f"{seen.absent} of {seen.expected} bars that calendar {calendar} expects are absent"
        rows = tuple(int(t) for t in seen.first_absent)
        yield Finding("missing_rows", severity, detail, series.instrument.id, seen.absent, rows)
    if seen.off.any():
        detail = f"at times that calendar {calendar} does not expect"
        if series.interval is Interval.DAY:
            yield series.finding("off_calendar", Verdict.SUSPECT, detail, seen.off)
            return
        off = np.flatnonzero(seen.off)
        closed = on_closed_days(calendar, series.times[off])
        if closed.any():
            made_up = f"on days on which calendar {calendar} has no session"
            yield series.finding("off_calendar", Verdict.SUSPECT, made_up, off[closed])
        if not closed.all():
            yield series.finding("off_calendar", Verdict.USABLE, detail, off[~closed])
