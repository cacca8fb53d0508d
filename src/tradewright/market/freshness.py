"""How old the newest bar of a series is, how many bars are due after it, and how much of its span is there.

All of it depends on the moment that is asked for, so nothing is stored. A bar is due when it could be known (its end,
plus the declared lag of the source) and GRACE more has passed: one interval, at most an hour, for fetching it. Of facts
one is due when the time has passed within which newer ones usually come (`fact_checks.py`); they have no coverage.

| code         | severity                                   | what it says                              |
| ------------ | ------------------------------------------ | ----------------------------------------- |
| stale_series | usable up to LATE_BARS bars, else suspect  | bars that are due are missing at the end  |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tradewright.clock import DAY_US
from tradewright.ids import Owner
from tradewright.market import currency_week
from tradewright.market.arrays import Times
from tradewright.market.calendars import ALWAYS, sessions
from tradewright.market.instruments import FACT, Instrument, Interval
from tradewright.market.records import instrument_from_row
from tradewright.market.verdicts import Finding, Verdict
from tradewright.storage import series as store
from tradewright.storage.database import Tx

GRACE_MOST_US = DAY_US // 24
LATE_BARS = 3


@dataclass(frozen=True, slots=True)
class Freshness:
    """How a series stands at a moment.

    newest_us: the end of its newest bar, None without any. age_us: since then. due: bars that should be there after it
    and are not. coverage: the share of the bars that the calendar expects from the first to the newest that is there,
    None without any. finding: `stale_series`, or None when nothing is due.
    """

    owner: str
    source: str
    instrument: str
    interval: str
    newest_us: int | None
    age_us: int | None
    due: int
    coverage: float | None
    finding: Finding | None


def freshness(rows: Sequence[Mapping[str, Any]], instruments: Mapping[str, Instrument], now_us: int) -> list[Freshness]:
    """Return how each series stands at `now_us`, in the order given.

    rows: of table `series`. instruments: by id, at least those of the rows. Ten thousand series take a tenth of a
    second: the bars that a calendar expects are counted, not listed. Nothing is due after an instrument was delisted.
    Raises UnknownName for a calendar that does not exist.
    """
    groups: dict[tuple[str, Interval], list[int]] = {}
    for place, row in enumerate(rows):
        if row["rows"] and row["interval"] != FACT:
            key = (instruments[row["instrument"]].calendar, Interval.parse(row["interval"]))
            groups.setdefault(key, []).append(place)
    due, expected = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64)
    for (calendar, interval), places in groups.items():
        first, newest, ends = np.array(
            [
                (rows[p]["first_time"], rows[p]["last_time"], _end(rows[p], instruments, interval, now_us))
                for p in places
            ]
        ).T
        before = expected_until(calendar, interval, newest)
        due[places] = np.maximum(expected_until(calendar, interval, ends) - before, 0)
        expected[places] = before - expected_until(calendar, interval, first - 1)
    return [
        _one_of_facts(row, now_us) if row["interval"] == FACT else _one(row, int(due[p]), int(expected[p]), now_us)
        for p, row in enumerate(rows)
    ]


def read_freshness(
    tx: Tx, owner: Owner, now_us: int, *, instruments: Sequence[str] | None = None, source: str | None = None
) -> list[Freshness]:
    """Return how each series that `owner` can read stands at `now_us`, by instrument, interval and source."""
    rows = store.list_series(tx, owner, instruments=instruments, source=source)
    named = sorted({row["instrument"] for row in rows})
    known = {row["id"]: instrument_from_row(row) for row in store.get_instruments(tx, named)}
    return freshness([row for row in rows if row["instrument"] in known], known, now_us)


def expected_until(calendar: str, interval: Interval, times: Times) -> Times:
    """Return how many bars `calendar` expects up to each of `times`, that one included, from its beginning.

    Bars that may be absent in the week of currencies are not counted. Raises UnknownName.
    """
    if calendar == ALWAYS:
        return np.asarray(times // interval.us)
    opens, closes, wanted, before = _counts(calendar, interval)
    session = np.searchsorted(opens, times, side="left") - 1  # the last that opened earlier
    at = np.maximum(session, 0)
    begun = (times - opens[at]) // interval.us if interval is not Interval.DAY else np.zeros_like(times)
    within = np.where(times >= closes[at], wanted[at], np.minimum(begun, wanted[at]))
    return np.asarray(np.where(session < 0, 0, before[at] + within))


@lru_cache(maxsize=64)
def _counts(calendar: str, interval: Interval) -> tuple[Times, Times, Times, Times]:
    known = sessions(calendar)
    opens, closes, step = known.opens_us, known.closes_us, interval.us
    wanted = np.ones_like(opens) if interval is Interval.DAY else -(-(closes - opens) // step)
    if calendar == currency_week.CALENDAR:  # of a day all bars may be absent, or those of its evening, or none
        last = currency_week.may_be_absent(interval, closes)
        first = last if interval is Interval.DAY else currency_week.may_be_absent(interval, opens + step)
        wanted = np.where(first, 0, np.where(last, currency_week.EVENING_US // step, wanted))
    return opens, closes, wanted, np.cumsum(wanted) - wanted


def _end(row: Mapping[str, Any], instruments: Mapping[str, Instrument], interval: Interval, now_us: int) -> int:
    end = now_us - int(row["lag_us"]) - min(interval.us, GRACE_MOST_US)
    delisted = instruments[row["instrument"]].delisted_us
    return end if delisted is None else min(end, delisted)


def _one(row: Mapping[str, Any], due: int, expected: int, now_us: int) -> Freshness:
    key = (row["owner"], row["source"], row["instrument"], row["interval"])
    if not row["rows"]:
        return Freshness(*key, newest_us=None, age_us=None, due=0, coverage=None, finding=None)
    newest = int(row["last_time"])
    finding = None
    if due:
        severity = Verdict.USABLE if due <= LATE_BARS else Verdict.SUSPECT
        detail = f"{due} bars are due after the newest one and are not there; fetch them"
        finding = Finding("stale_series", severity, detail, row["instrument"], due, (newest,))
    absent = sum(found["count"] for found in row["findings"] if found["code"] == "missing_rows")
    share = max(1.0 - absent / expected, 0.0) if expected > 0 else 1.0
    return Freshness(*key, newest_us=newest, age_us=now_us - newest, due=due, coverage=share, finding=finding)


def _one_of_facts(row: Mapping[str, Any], now_us: int) -> Freshness:
    key = (row["owner"], row["source"], row["instrument"], row["interval"])
    if not row["rows"]:
        return Freshness(*key, newest_us=None, age_us=None, due=0, coverage=None, finding=None)
    newest = int(row["last_time"])
    due = int(row["lag_us"] > 0 and now_us > newest + row["lag_us"])
    detail = "newer facts than these usually come by now; fetch them"
    finding = Finding("stale_series", Verdict.USABLE, detail, row["instrument"], due, (newest,)) if due else None
    return Freshness(*key, newest_us=newest, age_us=now_us - newest, due=due, coverage=None, finding=finding)
