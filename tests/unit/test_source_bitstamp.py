"""Recorded answers of Bitstamp become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import bars_query, json_answer, recorded
from source_cases import HTML, ends, refuses_what_is_no_answer, steps, values
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import bitstamp
from tradewright.transport.messages import Response

MINUTES = bars_query(bitstamp.SOURCE, "btcusd", Interval.MINUTE)


def test_recorded_minutes_come_as_objects_of_texts(shared: Path) -> None:
    page = bitstamp.parse_bars(recorded(shared, "bitstamp", "bars_intraday__ccxt-BTCUSD-1m"), MINUTES)
    assert ends(page) == ["2020-07-05T15:05:00Z", "2020-07-05T15:06:00Z", "2020-07-05T15:07:00Z"]
    assert values(page)[1] == (9064.66, 9071.59, 9058.76, 9061.07, 3.48631711)


def test_refusals_become_typed_errors() -> None:
    with pytest.raises(UnknownName, match=r"does not know 'btcusd'.*crypto:BTC-USD"):
        bitstamp.parse_bars(Response(404, HTML), MINUTES)
    with pytest.raises(SourceLimited, match="slow down"):
        bitstamp.parse_bars(json_answer({"response_code": "400.002"}, 400), MINUTES)
    with pytest.raises(SourceFailed, match=r"refused \(400\).*step"):
        bitstamp.parse_bars(json_answer({"code": "v", "errors": [{"field": "step"}]}, 400), MINUTES)


def test_what_is_no_answer_is_a_failure() -> None:
    row = {"timestamp": "1593961440", "open": "1", "high": "2", "low": "1", "close": "2", "volume": "3"}

    def body(*rows: object) -> object:
        return {"data": {"pair": "BTC/USD", "ohlc": list(rows)}}

    refuses_what_is_no_answer(
        bitstamp.SOURCE, MINUTES, body(row), [], {}, {"data": []}, {"data": {"ohlc": {}}}, body([]), body({}),
        body(row | {"close": "x"}), body(row | {"timestamp": "x"}), {"status": "error", "reason": "no"},
        {"error": "no"},
    )  # fmt: skip


def test_recorded_pairs_are_listed_without_those_of_currencies(shared: Path) -> None:
    page = bitstamp.parse_listing(recorded(shared, "bitstamp", "instruments__cf-trading-pairs"))
    assert (len(page.listed), page.skipped) == (137, 3)
    assert steps(page, "btcusd") == ("crypto:BTC-USD", "0.01", "0.00000001", "20", True)
    assert all(bitstamp.symbol_of(each.instrument) == each.symbol for each in page.listed)


def test_a_recorded_quote_has_the_time_of_bitstamp(shared: Path) -> None:
    wanted = {"btcusd": bitstamp.instrument_of("btcusd")}
    row = bitstamp.parse_quotes(recorded(shared, "bitstamp", "ticker__ccxt-btcusd"), wanted).row(0)
    assert (row[0], format_us(row[1]), *row[2:]) == (
        "crypto:BTC-USD",
        "2023-06-06T16:29:04Z",
        26216.0,
        26208.0,
        26211.0,
    )


def test_the_request_takes_in_the_last_start() -> None:
    request = bitstamp.bars_request(MINUTES.at(parse_us("2020-07-05T15:05:00Z"), parse_us("2020-07-05T15:07:00Z")))
    assert request.url == "https://www.bitstamp.net/api/v2/ohlc/btcusd/"
    assert dict(request.query) == {"step": "60", "limit": "1000", "start": "1593961440", "end": "1593961561"}
