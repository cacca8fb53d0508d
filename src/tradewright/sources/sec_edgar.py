"""SEC EDGAR: what companies report, as numbers with the day of each filing; without a key, with a contact.

`GET /files/company_tickers.json` leads from a ticker to the number of its company,
`/api/xbrl/companyfacts/CIK<number>.json` answers `{facts: {<taxonomy>: {<concept>: {units: {<unit>: [{start, end, val,
filed, ...}]}}}}}`. A period is filed again and again, revised or not: each filing that changes a value is a vintage,
known at the end of its day in New York. `start` is absent for values at a moment. Refusals are XML or pages. The
service asks for a contact in the User-Agent.
Source: SEC, EDGAR application programming interfaces; accessing EDGAR data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tradewright.clock import DAY_US
from tradewright.errors import SourceRefused
from tradewright.market.instruments import Instrument, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import days, end_of_day_us, numbers, rows_of
from tradewright.sources.source import (
    Auth,
    Credentials,
    Facts,
    FactsPage,
    Listed,
    Listing,
    ListingPage,
    Source,
    SpanQuery,
)
from tradewright.sources.tables import facts_frame, midnight_us
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "sec_edgar", "SEC EDGAR", "equity:AAPL"
BASE_URL = "https://data.sec.gov"
TICKERS_URL = "https://www.sec.gov/files/company_tickers.json"
ZONE = "America/New_York"


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `AAPL`, `BRK-B` or an instrument id. Raises UnknownName."""
    return symbols.dashed_share(text, TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return the ticker: `equity:BRK.B` is `BRK-B`."""
    return symbols.dashed(instrument)


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the contact in its User-Agent."""
    return request.saying(User_Agent=f"tradewright {credentials['contact']}")


def facts_request(query: SpanQuery) -> Request:
    """Return the request for the table of tickers, then for what the company with the number of the token reports."""
    return Request(f"{BASE_URL}/api/xbrl/companyfacts/CIK{query.token}.json" if query.token else TICKERS_URL)


def parse_facts(response: Response, query: SpanQuery) -> FactsPage:
    """Return every vintage of the facts named like `us-gaap:Revenues`, of all when none is named.

    Of the table of tickers: no rows, and the number of the company as token. Raises UnknownName for no such ticker.
    """
    body = _read(response, query.symbol)
    if not query.token:
        number = next((cik for ticker, cik, _ in _companies(body, response) if ticker == query.symbol), None)
        if number is None:
            raise answers.unknown(TITLE, query.symbol, "no such ticker among the companies", EXAMPLE)
        return FactsPage(facts_frame(query.instrument, [], response.received_at_us), f"{number:010}")
    records: list[tuple[Any, ...]] = []
    for name, unit, entries in _series(body, response):
        if query.names and name not in query.names:
            continue
        records += _vintages(name, unit, entries)
    return FactsPage(facts_frame(query.instrument, records, response.received_at_us))


def listing_request(token: str) -> Request:
    """Return the request for the table of tickers."""
    return Request(TICKERS_URL)


def parse_listing(response: Response) -> ListingPage:
    """Return the share of every ticker."""
    listed, skipped = [], 0
    for ticker, _, _ in _companies(_read(response, ""), response):
        try:
            listed.append(Listed(ticker, instrument_of(ticker)))
        except answers.REFUSED_ENTRY:
            skipped += 1
    return ListingPage(tuple(listed), skipped)


def _companies(body: Mapping[str, Any], response: Response) -> Iterator[tuple[str, int, str]]:
    columns = rows_of(list(body.values()), ("ticker", "cik_str", "title"), TITLE)
    if any(isinstance(each, bool) or not isinstance(each, int) for each in columns["cik_str"]) or not body:
        raise answers.changed(response, TITLE, "table of tickers")
    return zip((str(each) for each in columns["ticker"]), columns["cik_str"], columns["title"], strict=True)


def _series(body: Mapping[str, Any], response: Response) -> Iterator[tuple[str, str, list[Any]]]:
    try:
        return iter(
            [
                (f"{taxonomy}:{concept}", unit, entries)
                for taxonomy, concepts in body["facts"].items()
                for concept, found in concepts.items()
                for unit, entries in found["units"].items()
            ]
        )
    except (KeyError, AttributeError, TypeError) as error:
        raise answers.changed(response, TITLE, "facts of a company") from error


def _vintages(name: str, unit: str, entries: Any) -> list[tuple[Any, ...]]:
    listed = entries if isinstance(entries, list) else [entries]
    columns = rows_of(listed, ("end", "val", "filed"), TITLE)
    ends = [midnight_us(day) + DAY_US for day in days(columns["end"], TITLE)]
    begins = [midnight_us(days([each["start"]], TITLE)[0]) if each.get("start") else None for each in listed]
    filed = days(columns["filed"], TITLE)
    ends_of = {day: end_of_day_us(day, ZONE) for day in set(filed)}
    values = numbers(columns["val"], f"{TITLE}, {name}")
    rows = sorted(
        zip(begins, ends, (ends_of[day] for day in filed), values, strict=True), key=lambda row: (row[2], row[1])
    )
    latest: dict[tuple[int | None, int], float | None] = {}
    kept = []
    for begin, end, known, value in rows:
        if value is None or latest.get((begin, end)) == value:  # filed again without a change
            continue
        latest[begin, end] = value
        kept.append((name, unit, begin, end, max(known, end), value))
    return kept


def _read(response: Response, symbol: str) -> Mapping[str, Any]:
    plain = response.body[:4_000]
    if response.status == 429 or b"Request Rate Threshold" in plain:
        raise answers.limited(response, TITLE, "Request Rate Threshold Exceeded")
    if response.status == 403 and b"AccessDenied" not in plain:
        raise SourceRefused(
            f"{TITLE} refuses programmes that do not say whom to contact (403): set the credential 'contact' of the "
            f"source {NAME!r} to your name and mail address",
            status=403,
        )
    if response.status == 404 or (response.status == 403 and b"AccessDenied" in plain):
        raise answers.unknown(TITLE, symbol, f"no such file: {response.start_of_body}", EXAMPLE)
    if response.status != 200:
        raise answers.failed(response, TITLE)
    body = answers.json_of(response, TITLE)
    if not isinstance(body, dict):
        raise answers.changed(response, TITLE, "object")
    return body


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.EQUITY,),
    limits=(Limit(10, 1.0),),
    licence="works of the US government: free",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("contact",), sign, "no key is needed: write your name and mail address, which the SEC asks for"),
    facts=Facts(facts_request, parse_facts, vintages=True),
    listing=Listing(listing_request, parse_listing),
    notes=(
        "a filing counts as known at the end of its day in New York",
        "shares of one company have the same facts",
    ),
)
