"""Whether a series reaches over the span that was asked for: a source may answer less, without a word.

Counted are the bars that the calendar expects between what was asked for and what is stored; at the end only those that
could be known when it was asked (their end, the declared lag and a grace of one interval, at most an hour). Nothing is
expected before an instrument was listed or after it was delisted. A finding stays until a later ingestion or stream has
brought the bars, whatever that one asked for.

| code        | severity                                  | what it says                                             |
| ----------- | ----------------------------------------- | -------------------------------------------------------- |
| begins_late | usable                                    | bars that were asked for are absent before the first one |
| ends_early  | usable up to LATE_BARS bars, else suspect | bars that were asked for are absent after the last one   |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradewright.clock import DAY_US, format_us
from tradewright.market.calendars import ALWAYS, expected_times
from tradewright.market.freshness import GRACE_MOST_US, LATE_BARS, expected_until
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.verdicts import Finding, Verdict

_LONGEST_CLOSED_US = 20 * DAY_US  # of any calendar


@dataclass(frozen=True, slots=True)
class Asked:
    """A span that was asked for, both ends included. least: so many bars must be absent on one side to be told.
    bound: what the source says of how far back it goes, "" for nothing."""

    start_us: int
    end_us: int
    least: int = 1
    bound: str = ""


def span_findings(
    instrument: Instrument,
    interval: Interval,
    stored: tuple[int, int],
    asked: Asked | None,
    before: Sequence[Finding],
    known_us: int,
) -> list[Finding]:
    """Return what is absent on both sides of a series.

    stored: the times of its first and last bar. asked: None when nothing was asked for now. before: the findings that
    the series had. known_us: up to when bars could be known.
    """
    first_us, last_us = stored
    spans = [] if asked is None else [asked]
    starts = [each.start_us for each in spans] + [each.rows[0] for each in before if each.code == "begins_late"]
    ends = [each.end_us for each in spans] + [each.rows[-1] for each in before if each.code == "ends_early"]
    least = 1 if asked is None else asked.least
    if instrument.calendar != ALWAYS and interval is not Interval.DAY:
        least = max(least, 2)  # bars may stand on the clock and not on the opening: one more or less
    found = []
    if starts:
        start_us = max(min(starts), instrument.listed_us or 0)
        found += _finding("begins_late", instrument, interval, (start_us, first_us - 1), least, _began(first_us, asked))
    if ends:
        end_us = min(max(ends), until(instrument, interval, known_us))
        found += _finding("ends_early", instrument, interval, (last_us + 1, end_us), least, _ended(last_us))
    return found


def expected(instrument: Instrument, interval: Interval, start_us: int, end_us: int) -> int:
    """Return how many bars the calendar expects in start_us..end_us, both included. Raises UnknownName."""
    before, upto = expected_until(instrument.calendar, interval, np.array([start_us - 1, end_us]))
    return max(int(upto - before), 0)


def until(instrument: Instrument, interval: Interval, known_us: int) -> int:
    """Return up to when a bar is due that could be known by known_us."""
    due_us = known_us - min(interval.us, GRACE_MOST_US)
    return due_us if instrument.delisted_us is None else min(due_us, instrument.delisted_us)


def _finding(
    code: str, instrument: Instrument, interval: Interval, span: tuple[int, int], least: int, detail: tuple[str, str]
) -> list[Finding]:
    count = expected(instrument, interval, *span) if span[0] <= span[1] else 0
    if count < least:
        return []
    severity = Verdict.SUSPECT if code == "ends_early" and count > LATE_BARS else Verdict.USABLE
    where, why = detail
    text = f"bars absent {where}, that were asked for and that calendar {instrument.calendar} expects: {count}; {why}"
    return [Finding(code, severity, text, instrument.id, count, _bounds(instrument.calendar, interval, *span))]


def _bounds(calendar: str, interval: Interval, start_us: int, end_us: int) -> tuple[int, int]:
    early = expected_times(calendar, interval, start_us, min(start_us + _LONGEST_CLOSED_US, end_us))
    late = expected_times(calendar, interval, max(end_us - _LONGEST_CLOSED_US, start_us), end_us)
    return int(early[0]) if len(early) else start_us, int(late[-1]) if len(late) else end_us


def _began(first_us: int, asked: Asked | None) -> tuple[str, str]:
    why = (asked and asked.bound) or "it may not have been listed before, or the source has no more"
    return f"before the first one, {format_us(first_us)}", why


def _ended(last_us: int) -> tuple[str, str]:
    return f"after the last one, {format_us(last_us)}", "fetch them later, or take another source"
