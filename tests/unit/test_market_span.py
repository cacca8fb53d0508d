"""A series that does not reach over the span that was asked for says so, on each side, until it does."""

from __future__ import annotations

from dataclasses import replace

from tradewright.clock import DAY_US, parse_us
from tradewright.market.instruments import Instrument, Interval
from tradewright.market.span import Asked, expected, span_findings
from tradewright.market.verdicts import Verdict

COIN = Instrument("crypto:BTC-USD")
SHARE = Instrument("equity:XYZ", calendar="XNYS")
DAY, HOUR, MINUTE = Interval.DAY, Interval.HOUR, Interval.MINUTE
LATER = parse_us("2025-01-01")


def at(text: str) -> int:
    return parse_us(text)


def found(instrument, interval, first, last, asked, before=(), known_us=LATER):  # type: ignore[no-untyped-def]
    made = span_findings(instrument, interval, (at(first), at(last)), asked, before, known_us)
    return {finding.code: finding for finding in made}


def test_a_series_over_the_whole_span_says_nothing() -> None:
    assert found(COIN, DAY, "2024-01-01", "2024-03-01", Asked(at("2024-01-01"), at("2024-03-01"))) == {}
    assert found(COIN, DAY, "2023-01-01", "2024-09-01", Asked(at("2024-01-01"), at("2024-03-01"))) == {}


def test_each_side_says_how_many_bars_are_absent_and_between_which() -> None:
    made = found(
        COIN, DAY, "2024-01-11", "2024-02-29", Asked(at("2024-01-01"), at("2024-03-02"), bound="it has 50 days")
    )
    begin, end = made["begins_late"], made["ends_early"]
    assert (begin.count, begin.severity, begin.rows) == (10, Verdict.USABLE, (at("2024-01-01"), at("2024-01-10")))
    assert begin.detail == (
        "bars absent before the first one, 2024-01-11T00:00:00Z, that were asked for and that calendar 24/7 expects: "
        "10; it has 50 days"
    )
    assert (end.count, end.severity, end.rows) == (2, Verdict.USABLE, (at("2024-03-01"), at("2024-03-02")))
    many = found(COIN, DAY, "2024-01-01", "2024-02-20", Asked(at("2024-01-01"), at("2024-03-02")))
    assert many["ends_early"].severity is Verdict.SUSPECT


def test_only_what_the_calendar_expects_counts() -> None:
    span = Asked(at("2024-03-28T21:00:00Z"), at("2024-04-08"))  # Easter, and a weekend at the end
    assert found(SHARE, DAY, "2024-04-01T20:00:00Z", "2024-04-05T20:00:00Z", span) == {}
    late = found(SHARE, DAY, "2024-04-02T20:00:00Z", "2024-04-05T20:00:00Z", span)
    assert late["begins_late"].count == 1
    assert late["begins_late"].rows == (at("2024-04-01T20:00:00Z"),) * 2


def test_hours_on_the_clock_or_from_the_opening_are_both_whole() -> None:
    span = Asked(at("2024-04-02T14:05:00Z"), at("2024-04-05"))
    for first in ("2024-04-02T14:30:00Z", "2024-04-02T15:00:00Z"):  # 13:30 opens
        assert found(SHARE, HOUR, first, "2024-04-04T20:00:00Z", span) == {}


def test_what_nobody_could_know_yet_is_not_missed() -> None:
    now = at("2024-03-05T00:30:00Z")
    span = Asked(at("2024-03-01"), now)
    assert found(COIN, DAY, "2024-03-01", "2024-03-04", span, known_us=now) == {}
    assert found(COIN, DAY, "2024-03-01", "2024-03-04", span, known_us=now + DAY_US // 24)["ends_early"].count == 1
    assert found(COIN, MINUTE, "2024-03-01", "2024-03-05T00:28:00Z", span, known_us=now)["ends_early"].count == 1


def test_nothing_is_missed_before_the_listing_and_after_the_end_of_an_instrument() -> None:
    listed = replace(COIN, listed_us=at("2024-01-11"), delisted_us=at("2024-02-29"))
    assert found(listed, DAY, "2024-01-11", "2024-02-29", Asked(at("2023-01-01"), at("2024-06-01"))) == {}


def test_a_source_that_leaves_bars_out_is_told_for_long_runs_only() -> None:
    span = Asked(at("2024-01-01"), at("2024-01-02"), least=30)
    assert found(COIN, MINUTE, "2024-01-01T00:29:00Z", "2024-01-01T23:31:00Z", span) == {}
    assert len(found(COIN, MINUTE, "2024-01-01T00:30:00Z", "2024-01-01T23:29:00Z", span)) == 2


def test_a_finding_stays_until_the_bars_have_come_and_no_longer() -> None:
    short = list(found(COIN, DAY, "2024-01-11", "2024-02-29", Asked(at("2024-01-01"), at("2024-03-05"))).values())
    again = found(COIN, DAY, "2024-01-11", "2024-02-29", None, short)
    assert {code: each.count for code, each in again.items()} == {"begins_late": 10, "ends_early": 5}
    narrower = found(COIN, DAY, "2024-01-11", "2024-03-05", Asked(at("2024-02-01"), at("2024-03-05")), short)
    assert {code: each.count for code, each in narrower.items()} == {"begins_late": 10}
    partly = found(COIN, DAY, "2024-01-05", "2024-04-01", None, short)
    assert {code: each.count for code, each in partly.items()} == {"begins_late": 4}
    assert found(COIN, DAY, "2024-01-01", "2024-04-01", None, short) == {}


def test_the_bars_of_a_span_are_counted() -> None:
    assert expected(COIN, HOUR, at("2024-01-01"), at("2024-01-02")) == 25
    assert expected(SHARE, DAY, at("2024-01-01"), at("2024-01-31")) == 20
