"""What the tests of sources ask of each of them, in the same words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorded import LATE, json_answer
from tradewright.clock import format_us
from tradewright.errors import SourceFailed, SourceLimited
from tradewright.sources.source import BarsPage, BarsQuery, ListingPage, Source
from tradewright.transport.messages import Response

HTML = b"<!DOCTYPE html><html><body>We are under maintenance</body></html>"


def ends(page: BarsPage) -> list[str]:
    """When the bars of a page end, as text."""
    return [format_us(time) for time in page.bars["time"]]


def values(page: BarsPage) -> list[tuple[float, ...]]:
    """Open, high, low, close, volume of each bar."""
    return page.bars.select("open", "high", "low", "close", "volume").rows()


def steps(page: ListingPage, symbol: str) -> tuple[str, str, str, str, bool]:
    """Instrument id, tick, lot and smallest notional of a listed symbol ("" for none), and whether it trades."""
    found = next(each for each in page.listed if each.symbol == symbol)
    tick, lot, notional = (
        "" if step is None else f"{step:f}"
        for step in (found.instrument.tick, found.instrument.lot, found.instrument.minimum_notional)
    )
    return found.instrument.id, tick, lot, notional, found.active


def refuses_what_is_no_answer(source: Source, query: BarsQuery, good: Any, *odd: Any) -> None:
    """Pages, cut and empty bodies and bodies of another form are failures that say what it is, never rows.

    good: a body that has rows, which is cut off. odd: bodies in JSON that are not as documented.
    """
    assert source.bars is not None
    parse = source.bars.parse
    whole = json.dumps(good).encode()
    assert parse(json_answer(good), query).bars.height > 0
    for body, says in (
        (HTML, "page for people"),
        (b"", "empty body"),
        (whole[: len(whole) // 2], "ends in the middle"),
    ):
        with pytest.raises(SourceFailed, match=says) as raised:
            parse(Response(200, body, (), LATE), query)
        assert raised.value.facts["transient"]
    for status in (403, 451):
        with pytest.raises(SourceFailed, match=f"TRADEWRIGHT_{source.name.upper()}_URL"):
            parse(Response(status, HTML, (), LATE), query)
    with pytest.raises(SourceLimited, match="slow down"):
        parse(Response(429, b"Too many requests", (), LATE), query)
    for body in odd:
        with pytest.raises(SourceFailed):
            parse(json_answer(body), query)
