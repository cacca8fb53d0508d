"""Recorded answers of Nasdaq Data Link become the facts a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import LATE, json_answer, recorded, span_query
from source_checks import assert_damage_fails, assert_secret_apart, assert_symbols, assert_unknown, times
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.sources import nasdaq_data_link as nasdaq

BRENT = span_query(nasdaq.SOURCE, "EIA/PET_RBRTE_D")


def test_the_recorded_series_is_read(shared: Path) -> None:
    facts = nasdaq.parse_facts(recorded(shared, "nasdaq_data_link", "macro_series__EIA-PET_RBRTE_D"), BRENT).facts
    assert facts.height == 16
    assert facts.row(0) == (
        "macro:EIA.PET-RBRTE-D", "", "", None, parse_us("2016-12-20"), LATE, 53.53,
    )  # fmt: skip
    assert (times(facts, "period_end")[-1], facts["value"][-1]) == ("2016-11-29T00:00:00Z", 46.64)


def test_a_value_counts_as_known_from_when_it_was_received_and_not_while_its_day_runs() -> None:
    body = {"dataset": {"column_names": ["Date", "Value"], "data": [["2024-01-02", 1.0], ["2024-03-01", 2.0]]}}
    received = parse_us("2024-03-01T12:00:00Z")
    facts = nasdaq.parse_facts(json_answer(body, received_at_us=received), BRENT).facts
    assert facts.select("known_at", "value").rows() == [(received, 1.0)]


def test_several_columns_are_facts_of_their_names() -> None:
    body = {"dataset": {"column_names": ["Date", "USD (AM)", "USD (PM)"], "data": [["2024-01-02", 2064.4, None]]}}
    both = nasdaq.parse_facts(json_answer(body), BRENT).facts
    assert both.select("name", "value").rows() == [("USD (AM)", 2064.4)]
    one = span_query(nasdaq.SOURCE, "EIA/PET_RBRTE_D", "USD (PM)")
    assert nasdaq.parse_facts(json_answer(body), one).facts.height == 0
    empty = {"dataset": {"column_names": ["Date", "Value"], "data": []}}
    assert nasdaq.parse_facts(json_answer(empty), BRENT).facts.height == 0


def test_recorded_refusals_say_what_to_do(shared: Path) -> None:
    for name, kind, says in (
        ("error_bad_key__QEAx01", SourceRefused, r"key \(400\).*QEAx01.*'nasdaq_data_link'"),
        ("error_plan__QEPx04", SourceRefused, r"present plan \(403\).*subscribe.*another source"),
        ("error_rate_limited__client-QELx04", SourceLimited, r"slow down.*QELx04"),
        ("error_unknown_symbol__client-QECx05", UnknownName, r"'EIA/PET_RBRTE_D'.*macro:EIA.PET-RBRTE-D"),
    ):
        with pytest.raises(kind, match=says):
            nasdaq.parse_facts(recorded(shared, "nasdaq_data_link", name), BRENT)
    with pytest.raises(SourceFailed, match=r"QESx04"):
        nasdaq.parse_facts(json_answer({"quandl_error": {"code": "QESx04", "message": "x"}}, 422), BRENT)


def test_damage_is_a_failure() -> None:
    assert_damage_fails(
        lambda answer: nasdaq.parse_facts(answer, BRENT),
        b"{}",
        b'{"dataset": {"column_names": ["Date"], "data": []}}',
        b'{"dataset": {"column_names": ["Date", "Value"], "data": [["2024-01-02"]]}}',
        b'{"dataset": {"column_names": ["Date", "Value"], "data": [["soon", 1]]}}',
        b'{"dataset": {"column_names": ["Date", "Value"], "data": [["2024-01-02", "dear"]]}}',
    )


def test_symbols_lead_back_and_the_request_is_as_documented() -> None:
    assert_symbols(nasdaq.SOURCE, ("EIA/PET_RBRTE_D", "macro:EIA.PET-RBRTE-D"), ("LBMA/GOLD", "macro:LBMA.GOLD"))
    assert_unknown(nasdaq.SOURCE, "equity:AAPL", "GOLD", "no such thing", "A/B/C")
    span = span_query(nasdaq.SOURCE, "LBMA/GOLD", start_us=parse_us("2024-01-02"), end_us=parse_us("2024-02-01"))
    request = nasdaq.facts_request(span)
    assert request.url == "https://data.nasdaq.com/api/v3/datasets/LBMA/GOLD.json"
    assert request.query == (("start_date", "2024-01-01"), ("end_date", "2024-02-01"), ("order", "asc"))
    signed = assert_secret_apart(nasdaq.SOURCE, request, api_key="K123")
    assert signed.headers == (("X-Api-Token", "K123"),)
