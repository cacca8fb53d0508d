"""When a row of live bars closes, and when it is too late for it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tradewright.clock import FixedClock
from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Panel
from tradewright.trading.closing import PATIENCE_US, RowCloser, deadline_us
from tradewright.trading.feed import LiveFeed

MINUTE = Interval.MINUTE.us
WAIT = deadline_us(Interval.MINUTE)
BEGIN = 1_700_000_040_000_000
BAR = (1.0, 2.0, 0.5, 1.5, 10.0)


def closer(*instruments: str) -> RowCloser:
    return RowCloser(instruments or ("a", "b"), BEGIN, WAIT)


def test_a_row_closes_as_soon_as_every_instrument_is_in() -> None:
    rows, end = closer(), BEGIN + MINUTE
    rows.take("a", end, BAR, end + 1)
    assert rows.due(end + 1) == []
    rows.take("b", end, BAR, end + 2)
    (row,) = rows.due(end + 2)
    assert (row.time_us, row.late) == (end, False)
    assert row.values.tolist() == [list(BAR)] * 2
    assert rows.due(end + MINUTE) == []


def test_what_is_missing_at_the_deadline_is_absent() -> None:
    rows, end = closer(), BEGIN + MINUTE
    rows.take("b", end, BAR, end + 1)
    assert rows.due(end + WAIT - 1) == []
    (row,) = rows.due(end + WAIT)
    assert not row.late
    assert np.isnan(row.values[0]).all()
    assert row.values[1].tolist() == list(BAR)


def test_a_bar_of_a_closed_row_changes_nothing_and_is_counted() -> None:
    rows, end = closer(), BEGIN + MINUTE
    rows.take("b", end, BAR, end + 1)
    rows.due(end + WAIT)
    rows.take("a", end, BAR, end + WAIT + 1)
    assert rows.due(end + 10 * MINUTE) == []
    assert rows.late_bars == 1


def test_late_bars_are_those_that_nothing_was_decided_on_each_once() -> None:
    rows, end = closer(), BEGIN + 2 * MINUTE
    rows.take("b", end, BAR, end)
    rows.due(end + WAIT)
    rows.take("b", end, BAR, end + WAIT + 1)  # it was in its row
    rows.take("a", BEGIN, BAR, end + WAIT + 1)  # it belongs to the history
    assert rows.late_bars == 0
    for _ in range(2):  # a reconnection brings the same again
        rows.take("a", end, BAR, end + WAIT + 1)
        rows.take("a", end - MINUTE, BAR, end + WAIT + 1)  # of a time that was no row
        assert rows.late_bars == 2


def test_of_rows_long_closed_no_bar_is_counted() -> None:
    rows = RowCloser(("a", "b"), BEGIN, WAIT, kept=2)
    for number in range(1, 5):
        rows.take("b", BEGIN + number * MINUTE, BAR, BEGIN + number * MINUTE)
        rows.due(BEGIN + number * MINUTE + WAIT)
    for number in range(1, 5):
        rows.take("a", BEGIN + number * MINUTE, BAR, BEGIN + 9 * MINUTE)
    assert rows.late_bars == 2


def test_a_later_row_waits_for_the_one_before_it() -> None:
    rows, end = closer(), BEGIN + MINUTE
    rows.take("a", end, BAR, end + 1)
    for name in ("a", "b"):
        rows.take(name, end + 1, BAR, end + 2)
    assert rows.due(end + 2) == []
    assert [row.time_us for row in rows.due(end + WAIT)] == [end, end + 1]


def test_what_comes_long_after_its_end_waits_for_its_neighbours_and_is_late() -> None:
    rows, end = closer(), BEGIN + MINUTE
    now = end + 10 * MINUTE
    rows.take("a", end, BAR, now)
    assert rows.due(now + PATIENCE_US - 1) == []
    rows.take("b", end, BAR, now + 1)
    (row,) = rows.due(now + 1)
    assert row.late


def test_a_row_filled_from_the_history_within_its_time_is_not_late() -> None:
    rows, end = closer(), BEGIN + MINUTE
    rows.take("a", end, BAR, end + WAIT - 1)
    assert rows.due(end + WAIT + PATIENCE_US - 2) == []
    (row,) = rows.due(end + WAIT + PATIENCE_US)
    assert not row.late


def test_a_bar_that_comes_again_before_its_row_closed_replaces_the_first() -> None:
    rows, end = closer("a", "b"), BEGIN + MINUTE
    rows.take("a", end, BAR, end)
    rows.take("a", end, (9.0, 9.0, 9.0, 9.0, 9.0), end)
    rows.take("b", end, BAR, end)
    assert rows.due(end)[0].values[0].tolist() == [9.0] * 5


def test_nobody_asked_for_other_instruments() -> None:
    rows = closer("a")
    rows.take("z", BEGIN + MINUTE, BAR, BEGIN + MINUTE)
    assert rows.due(BEGIN + 10 * MINUTE) == []


LIKE = Panel.of(
    np.array([BEGIN]), (Instrument("crypto:A-USD"), Instrument("crypto:B-USD")), Interval.MINUTE,
    *(np.ones((1, 2)) for _ in range(5)), sources=("x", "x"),
)  # fmt: skip


def bar(instrument: str, time: int) -> dict[str, object]:
    names = ("open", "high", "low", "close", "volume")
    return {"instrument": instrument, "time": time, **dict(zip(names, BAR, strict=True))}


def test_a_live_feed_numbers_its_rows_and_marks_what_is_absent() -> None:
    end = BEGIN + MINUTE
    clock = FixedClock(end)
    feed = LiveFeed(LIKE, 7, BEGIN, clock)
    feed.put([bar("crypto:A-USD", end)])
    feed.put([bar("crypto:A-USD", end - 30_000_000), bar("crypto:B-USD", end - 30_000_000)])
    first = feed.next(threading.Event())
    clock.advance(WAIT / 1e6)
    second = feed.next(threading.Event())
    assert first is not None
    assert second is not None
    assert (first.index, second.index) == (7, 8)
    assert [int(each.panel.times[0]) for each in (first, second)] == [end - 30_000_000, end]
    assert first.panel.present.tolist() == [[True, True]]
    assert second.panel.present.tolist() == second.panel.tradable.tolist() == [[True, False]]


def test_rows_of_the_journal_come_first_and_as_they_were() -> None:
    end, other = BEGIN + MINUTE, LIKE.rows(0, 1)
    feed = LiveFeed(LIKE, 7, BEGIN - MINUTE, FixedClock(end), [(other, True)])
    feed.put([bar(name, time) for time in (BEGIN, end) for name in LIKE.ids])
    rows = [feed.next(threading.Event()) for _ in range(2)]
    assert [row and (row.panel is other, row.late, row.index) for row in rows] == [(True, True, 7), (False, False, 8)]
    assert feed.late_bars == 0  # BEGIN was journalled


def test_a_journalled_row_that_is_taken_up_much_later_is_late() -> None:
    row = LIKE.rows(0, 1)
    for now, late in ((BEGIN + WAIT, False), (BEGIN + 10 * MINUTE, True)):
        taken = LiveFeed(LIKE, 7, BEGIN - MINUTE, FixedClock(now), [(row, False)]).next(threading.Event())
        assert taken is not None
        assert taken.late is late


def test_rows_are_late_by_the_clock_of_their_source() -> None:
    end = BEGIN + MINUTE
    feed = LiveFeed(LIKE, 0, BEGIN, FixedClock(end + 10 * MINUTE))  # our clock is ten minutes ahead
    feed.put([bar(name, end) for name in LIKE.ids], end + 1_000_000)
    row = feed.next(threading.Event())
    assert row is not None
    assert not row.late


def test_a_feed_that_failed_says_why_and_one_that_is_stopped_ends() -> None:
    stop = threading.Event()
    stop.set()
    feed = LiveFeed(LIKE, 0, BEGIN, FixedClock(BEGIN))
    assert feed.next(stop) is None
    feed.fail(SourceFailed("the key was taken back"))
    with pytest.raises(SourceFailed, match="taken back"):
        feed.next(threading.Event())
