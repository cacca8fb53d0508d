"""Recorded answers of SEC EDGAR become the vintages a person reads in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recorded import LATE, json_answer, recorded, span_query
from source_checks import assert_damage_fails, assert_secret_apart, assert_symbols, assert_unknown, times
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.sources import sec_edgar
from tradewright.transport.messages import Response

APPLE = span_query(sec_edgar.SOURCE, "AAPL")
NUMBER = "0000320193"


def filed(*entries: tuple[str | None, str, float, str]) -> dict[str, Any]:
    rows = [
        ({"start": start} if start else {}) | {"end": end, "val": value, "filed": day}
        for start, end, value, day in entries
    ]
    return {"facts": {"us-gaap": {"Revenues": {"units": {"USD": rows}}}}}


def test_the_recorded_table_leads_to_the_number_of_the_company(shared: Path) -> None:
    answer = recorded(shared, "sec_edgar", "instruments__company_tickers")
    page = sec_edgar.parse_facts(answer, APPLE)
    assert (page.facts.height, page.token) == (0, NUMBER)
    request = sec_edgar.facts_request(APPLE.page(page.token))
    assert request.url == "https://data.sec.gov/api/xbrl/companyfacts/CIK0000320193.json"
    assert sec_edgar.parse_facts(answer, span_query(sec_edgar.SOURCE, "BRK.B")).token == "0001067983"
    with pytest.raises(UnknownName, match=r"'NOPE'.*equity:AAPL"):
        sec_edgar.parse_facts(answer, span_query(sec_edgar.SOURCE, "NOPE"))


def test_recorded_facts_have_their_unit_period_and_day_of_filing(shared: Path) -> None:
    answer = recorded(shared, "sec_edgar", "company_facts__CIK0000320193")
    query = span_query(sec_edgar.SOURCE, "AAPL", "us-gaap:AccountsPayable").page(NUMBER)
    facts = sec_edgar.parse_facts(answer, query).facts
    assert facts.select("instrument", "name", "unit", "period_start", "value").rows() == [
        ("equity:AAPL", "us-gaap:AccountsPayable", "USD", None, 5520000000.0),
        ("equity:AAPL", "us-gaap:AccountsPayable", "USD", None, 4854000000.0),
    ]
    assert times(facts, "period_end") == ["2008-09-28T00:00:00Z", "2009-06-28T00:00:00Z"]
    assert set(times(facts, "known_at")) == {"2009-07-23T04:00:00Z"}
    shares = span_query(sec_edgar.SOURCE, "AAPL", "dei:EntityCommonStockSharesOutstanding").page(NUMBER)
    counted = sec_edgar.parse_facts(answer, shares).facts
    assert (counted.height, set(counted["unit"])) == (59, {"shares"})  # one of 60 was filed again unchanged
    assert (counted["value"][-1], times(counted, "known_at")[-1]) == (15441881000.0, "2024-02-03T05:00:00Z")


def test_a_recorded_revision_is_a_vintage_of_its_own(shared: Path) -> None:
    answer = recorded(shared, "sec_edgar", "company_facts__CIK0000320193")
    query = span_query(sec_edgar.SOURCE, "AAPL", "us-gaap:AccruedLiabilitiesCurrent").page(NUMBER)
    facts = sec_edgar.parse_facts(answer, query).facts
    revised = facts.filter(facts["period_end"] == facts["period_end"].min()).sort("known_at")
    assert times(revised, "period_end") == ["2008-09-28T00:00:00Z"] * 2
    assert revised["value"].to_list() == [3719000000.0, 4224000000.0]
    assert revised["known_at"][0] < revised["known_at"][1]


def test_a_value_filed_again_without_a_change_is_no_new_vintage() -> None:
    body = filed(
        ("2022-01-01", "2022-12-31", 10, "2023-02-01"),
        ("2022-01-01", "2022-12-31", 10, "2024-02-01"),
        ("2022-10-01", "2022-12-31", 3, "2023-02-01"),
        ("2022-01-01", "2022-12-31", 11, "2025-02-03"),
    )
    facts = sec_edgar.parse_facts(json_answer(body), APPLE.page(NUMBER)).facts
    assert list(zip(times(facts, "period_start"), times(facts, "known_at"), facts["value"], strict=True)) == [
        ("2022-01-01T00:00:00Z", "2023-02-02T05:00:00Z", 10.0),
        ("2022-10-01T00:00:00Z", "2023-02-02T05:00:00Z", 3.0),
        ("2022-01-01T00:00:00Z", "2025-02-04T05:00:00Z", 11.0),
    ]


def test_refusals_say_what_to_do(shared: Path) -> None:
    for name in ("error_unknown_symbol__404-submissions", "error_no_data__403-full-index"):
        with pytest.raises(UnknownName, match=r"'AAPL'.*no such file.*equity:AAPL"):
            sec_edgar.parse_facts(recorded(shared, "sec_edgar", name), APPLE.page(NUMBER))
    undeclared = b"<html><body>Your Request Originates from an Undeclared Automated Tool</body></html>"
    with pytest.raises(SourceRefused, match=r"'contact' of the source 'sec_edgar'.*mail address"):
        sec_edgar.parse_facts(Response(403, undeclared, (), LATE), APPLE)
    for status in (403, 429):
        with pytest.raises(SourceLimited, match=r"slow down"):
            sec_edgar.parse_facts(Response(status, b"<html>Request Rate Threshold Exceeded</html>", (), LATE), APPLE)


def test_damage_is_a_failure(shared: Path) -> None:
    assert_damage_fails(lambda answer: sec_edgar.parse_facts(answer, APPLE), b"{}", b'{"0": {"ticker": "AAPL"}}')
    assert_damage_fails(
        lambda answer: sec_edgar.parse_facts(answer, APPLE.page(NUMBER)),
        b"{}",
        b'{"facts": []}',
        b'{"facts": {"us-gaap": {"Revenues": {}}}}',
        b'{"facts": {"us-gaap": {"Revenues": {"units": {"USD": [{"end": "2024-01-01"}]}}}}}',
        b'{"facts": {"us-gaap": {"Revenues": {"units": {"USD": {"end": "x", "val": 1, "filed": "2024-01-01"}}}}}}',
        b'{"facts": {"a": {"b": {"units": {"USD": [{"end": "2024-01-01", "val": [], "filed": "2024-01-01"}]}}}}}',
    )
    assert_damage_fails(sec_edgar.parse_listing)
    with pytest.raises(SourceFailed, match=r"no facts of a company"):
        sec_edgar.parse_facts(recorded(shared, "sec_edgar", "submissions__CIK0000320193-AAPL"), APPLE.page(NUMBER))


def test_the_recorded_table_lists_shares(shared: Path) -> None:
    page = sec_edgar.parse_listing(recorded(shared, "sec_edgar", "instruments__company_tickers"))
    assert [one.symbol for one in page.listed[:3]] == ["MSFT", "AAPL", "NVDA"]
    assert len(page.listed) + page.skipped == 2000
    assert page.skipped < 20


def test_symbols_lead_back_and_the_contact_stands_in_the_header() -> None:
    assert_symbols(sec_edgar.SOURCE, ("AAPL", "equity:AAPL"), ("BRK-B", "equity:BRK.B"))
    assert_unknown(sec_edgar.SOURCE, "macro:GDP", "no such thing")
    request = sec_edgar.facts_request(APPLE)
    assert request.url == "https://www.sec.gov/files/company_tickers.json"
    signed = assert_secret_apart(sec_edgar.SOURCE, request, contact="Ann ann@example.org")
    assert signed.headers == (("User-Agent", "tradewright Ann ann@example.org"),)
