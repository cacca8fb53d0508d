"""Quotes are asked for in batches, listings page after page to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl
import pytest

from tradewright.errors import InvalidInput, SourceFailed
from tradewright.market.instruments import Instrument
from tradewright.sources import binance, fred, listings
from tradewright.sources.fetch import Line
from tradewright.sources.rows import QUOTES
from tradewright.sources.source import Listed, Listing, ListingPage, Quotes
from tradewright.transport.messages import Policy, Request, Response

NAMES = [binance.instrument_of(f"A{n}USDT") for n in range(7)]


@dataclass
class Played:
    """A transport that answers each request with its own address."""

    asked: list[str] = field(default_factory=list)

    async def fetch(self, request: Request, policy: Policy | None = None) -> Response:
        self.asked.append(request.url)
        return Response(200, request.url.encode(), (), 1_000, request.url)


def quotes_of(response: Response, wanted: Mapping[str, Instrument]) -> pl.DataFrame:
    there = [each.id for each in wanted.values() if each.id != NAMES[4].id]
    return pl.DataFrame([(name, 5, 1.0, None, None) for name in there], schema=QUOTES, orient="row")


def page(*symbols: str, token: str = "") -> ListingPage:
    return ListingPage(tuple(Listed(symbol, binance.instrument_of(symbol)) for symbol in symbols), 1, token)


def listing_of(pages: Mapping[str, ListingPage]) -> Listing:
    def parse(response: Response) -> ListingPage:
        return pages[response.body.decode().removeprefix("https://x/")]

    return Listing(lambda token: Request(f"https://x/{token}"), parse)


def test_quotes_come_in_batches_and_in_one_frame() -> None:
    def request(symbols: Sequence[str]) -> Request:
        return Request("https://x/" + ",".join(symbols))

    played = Played()
    line = Line(replace(binance.SOURCE, quotes=Quotes(3, request, quotes_of)), played)
    found = asyncio.run(listings.fetch_quotes(line, NAMES))
    assert played.asked == ["https://x/A0USDT,A1USDT,A2USDT", "https://x/A3USDT,A4USDT,A5USDT", "https://x/A6USDT"]
    assert found["instrument"].to_list() == [each.id for n, each in enumerate(NAMES) if n != 4]
    with pytest.raises(InvalidInput, match="at most 500"):
        asyncio.run(listings.fetch_quotes(line, NAMES * 72))
    with pytest.raises(InvalidInput, match="has no quotes; it has facts"):
        asyncio.run(listings.fetch_quotes(Line(fred.SOURCE, played), NAMES))


def test_a_listing_is_read_to_its_end() -> None:
    pages = {"": page("A0USDT", "A1USDT", token="2"), "2": page(token="3"), "3": page("A2USDT")}
    line, told = Line(replace(binance.SOURCE, listing=listing_of(pages)), Played()), list[str]()
    found = asyncio.run(listings.fetch_listing(line, lambda _, words: told.append(words)))
    assert [one.symbol for one in found.listed] == ["A0USDT", "A1USDT", "A2USDT"]
    assert found.skipped == 3
    assert told[-1] == "Binance spot: 3 instruments"
    with pytest.raises(InvalidInput, match="has no listing; it has facts"):
        asyncio.run(listings.fetch_listing(Line(fred.SOURCE, Played())))


def test_a_listing_without_an_end_is_told() -> None:
    turning = Line(replace(binance.SOURCE, listing=listing_of({"": page(token="2"), "2": page(token="2")})), Played())
    with pytest.raises(SourceFailed, match="names the same next page of its listing again"):
        asyncio.run(listings.fetch_listing(turning))
    long = {str(n) if n else "": ListingPage((), 70_000, str(n + 1)) for n in range(9)}
    with pytest.raises(SourceFailed, match="lists more than 200,000 instruments"):
        asyncio.run(listings.fetch_listing(Line(replace(binance.SOURCE, listing=listing_of(long)), Played())))
