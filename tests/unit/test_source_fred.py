"""Recorded answers of FRED become the vintages a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import json_answer, recorded, span_query
from source_checks import assert_damage_fails, assert_secret_apart, assert_symbols, assert_unknown, times
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.sources import fred

GDP = span_query(fred.SOURCE, "GDP")
QUARTERS = GDP.page("Q|0")


def test_the_recorded_series_tells_its_frequency(shared: Path) -> None:
    page = fred.parse_facts(recorded(shared, "fred", "instruments__series-info-GDP"), GDP)
    assert (page.facts.height, page.token) == (0, "Q|0")
    assert fred.parse_facts(recorded(shared, "fred", "instruments__series-info-CPILFESL"), GDP).token == "M|0"


def test_recorded_first_releases_are_known_at_the_end_of_their_day(shared: Path) -> None:
    page = fred.parse_facts(recorded(shared, "fred", "macro_series__GDP-initial-release"), QUARTERS)
    assert (page.facts.height, page.token) == (132, "")
    first, last = page.facts.row(0, named=True), page.facts.row(-1, named=True)
    assert (first["instrument"], first["name"], first["value"]) == ("macro:GDP", "", 5736.6)
    assert [format_us(first[at]) for at in ("period_start", "period_end", "known_at")] == [
        "1991-10-01T00:00:00Z", "1992-01-01T00:00:00Z", "1992-01-30T06:00:00Z",
    ]  # fmt: skip
    assert [format_us(last[at]) for at in ("period_start", "period_end", "known_at")] == [
        "2024-07-01T00:00:00Z", "2024-10-01T00:00:00Z", "2024-10-31T05:00:00Z",
    ]  # fmt: skip
    assert last["value"] == 29349.924


def test_observations_without_a_value_are_left_out(shared: Path) -> None:
    page = fred.parse_facts(recorded(shared, "fred", "macro_series__GDP"), QUARTERS)
    assert page.facts.height == 311  # of 315: the quarters of 1946 have none
    assert (times(page.facts, "period_start")[0], page.facts["value"][0]) == ("1947-01-01T00:00:00Z", 243.164)
    months = fred.parse_facts(recorded(shared, "fred", "macro_series__CPILFESL"), GDP.page("M|0"))
    assert months.facts.height == 813
    assert times(months.facts, "period_end")[-1] == "2024-10-01T00:00:00Z"
    assert months.facts["value"][-1] == 320.767


def test_every_vintage_of_a_period_is_a_row() -> None:
    seen = [("2024-04-25", "28284.5"), ("2024-05-30", "28255.9"), ("2024-06-27", "28269.2")]
    rows = [{"date": "2024-01-01", "realtime_start": at, "realtime_end": "9999-12-31", "value": v} for at, v in seen]
    page = fred.parse_facts(json_answer({"count": 3, "observations": rows}), QUARTERS)
    assert page.facts["value"].to_list() == [28284.5, 28255.9, 28269.2]
    assert times(page.facts, "known_at") == ["2024-04-26T05:00:00Z", "2024-05-31T05:00:00Z", "2024-06-28T05:00:00Z"]


@pytest.mark.parametrize(
    ("frequency", "start", "end"),
    [
        ("D", "2024-03-08", "2024-03-09"),
        ("W", "2024-03-02", "2024-03-09"),
        ("BW", "2024-02-24", "2024-03-09"),
        ("M", "2024-03-08", "2024-04-01"),
        ("SA", "2024-03-08", "2024-09-01"),
        ("A", "2024-03-08", "2025-03-01"),
    ],
)
def test_one_observation_suffices_to_know_its_period(frequency: str, start: str, end: str) -> None:
    row = {"date": "2024-03-08", "realtime_start": "2024-03-10", "value": "1"}
    page = fred.parse_facts(json_answer({"count": 1, "observations": [row]}), GDP.page(f"{frequency}|0"))
    assert [times(page.facts, at)[0][:10] for at in ("period_start", "period_end")] == [start, end]
    assert page.facts["known_at"][0] >= page.facts["period_end"][0]


@pytest.mark.parametrize("frequency", ["D", "W", "BW", "M"])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_day_at_the_end_of_the_calendar_is_a_failure(frequency: str, day: str) -> None:
    row = {"date": day, "realtime_start": "2024-03-10", "value": "1"}
    with pytest.raises(SourceFailed, match="far from any market"):
        fred.parse_facts(json_answer({"count": 1, "observations": [row]}), GDP.page(f"{frequency}|0"))


def test_pages_follow_by_offset() -> None:
    row = {"date": "2024-01-01", "realtime_start": "2024-04-25", "value": "1"}
    page = fred.parse_facts(json_answer({"count": 5, "observations": [row, row]}), GDP.page("Q|2"))
    assert page.token == "Q|4"
    assert dict(fred.facts_request(GDP.page(page.token)).query)["offset"] == "4"
    assert fred.parse_facts(json_answer({"count": 5, "observations": [row]}), GDP.page("Q|4")).token == ""


def test_recorded_refusals_say_what_to_do(shared: Path) -> None:
    with pytest.raises(SourceRefused, match=r"key \(400\).*api_key is not registered.*'fred'"):
        fred.parse_facts(recorded(shared, "fred", "error_bad_key__400-not-registered"), GDP)
    with pytest.raises(UnknownName, match=r"'GDP'.*does not exist.*macro:CPIAUCSL"):
        fred.parse_facts(recorded(shared, "fred", "error_unknown_symbol__400-series-does-not-exist"), GDP)
    with pytest.raises(SourceLimited, match=r"slow down"):
        fred.parse_facts(json_answer({"error_code": 429, "error_message": "Too Many Requests"}, 429), GDP)
    with pytest.raises(SourceFailed, match=r"realtime_end"):
        fred.parse_facts(json_answer({"error_code": 400, "error_message": "Bad Request. realtime_end"}, 400), GDP)


def test_damage_is_a_failure() -> None:
    for query in (GDP, QUARTERS):
        assert_damage_fails(
            lambda answer, query=query: fred.parse_facts(answer, query),  # type: ignore[misc] # bound to this turn
            b"{}",
            b'{"seriess": [{}]}',
            b'{"observations": [{"date": "2024-01-01"}]}',
            b'{"observations": [{"date": "soon", "realtime_start": "2024-01-01", "value": "1"}]}',
            b'{"observations": [{"date": "2024-01-01", "realtime_start": "2024-01-01", "value": "x"}]}',
            b'{"observations": [], "count": "many"}',
        )


def test_symbols_lead_back() -> None:
    assert_symbols(fred.SOURCE, ("GDP", "macro:GDP"), ("DGS10", "macro:DGS10"))
    assert_unknown(fred.SOURCE, "equity:AAPL", "no such thing", "")


def test_the_requests_ask_for_every_vintage_and_hold_no_secret() -> None:
    span = span_query(fred.SOURCE, "GDP", start_us=parse_us("2024-01-01"), end_us=parse_us("2024-12-31"))
    first = fred.facts_request(span)
    assert first.url == "https://api.stlouisfed.org/fred/series"
    assert_secret_apart(fred.SOURCE, first, api_key="K123")
    asked = dict(fred.facts_request(span.page("Q|0")).query)
    assert asked == {
        "series_id": "GDP", "file_type": "json", "realtime_start": "1776-07-04", "realtime_end": "9999-12-31",
        "observation_start": "2022-12-30", "observation_end": "2024-12-31", "limit": "100000", "offset": "0",
    }  # fmt: skip


TOO_MANY = (
    "Bad Request.  There are 2004 vintage dates in the specified real-time period: 1776-07-04 to 9999-12-31.  "
    "This exceeds the maximum number of vintage dates allowed (2000)."
)


def test_a_series_with_too_many_vintages_is_asked_in_slices_that_meet() -> None:
    days = span_query(fred.SOURCE, "T10Y2Y").page("D|0")
    refused = json_answer({"error_code": 400, "error_message": TOO_MANY}, 400)
    page = fred.parse_facts(refused, days)
    assert (page.facts.height, page.token) == (0, "D|0|1776-07-04|1996-12-31")
    spans, offsets, token = [], [], page.token
    while token:
        asked = dict(fred.facts_request(days.page(token)).query)
        spans.append((asked["realtime_start"], asked["realtime_end"]))
        offsets.append(asked["offset"])
        token = fred.parse_facts(json_answer({"count": 0, "observations": []}), days.page(token)).token
    assert spans[0] == ("1776-07-04", "1996-12-31")
    assert [before[1] for before in spans[:-1]] == [after[0] for after in spans[1:]]
    assert spans[-1] == ("2021-12-31", "9999-12-31")
    assert set(offsets) == {"0"}


def test_what_a_slice_repeats_from_before_it_is_left_out_and_its_pages_stay_in_it() -> None:
    days = span_query(fred.SOURCE, "T10Y2Y").page("D|0|2001-12-31|2006-12-31")
    rows = [
        {"date": "2001-01-02", "realtime_start": told, "value": value}
        for told, value in (("2001-12-31", "1"), ("2002-01-02", "2"))
    ]
    page = fred.parse_facts(json_answer({"count": 3, "observations": rows}), days)
    assert page.facts["value"].to_list() == [2.0]
    assert page.token == "D|2|2001-12-31|2006-12-31"


def test_a_slice_from_before_the_series_began_has_no_rows() -> None:
    days = span_query(fred.SOURCE, "T10Y2Y").page("D|0|1776-07-04|1996-12-31")
    said = "Bad Request.  The series does not exist in ALFRED but may exist in FRED."
    page = fred.parse_facts(json_answer({"error_code": 400, "error_message": said}, 400), days)
    assert (page.facts.height, page.token) == (0, "D|0|1996-12-31|2001-12-31")


def test_too_many_vintages_of_a_slice_are_a_failure_that_says_what_to_do() -> None:
    days = span_query(fred.SOURCE, "T10Y2Y").page("D|0|2001-12-31|2006-12-31")
    with pytest.raises(SourceFailed, match=r"more vintages of 'T10Y2Y' in five years.*longer period"):
        fred.parse_facts(json_answer({"error_code": 400, "error_message": TOO_MANY}, 400), days)
