"""What every source must do, whatever it is."""

from __future__ import annotations

import contextlib

import pytest

from recorded import bars_query, span_query
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, UnknownName
from tradewright.market.instruments import Instrument, Interval
from tradewright.sources.registry import SOURCES
from tradewright.sources.source import Source
from tradewright.transport.messages import Request, Response

START, END = parse_us("2024-01-01"), parse_us("2024-01-09")
BODIES = [
    b"",
    b"   ",
    b"<html>",
    b"<!DOCTYPE html><html></html>",
    b"null",
    b"{}",
    b'{"error": 1}',
    b"\xff\xfe",
    b"1",
    b"[[]]",
]
SECRETS = {name: f"planted-{name}" for name in ("key_id", "secret_key", "api_key", "token", "contact")}


@pytest.fixture(params=sorted(SOURCES))
def source(request: pytest.FixtureRequest) -> Source:
    found: Source = SOURCES[request.param]
    return found


def _instrument(source: Source) -> Instrument:
    return source.instrument_of(source.example)


def _requests(source: Source) -> list[Request]:
    made = []
    if source.bars is not None:
        made += [source.bars.request(bars_query(source, source.example, i, START, END)) for i in source.bars.intervals]
    for part in (source.facts, source.actions):
        if part is not None:
            made.append(part.request(span_query(source, source.example, start_us=START, end_us=END)))
    if source.quotes is not None:
        made.append(source.quotes.request([source.symbol_of(_instrument(source))]))
    if source.listing is not None:
        made.append(source.listing.request(""))
    return made


def _parsers(source: Source) -> list:  # type: ignore[type-arg] # of functions of a response
    found = []
    if source.bars is not None:
        bars, interval = source.bars, source.bars.intervals[0]
        found.append(lambda answer: bars.parse(answer, bars_query(source, source.example, interval, START, END)))
    for part in (source.facts, source.actions):
        if part is not None:
            found.append(lambda answer, part=part: part.parse(answer, span_query(source, source.example)))
    if source.quotes is not None:
        symbol = source.symbol_of(_instrument(source))
        quotes = source.quotes
        found.append(lambda answer: quotes.parse(answer, {symbol: _instrument(source)}))
    if source.listing is not None:
        found.append(source.listing.parse)
    return found


def test_it_says_what_it_is(source: Source) -> None:
    assert source.title
    assert source.limits
    assert all(limit.units > 0 and limit.window_s > 0 for limit in source.limits)
    assert source.licence
    assert source.base_url.startswith("https://")
    assert source.base_url_variable == f"TRADEWRIGHT_{source.name.upper()}_URL"
    assert source.kinds
    assert source.offers
    assert bool(source.auth.fields) == bool(source.auth.where)
    if source.bars is not None:
        assert source.bars.page_rows > 0
        assert source.bars.lag_us >= 0
        assert source.bars.intervals
        assert set(source.bars.raw_intervals) <= set(source.bars.intervals)
        assert source.bars.adjusted or not source.bars.raw_intervals


def test_its_symbols_lead_back_to_the_instrument(source: Source) -> None:
    instrument = _instrument(source)
    assert instrument.id == source.example
    assert source.instrument_of(source.symbol_of(instrument)) == instrument
    assert instrument.kind in source.kinds


@pytest.mark.parametrize("text", ["", "equity:", "no such thing", "future:ES", "crypto:-", "\x00", "A" * 200])
def test_a_name_that_can_be_nothing_is_refused_with_an_example(source: Source, text: str) -> None:
    with pytest.raises(UnknownName, match=":"):
        source.instrument_of(text)


@pytest.mark.parametrize("text", ["VOD.L", "TSCO.LON", "RY.TO", "BTCUSD", "XXBTZUSD", "USDEUR", "^N225", "UNI-USD"])
def test_a_name_is_itself_or_refused_and_leads_back(source: Source, text: str) -> None:
    with contextlib.suppress(UnknownName):
        instrument = source.instrument_of(text)
        assert source.instrument_of(source.symbol_of(instrument)) == instrument
        assert instrument.id not in ("equity:VOD.L", "equity:TSCO.LON", "equity:RY.TO", "index:N225", "crypto:USD-EUR")


def test_its_requests_are_the_same_for_the_same_arguments_and_go_where_told(source: Source) -> None:
    assert _requests(source) == _requests(source)
    for request in _requests(source):
        assert request.url.startswith("https://")
        assert "?" not in request.url
        assert request.weight > 0
        assert request.at("http://127.0.0.1:9/x/").url.startswith("http://127.0.0.1:9/x/")


def test_it_signs_what_it_sends_and_no_secret_stands_in_the_address(source: Source) -> None:
    credentials = {name: SECRETS.get(name, f"planted-{name}") for name in source.auth.fields}
    for request in _requests(source):
        assert "planted" not in str(request)
        signed = source.auth.sign(request, credentials)
        assert "planted" not in signed.url
        assert all(secret in f"{signed.query}{signed.headers}" for secret in credentials.values())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 451])
def test_a_status_that_is_not_200_is_a_typed_error_whatever_the_body(source: Source, status: int) -> None:
    for body in BODIES:
        for parse in _parsers(source):
            with pytest.raises((SourceFailed, UnknownName)):
                parse(Response(status, body, (("content-type", "text/html"),), END))


def test_whatever_a_200_holds_it_becomes_rows_or_a_typed_error(source: Source) -> None:
    for body in BODIES:
        for parse in _parsers(source):
            with contextlib.suppress(SourceFailed, UnknownName):
                parse(Response(200, body, (), END))


def test_a_bad_body_of_bars_is_a_failure_and_never_no_rows(source: Source) -> None:
    if source.bars is None:
        return
    query = bars_query(source, source.example, Interval(source.bars.intervals[0]), START, END)
    for body in (b"", b"<html>maintenance</html>", b"\xff\xfe", b"null"):
        with pytest.raises(SourceFailed):
            source.bars.parse(Response(200, body, (), END), query)
