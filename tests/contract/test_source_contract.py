"""What every source must do, whatever it is."""

from __future__ import annotations

import pytest

from tradewright.clock import parse_us
from tradewright.errors import SourceFailed
from tradewright.market.instruments import Instrument
from tradewright.sources.registry import SOURCES
from tradewright.sources.source import Source
from tradewright.transport.messages import Response

EXAMPLES = {"binance": "crypto:BTC-USDT"}
START, END = parse_us("2024-01-01"), parse_us("2024-01-02")


@pytest.fixture(params=sorted(SOURCES))
def source(request: pytest.FixtureRequest) -> Source:
    found: Source = SOURCES[request.param]
    return found


def _instrument(source: Source) -> Instrument:
    return source.instrument_of(EXAMPLES[source.name])


def test_it_says_what_it_is(source: Source) -> None:
    assert source.title
    assert source.limits
    assert source.licence
    assert source.base_url.startswith("https://")
    assert source.base_url_variable == f"TRADEWRIGHT_{source.name.upper()}_URL"
    assert source.page_rows > 0
    assert source.lag_us >= 0
    assert source.kinds
    assert source.intervals


def test_its_symbols_lead_back_to_the_instrument(source: Source) -> None:
    instrument = _instrument(source)
    assert source.instrument_of(source.symbol_of(instrument)) == instrument
    assert source.instrument_of(instrument.id) == instrument
    assert instrument.kind in source.kinds


def test_its_requests_are_the_same_for_the_same_arguments_and_go_where_told(source: Source) -> None:
    for interval in source.intervals:
        symbol = source.symbol_of(_instrument(source))
        request = source.bars_request(symbol, interval, START, END, source.page_rows)
        assert request == source.bars_request(symbol, interval, START, END, source.page_rows)
        assert request.url.startswith(source.base_url)
        assert request.at("http://127.0.0.1:9/x/").url.startswith("http://127.0.0.1:9/x/")


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"{}", b'{"error": 1}', b"\xff\xfe"])
@pytest.mark.parametrize("status", [200, 400, 403, 404])
def test_whatever_it_is_sent_it_answers_with_a_typed_error(source: Source, status: int, body: bytes) -> None:
    with pytest.raises(SourceFailed):
        source.parse_bars(Response(status, body, (), END), _instrument(source), source.intervals[0])
