"""When a schedule of ingestions has its turns: pure functions of times, all UTC, which knows no summer time.

`every` is a period of PERIODS, counted from one turn to the next, or a time of day such as `06:30`. A turn that came
while nobody was there to see it is had once, however many were missed. After a failure the next turn comes sooner or
later than usual: RETRY_US after the first, twice that after each further one, at most RETRY_MOST_US.
"""

from __future__ import annotations

import re

from tradewright.clock import DAY_US

MINUTE_US = 60_000_000
PERIODS = {"15m": 15 * MINUTE_US, "1h": 60 * MINUTE_US, "4h": 240 * MINUTE_US, "1d": DAY_US}
RETRY_US = 15 * MINUTE_US
RETRY_MOST_US = 240 * MINUTE_US
AHEAD_US = DAY_US + 60 * MINUTE_US  # no turn lies further ahead, whatever small differences clocks have
PATTERN = r"^(15m|1h|4h|1d|([01][0-9]|2[0-3]):[0-5][0-9])\Z"
"""What `every` looks like."""
MAX_SCHEDULES = 100
"""How many an organization may have, over all its environments."""


def is_valid(every: str) -> bool:
    """Return whether `every` is a period or a time of day."""
    return re.match(PATTERN, every) is not None


def first_turn(every: str, now_us: int) -> int:
    """Return the first turn of a schedule that begins now: at once, or at its time of day."""
    return now_us if every in PERIODS else next_turn(every, now_us, now_us)


def next_turn(every: str, turn_us: int, now_us: int) -> int:
    """Return the first turn after now. turn_us: the one that has just come, or came while nobody looked."""
    if every in PERIODS:
        period_us = PERIODS[every]
        since_us = min(turn_us, now_us)  # a turn ahead of now was set by a clock that was ahead
        return since_us + ((now_us - since_us) // period_us + 1) * period_us
    hours, minutes = every.split(":")
    today_us = now_us - now_us % DAY_US + (int(hours) * 60 + int(minutes)) * MINUTE_US
    return today_us if today_us > now_us else today_us + DAY_US


def retry_turn(failures: int, now_us: int) -> int:
    """Return the next turn after so many failures in a row, at least one."""
    wait_us = RETRY_US << min(failures - 1, 16)
    return now_us + min(wait_us, RETRY_MOST_US)


def is_due(next_us: int, now_us: int) -> bool:
    """Return whether a turn has come. One that lies too far ahead was set by a clock that was ahead: it has come."""
    return next_us <= now_us or next_us > now_us + AHEAD_US
