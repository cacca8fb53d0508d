"""The loops that all sources share reach every page of those that need several requests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from source_checks import times
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed
from tradewright.market.instruments import Interval
from tradewright.sources import alpha_vantage, fmp, fred, polygon, sec_edgar
from tradewright.sources.fetch import Line, fetch_actions, fetch_bars, fetch_facts
from tradewright.sources.source import Source
from tradewright.transport.messages import Policy, Request, Response

START, END, NOW = parse_us("2023-12-01"), parse_us("2024-03-31"), parse_us("2024-06-01")
CREDENTIALS = {"api_key": "planted", "contact": "planted@example.org"}


class Shelf:
    """A transport that hands out prepared answers in their order and keeps what was asked."""

    def __init__(self, *bodies: Any) -> None:
        self.bodies = list(bodies)
        self.asked: list[Request] = []

    async def fetch(self, request: Request, policy: Policy | None = None) -> Response:
        self.asked.append(request)
        return Response(200, json.dumps(self.bodies.pop(0)).encode(), (), NOW)

    @property
    def paths(self) -> list[str]:
        return [request.url.partition("//")[2].partition("/")[2] for request in self.asked]


def line(source: Source, shelf: Shelf) -> Line:
    return Line(source, shelf, CREDENTIALS, "https://stand-in.example")


def test_facts_of_a_company_are_reached_by_its_ticker() -> None:
    entry = {"start": "2023-10-01", "end": "2023-12-31", "val": 10, "filed": "2024-02-01"}
    later = {"start": "2024-01-01", "end": "2024-03-30", "val": 12, "filed": "2024-06-01"}  # not over yet
    shelf = Shelf(
        {"0": {"cik_str": 320193, "ticker": "AAPL", "title": "Apple"}},
        {"facts": {"us-gaap": {"Revenues": {"units": {"USD": [entry, later]}}}}},
    )
    facts = asyncio.run(fetch_facts(line(sec_edgar.SOURCE, shelf), sec_edgar.instrument_of("AAPL"), START, END))
    assert facts.select("name", "value").rows() == [("us-gaap:Revenues", 10.0)]
    assert shelf.paths == ["files/company_tickers.json", "api/xbrl/companyfacts/CIK0000320193.json"]
    assert all(("User-Agent", "tradewright planted@example.org") in request.headers for request in shelf.asked)


def test_vintages_are_reached_behind_their_frequency_page_by_page() -> None:
    row = {"date": "2023-10-01", "realtime_start": "2024-01-25", "value": "1"}
    shelf = Shelf(
        {"seriess": [{"frequency_short": "Q"}]},
        {"count": 2, "observations": [row]},
        {"count": 2, "observations": [row | {"realtime_start": "2024-02-28", "value": "2"}]},
    )
    facts = asyncio.run(fetch_facts(line(fred.SOURCE, shelf), fred.instrument_of("GDP"), START, END))
    assert facts["value"].to_list() == [1.0, 2.0]
    assert times(facts, "period_end") == ["2024-01-01T00:00:00Z"] * 2
    assert [dict(request.query).get("offset") for request in shelf.asked] == [None, "0", "1"]


def test_bars_go_on_at_the_next_address_with_the_key_put_on_again() -> None:
    bar = {"o": 1, "h": 1, "l": 1, "c": 1, "v": 1}
    shelf = Shelf(
        {
            "results": [bar | {"t": parse_us("2024-01-02T05:00:00Z") // 1_000}],
            "next_url": "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/day/1704258000000/1711843200000?cursor=b2s",
        },
        {"results": [bar | {"t": parse_us("2024-01-03T05:00:00Z") // 1_000}]},
    )
    bars = asyncio.run(fetch_bars(line(polygon.SOURCE, shelf), polygon.instrument_of("AAPL"), Interval.DAY, START, END))
    assert times(bars) == ["2024-01-02T21:00:00Z", "2024-01-03T21:00:00Z"]
    assert shelf.paths[1] == "v2/aggs/ticker/AAPL/range/1/day/1704258000000/1711843200000"
    assert shelf.asked[1].query == (("cursor", "b2s"),)
    assert all(("Authorization", "Bearer planted") in request.headers for request in shelf.asked)
    assert all(request.url.startswith("https://stand-in.example/") for request in shelf.asked)


def test_an_address_of_somebody_else_is_never_asked() -> None:
    shelf = Shelf({"results": [], "next_url": "https://evil.example/v2/aggs/ticker/AAPL/range/1"})
    with pytest.raises(SourceFailed, match=r"nothing is sent"):
        asyncio.run(fetch_bars(line(polygon.SOURCE, shelf), polygon.instrument_of("AAPL"), Interval.DAY, START, END))
    assert len(shelf.asked) == 1


def test_minutes_are_asked_for_month_by_month_to_the_end_of_the_span() -> None:
    row = {"1. open": "1", "2. high": "1", "3. low": "1", "4. close": "1", "5. volume": "1"}
    months = [
        {"Meta Data": {"6. Time Zone": "US/Eastern"}, "Time Series (1min)": {f"2024-{month}-05 15:59:00": row}}
        for month in ("01", "02", "03")
    ]
    shelf = Shelf(*months)
    span = (parse_us("2024-01-01"), END)
    bars = asyncio.run(
        fetch_bars(line(alpha_vantage.SOURCE, shelf), alpha_vantage.instrument_of("IBM"), Interval.MINUTE, *span)
    )
    assert times(bars) == ["2024-01-05T21:00:00Z", "2024-02-05T21:00:00Z", "2024-03-05T21:00:00Z"]
    assert [dict(request.query)["month"] for request in shelf.asked] == ["2024-01", "2024-02", "2024-03"]


def test_splits_and_dividends_come_in_two_requests() -> None:
    shelf = Shelf(
        [{"date": "2024-02-08", "numerator": 4, "denominator": 1}],
        [{"date": "2024-02-09", "dividend": 0.24, "declarationDate": "2024-02-01"}],
    )
    found = asyncio.run(fetch_actions(line(fmp.SOURCE, shelf), fmp.instrument_of("AAPL"), START, END))
    assert found.actions.select("split", "dividend").rows() == [(4.0, 0.0), (1.0, 0.24)]
    assert shelf.paths == ["stable/splits", "stable/dividends"]


def test_a_split_and_a_dividend_of_one_day_are_one_action() -> None:
    shelf = Shelf(
        [{"date": "2024-02-09", "numerator": 4, "denominator": 1}], [{"date": "2024-02-09", "dividend": 0.24}]
    )
    found = asyncio.run(fetch_actions(line(fmp.SOURCE, shelf), fmp.instrument_of("AAPL"), START, END))
    assert found.actions.select("split", "dividend").rows() == [(4.0, 0.24)]


def test_nothing_is_asked_for_the_actions_of_what_is_no_share() -> None:
    shelf = Shelf()
    found = asyncio.run(fetch_actions(line(polygon.SOURCE, shelf), polygon.instrument_of("X:BTCUSD"), START, END))
    assert (found.actions.height, shelf.asked) == (0, [])


class Endless:
    """A transport that answers each question with the next page of `pages`, the last one for ever, and a token that is
    new each time; it gives up after many."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages, self.asked = list(pages), 0

    async def fetch(self, request: Request, policy: Policy | None = None) -> Response:
        self.asked += 1
        assert self.asked < 1_000, "asked for ever"
        rows = self.pages[min(self.asked, len(self.pages)) - 1]
        body = {"results": rows, "next_url": f"{request.url.partition('?')[0]}?cursor=c{self.asked}"}
        return Response(200, json.dumps(body).encode(), (), NOW)


def bar_of(day: int, close: float = 1.0) -> dict[str, Any]:
    at = parse_us(f"2024-01-{day:02}T05:00:00Z") // 1_000
    return {"o": 1, "h": 2, "l": 1, "c": close, "v": 1, "t": at}


def dividend_of(day: int) -> dict[str, Any]:
    return {"ticker": "AAPL", "cash_amount": 0.5, "ex_dividend_date": f"2024-01-{day:02}"}


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([[bar_of(2), bar_of(3)], [bar_of(4)], [bar_of(3), bar_of(2)]], "brings the same rows again"),
        ([[bar_of(2)], []], "brings no rows"),
        ([[bar_of(2)], [bar_of(3)], [bar_of(2), bar_of(3)]], "brings the same rows again"),
    ],
)
def test_pages_with_new_tokens_and_nothing_new_come_to_an_end(pages: list[list[dict[str, Any]]], why: str) -> None:
    endless = Endless(*pages)
    stuck = Line(polygon.SOURCE, endless, CREDENTIALS)
    with pytest.raises(SourceFailed, match=f"Polygon.*{why}.*shorter span"):
        asyncio.run(fetch_bars(stuck, polygon.instrument_of("AAPL"), Interval.DAY, START, END))
    assert endless.asked < 110


def test_actions_with_new_tokens_and_nothing_new_come_to_an_end() -> None:
    class Dividends(Endless):
        async def fetch(self, request: Request, policy: Policy | None = None) -> Response:
            if "splits" in request.url:
                return Response(200, b'{"results": []}', (), NOW)
            return await super().fetch(request, policy)

    endless = Dividends([dividend_of(2)], [dividend_of(3)])
    with pytest.raises(SourceFailed, match="brings the same rows again"):
        asyncio.run(
            fetch_actions(Line(polygon.SOURCE, endless, CREDENTIALS), polygon.instrument_of("AAPL"), START, END)
        )
    assert endless.asked < 20


def test_empty_pages_and_one_that_comes_twice_do_not_end_an_answer() -> None:
    path = "https://api.polygon.io/v2/aggs/ticker/AAPL/range/1/day/1704258000000/1711843200000?cursor="
    rows: list[list[dict[str, Any]]] = [[bar_of(2)], [], [], [bar_of(3)], [bar_of(3)], [], [bar_of(4)]]
    bodies = [{"results": page, "next_url": f"{path}{number}"} for number, page in enumerate(rows)]
    shelf = Shelf(*bodies, {"results": [bar_of(5)]})
    bars = asyncio.run(fetch_bars(line(polygon.SOURCE, shelf), polygon.instrument_of("AAPL"), Interval.DAY, START, END))
    assert sorted(set(times(bars))) == [f"2024-01-{day:02}T21:00:00Z" for day in range(2, 6)]
