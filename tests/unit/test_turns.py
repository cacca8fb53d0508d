"""When a schedule of ingestions has its turns."""

from __future__ import annotations

import re

import pytest

from tradewright.clock import DAY_US, format_us, parse_us
from tradewright.sources.turns import (
    AHEAD_US,
    MINUTE_US,
    PATTERN,
    PERIODS,
    first_turn,
    is_due,
    is_valid,
    next_turn,
    retry_turn,
)

NOW = parse_us("2024-03-10T06:45:00Z")  # the day on which summer time begins in New York


@pytest.mark.parametrize("every", ["15m", "1h", "4h", "1d", "00:00", "06:30", "23:59"])
def test_periods_and_times_of_day_are_taken(every: str) -> None:
    assert is_valid(every)


@pytest.mark.parametrize("every", ["", "5m", "2h", "1D", "24:00", "6:30", "06:60", "06:30:00", "06:30\n", "1h "])
def test_nothing_else_is(every: str) -> None:
    assert not is_valid(every)
    assert re.search(PATTERN, every) is None


@pytest.mark.parametrize("every", PERIODS)
def test_a_period_begins_at_once_and_is_counted_from_the_last_turn(every: str) -> None:
    assert first_turn(every, NOW) == NOW
    assert next_turn(every, NOW, NOW) == NOW + PERIODS[every]
    assert next_turn(every, NOW - 3_000_000, NOW) == NOW - 3_000_000 + PERIODS[every], "it drifts with the polling"


@pytest.mark.parametrize("every", PERIODS)
def test_turns_that_were_missed_are_had_once(every: str) -> None:
    missed = NOW - 10 * PERIODS[every] - 7
    assert next_turn(every, missed, NOW) == NOW + PERIODS[every] - 7


@pytest.mark.parametrize(
    ("every", "now", "expected"),
    [
        ("06:30", "2024-03-10T06:29:59Z", "2024-03-10T06:30:00Z"),
        ("06:30", "2024-03-10T06:30:00Z", "2024-03-11T06:30:00Z"),
        ("06:30", "2024-03-10T23:00:00Z", "2024-03-11T06:30:00Z"),
        ("02:30", "2024-03-30T12:00:00Z", "2024-03-31T02:30:00Z"),  # there is no such hour in Berlin on that day
        ("00:00", "2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z"),
        ("23:59", "2024-12-31T23:59:00Z", "2025-01-01T23:59:00Z"),
    ],
)
def test_a_time_of_day_is_in_utc_the_whole_year(every: str, now: str, expected: str) -> None:
    at = parse_us(now)
    assert format_us(next_turn(every, at - 40 * DAY_US, at)) == expected
    assert format_us(first_turn(every, at)) == expected


def test_after_failures_the_next_turn_comes_ever_later_up_to_four_hours() -> None:
    waits = [(retry_turn(failures, NOW) - NOW) // MINUTE_US for failures in (1, 2, 3, 4, 5, 6, 100, 10**6)]
    assert waits == [15, 30, 60, 120, 240, 240, 240, 240]


def test_a_turn_has_come_at_its_moment_and_when_only_a_wrong_clock_can_have_set_it() -> None:
    assert is_due(NOW, NOW)
    assert not is_due(NOW + 1, NOW)
    assert not is_due(NOW + DAY_US, NOW), "the next turn of a daily schedule, by a clock that is right"
    assert not is_due(NOW + AHEAD_US, NOW)
    assert is_due(NOW + 400 * DAY_US, NOW)


def test_a_clock_that_was_ahead_leaves_no_schedule_waiting_for_it() -> None:
    ahead = NOW + 400 * DAY_US
    for every in (*PERIODS, "06:30"):
        turn = next_turn(every, ahead, ahead)
        assert is_due(turn, NOW)
        assert NOW < next_turn(every, turn, NOW) <= NOW + DAY_US
