"""Session closes and expected bar times."""

from __future__ import annotations

import tracemalloc
from datetime import date

import numpy as np
import pytest

from tradewright.clock import DAY_US, format_us, parse_us
from tradewright.errors import InvalidInput, UnknownName
from tradewright.market import currency_week
from tradewright.market.calendars import begins_us, close_of, coverage, expected_times, sessions
from tradewright.market.implied import calendar_of
from tradewright.market.instruments import Interval


def test_a_daily_bar_is_complete_at_the_close_in_summer_winter_and_on_half_days() -> None:
    days = [date(1990, 1, 2), date(2019, 7, 2), date(2019, 7, 3), date(2018, 12, 24)]
    closes = [format_us(int(t)) for t in close_of("XNYS", days)]
    # 16:00 New York is 21:00Z in winter and 20:00Z in summer; 3 July and 24 December close at 13:00 New York.
    assert closes == ["1990-01-02T21:00:00Z", "2019-07-02T20:00:00Z", "2019-07-03T17:00:00Z", "2018-12-24T18:00:00Z"]


def test_a_day_without_a_session_is_put_at_a_time_the_calendar_does_not_expect() -> None:
    holiday = close_of("XNYS", [date(2019, 7, 4)])
    around = expected_times("XNYS", Interval.DAY, parse_us("2019-07-01"), parse_us("2019-07-08"))
    assert holiday[0] not in around
    assert len(around) == 4


def test_around_the_clock_days_end_at_midnight() -> None:
    assert format_us(int(close_of("24/7", [date(2024, 2, 29)])[0])) == "2024-03-01T00:00:00Z"


def test_expected_minutes_around_the_clock_are_the_multiples_within_both_bounds() -> None:
    start, end = parse_us("2024-01-01T00:00:30Z"), parse_us("2024-01-01T00:03:00Z")
    times = expected_times("24/7", Interval.MINUTE, start, end)
    assert [format_us(int(t)) for t in times] == [f"2024-01-01T00:0{m}:00Z" for m in (1, 2, 3)]


def test_the_last_hour_of_a_session_ends_with_the_session() -> None:
    times = expected_times("XNYS", Interval.HOUR, parse_us("2019-07-03"), parse_us("2019-07-04"))
    assert [format_us(int(t))[11:16] for t in times] == ["14:30", "15:30", "16:30", "17:00"]


def test_a_year_has_its_known_number_of_sessions() -> None:
    sessions = expected_times("XNYS", Interval.DAY, parse_us("2001-01-01"), parse_us("2002-01-01"))
    assert len(sessions) == 248  # four days were lost in September 2001
    assert np.all(np.diff(sessions) > 0)


def test_an_unknown_calendar_is_named_with_the_closest_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean XNYS"):
        close_of("XNYSE", [date(2024, 1, 2)])


def test_a_day_before_the_calendar_begins_is_refused() -> None:
    with pytest.raises(InvalidInput, match="begins on 1970"):
        close_of("XNYS", [date(1969, 1, 2)])


@pytest.mark.parametrize(
    ("instrument", "calendar"),
    [("equity:AAPL", "XNYS"), ("equity:BP.XLON", "XLON"), ("equity:BRK.B", "XNYS"), ("index:SPX", "XNYS"),
     ("crypto:BTC-USD", "24/7"), ("fx:EUR-USD", "24/5")],
)  # fmt: skip
def test_an_instrument_id_implies_its_calendar(instrument: str, calendar: str) -> None:
    assert calendar_of(instrument) == calendar


def _grid(calendar: str, interval: Interval, times: np.ndarray) -> tuple[int, int, list[int], list[bool]]:
    expected = expected_times(calendar, interval, int(times[0]), int(times[-1]))
    off = ~np.isin(times, expected)
    if calendar == "24/5":
        expected = expected[~currency_week.may_be_absent(interval, expected)]
        off &= ~currency_week.may_be_there(interval, times)
    absent = expected[~np.isin(expected, times)]
    return len(expected), len(absent), absent[:20].tolist(), off.tolist()


@pytest.mark.parametrize("calendar", ["24/7", "XNYS", "24/5"])
@pytest.mark.parametrize("interval", [Interval.HOUR, Interval.DAY])
@pytest.mark.parametrize("seed", range(5))
def test_coverage_counts_as_a_comparison_with_the_whole_grid_does(calendar: str, interval: Interval, seed: int) -> None:
    draw = np.random.default_rng(seed)
    whole = expected_times(calendar, interval, parse_us("2017-01-01"), parse_us("2020-01-01"))
    kept = whole[draw.random(len(whole)) < draw.choice([0.02, 0.5, 0.99])]
    strays = draw.integers(int(whole[0]), int(whole[-1]), 7)
    times = np.unique(np.concatenate([kept, strays]))
    seen = coverage(calendar, interval, times, 20)
    assert (seen.expected, seen.absent, seen.first_absent.tolist(), seen.off.tolist()) == _grid(
        calendar, interval, times
    )


def test_hours_of_the_clock_are_as_good_as_hours_from_the_opening() -> None:
    days = ["2019-07-02", "2019-07-03", "2019-07-05"]  # the 3rd ends at 13:00, the 4th is a holiday
    ends = {"2019-07-03": 17}
    by_clock = [f"{day}T{hour}:00:00Z" for day in days for hour in range(14, ends.get(day, 20) + 1)]
    times = np.array([parse_us(each) for each in by_clock])
    assert coverage("XNYS", Interval.HOUR, times, 20).off.sum() == 0
    assert coverage("XNYS", Interval.HOUR, times, 20).absent == 0
    without = coverage("XNYS", Interval.HOUR, np.delete(times, 4), 20)
    assert without.first_absent.tolist() == [times[4]]
    opening = expected_times("XNYS", Interval.HOUR, int(times[0]), int(times[-1]))
    assert coverage("XNYS", Interval.HOUR, opening, 20).absent == 0
    shifted = times + 3 * Interval.HOUR.us  # read in a wrong time zone
    assert coverage("XNYS", Interval.HOUR, shifted, 20).off.sum() == 9


def test_the_week_of_currencies_begins_on_sunday_evening_and_ends_on_friday_evening() -> None:
    begin, end = parse_us("2024-07-14T21:00:00Z"), parse_us("2024-07-19T21:00:00Z")
    week = np.arange(begin + Interval.HOUR.us, end + 1, Interval.HOUR.us)
    seen = coverage("24/5", Interval.HOUR, np.concatenate([week, week + 7 * DAY_US]), 20)
    assert (seen.absent, seen.off.any()) == (0, False)
    assert coverage("24/5", Interval.HOUR, np.delete(week, 30), 20).first_absent.tolist() == [week[30]]
    assert coverage("24/5", Interval.HOUR, np.append(week, end + 12 * Interval.HOUR.us), 20).off.tolist()[-1]


def test_a_day_without_a_reference_rate_is_not_missing_and_a_plain_day_is() -> None:
    days = np.array([parse_us(f"2024-{day}") + DAY_US for day in ("03-27", "03-28", "04-02", "04-30", "05-02")])
    seen = coverage("24/5", Interval.DAY, days, 99)  # 29 March is Good Friday, 1 April Easter Monday
    assert seen.absent == 19
    assert parse_us("2024-05-02") not in seen.first_absent
    assert parse_us("2024-03-30") not in seen.first_absent
    christmas = coverage("24/5", Interval.HOUR, np.array([parse_us(f"2024-12-{d}T20:00:00Z") for d in (24, 26)]), 99)
    assert christmas.absent == 20


@pytest.mark.parametrize("year", [1999, 2000, 2008, 2011, 2024, 2038, 2049, 2076])
def test_easter_falls_where_the_tables_say(year: int) -> None:
    known = {1999: "04-04", 2000: "04-23", 2008: "03-23", 2011: "04-24", 2024: "03-31", 2038: "04-25", 2049: "04-18",
             2076: "04-19"}  # fmt: skip
    friday = parse_us(f"{year}-{known[year]}") - DAY_US
    around = friday + DAY_US * np.arange(-3, 5)
    assert currency_week.may_be_absent(Interval.DAY, around).tolist() == [False] * 3 + [True, False, False, True, False]


def test_one_bar_off_the_grid_is_expected_by_nobody() -> None:
    seen = coverage("24/7", Interval.MINUTE, np.array([30_000_000]), 20)
    assert (seen.expected, seen.absent, seen.first_absent.tolist(), seen.off.tolist()) == (0, 0, [], [True])


@pytest.mark.parametrize(("calendar", "megabytes"), [("24/7", 1), ("24/5", 60)])
def test_a_stray_bar_of_1924_does_not_cost_the_memory_of_a_century(calendar: str, megabytes: int) -> None:
    coverage(calendar, Interval.DAY, np.array([parse_us("2024-01-02")]), 20)  # the calendar itself is kept
    times = np.array([parse_us("1924-01-02"), parse_us("2024-01-02"), parse_us("2024-01-02T00:01:00Z")])
    tracemalloc.start()
    try:
        seen = coverage(calendar, Interval.MINUTE, times, 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen.absent > 10_000_000
    assert len(seen.first_absent) == 20
    assert peak < megabytes * 1_000_000


def test_the_beginning_of_a_calendar_is_told() -> None:
    assert begins_us("24/7") is None
    assert format_us(begins_us("XNYS") or 0) == "1970-01-02T00:00:00Z"


def test_a_time_of_another_age_or_unit_costs_no_time() -> None:
    times = np.array([-(2**62), parse_us("2024-01-02T21:00:00Z"), 2**62])
    seen = coverage("XNYS", Interval.DAY, times, 20)
    assert seen.off.tolist() == [True, False, True]
    assert seen.expected == len(sessions("XNYS").days)
    assert coverage("24/7", Interval.MINUTE, times, 20).off.tolist() == [True, False, True]
