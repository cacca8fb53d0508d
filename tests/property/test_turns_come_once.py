"""Whatever the clock does, a schedule has its turns: never two for one, never one that does not come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradewright.clock import DAY_US
from tradewright.sources.turns import AHEAD_US, MINUTE_US, PERIODS, first_turn, is_due, next_turn

NOW = 1_700_000_000_000_000
EVERY = st.sampled_from([*PERIODS, "00:00", "06:30", "23:59"])
STEPS = st.lists(st.integers(-3 * DAY_US, 3 * DAY_US), max_size=30)


def period_of(every: str) -> int:
    return PERIODS.get(every, DAY_US)


@given(EVERY, st.lists(st.integers(1, 3 * DAY_US), max_size=60))
def test_while_time_goes_on_each_turn_is_had_once_and_on_its_grid(every: str, steps: list[int]) -> None:
    now, turn, had = NOW, first_turn(every, NOW), []
    for step in steps:
        if is_due(turn, now):
            had.append(turn)
            before, turn = turn, next_turn(every, turn, now)
            assert (turn - before) % period_of(every) == 0
            assert now < turn <= now + period_of(every)
            assert not is_due(turn, now), "it would be had twice"
        now += step
    assert len(set(had)) == len(had)


@given(EVERY, STEPS)
def test_when_the_clock_jumps_the_next_turn_still_comes_within_a_day_or_so(every: str, steps: list[int]) -> None:
    now, turn = NOW, first_turn(every, NOW)
    for step in steps:
        now = max(now + step, NOW - 365 * DAY_US)
        if is_due(turn, now):
            turn = next_turn(every, turn, now)
        assert turn > now - 3 * DAY_US
        assert turn <= now + AHEAD_US


@given(EVERY, st.integers(0, 5 * MINUTE_US))
def test_clocks_of_two_processes_that_differ_a_little_do_not_have_a_turn_twice(every: str, apart: int) -> None:
    turn = next_turn(every, NOW, NOW)
    assert not is_due(turn, NOW - apart)
