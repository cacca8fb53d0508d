"""Recorded answers of Coinbase Advanced become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer, steps, values
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import coinbase_advanced

HOURS = bars_query(coinbase_advanced.SOURCE, "BTC-USD", Interval.HOUR)


def test_recorded_hours_come_newest_first_as_objects_of_texts(shared: Path) -> None:
    page = coinbase_advanced.parse_bars(recorded(shared, "coinbase", "bars_intraday__nt-advanced-BTC-USD-1h"), HOURS)
    assert ends(page) == ["2024-04-04T02:00:00Z", "2024-04-04T01:00:00Z"]
    assert values(page)[0] == (66312.4, 66331.99, 66055.14, 66181.6, 355.82896243)


def test_refusals_become_typed_errors(shared: Path) -> None:
    with pytest.raises(UnknownName, match="does not know 'BTC-USD'"):
        coinbase_advanced.parse_bars(json_answer({"error": "NOT_FOUND", "message": "no"}, 404), HOURS)
    said = {"error": "INVALID_ARGUMENT", "message": "valid product_id is required"}
    with pytest.raises(UnknownName, match="product_id"):
        coinbase_advanced.parse_bars(json_answer(said, 400), HOURS)
    said = {"error": "INVALID_ARGUMENT", "message": "number of candles requested should be less than 350"}
    with pytest.raises(SourceFailed, match=r"refused \(400\): number of candles"):
        coinbase_advanced.parse_bars(json_answer(said, 400), HOURS)
    with pytest.raises(SourceFailed, match="no list of candles"):
        coinbase_advanced.parse_bars(recorded(shared, "coinbase", "order_book__nt-advanced-BTC-USD"), HOURS)


def test_what_is_no_answer_is_a_failure() -> None:
    row = {"start": "1712192400", "low": "1", "high": "2", "open": "1", "close": "2", "volume": "3"}

    def body(*rows: object) -> object:
        return {"candles": list(rows)}

    refuses_what_is_no_answer(
        coinbase_advanced.SOURCE, HOURS, body(row), [], {}, {"candles": {}}, body([]), body({}),
        body(row | {"low": "x"}), body(row | {"start": "x"}), body(row | {"start": "1712192401"}), {"error": "x"},
    )  # fmt: skip


def test_recorded_products_are_listed_with_their_steps(shared: Path) -> None:
    page = coinbase_advanced.parse_listing(recorded(shared, "coinbase", "instruments__nt-advanced-spot"))
    assert (len(page.listed), page.skipped) == (2, 0)
    assert steps(page, "BTC-USD") == ("crypto:BTC-USD", "0.01", "0.00000001", "1", True)


def test_a_recorded_quote_is_the_latest_trade(shared: Path) -> None:
    wanted = {"BTC-USD": coinbase_advanced.instrument_of("BTC-USD")}
    frame = coinbase_advanced.parse_quotes(recorded(shared, "coinbase", "trades__nt-advanced-BTC-USD"), wanted)
    time_us = parse_us("2026-04-07T00:28:58.544778Z")
    assert frame.rows() == [("crypto:BTC-USD", time_us, 68923.67, 68923.66, 68923.67)]
    assert coinbase_advanced.parse_quotes(json_answer({"trades": []}), wanted).height == 0


def test_the_request_asks_for_starts() -> None:
    request = coinbase_advanced.bars_request(
        HOURS.at(parse_us("2024-04-04T01:00:00Z"), parse_us("2024-04-04T02:00:00Z"))
    )
    assert request.url == "https://api.coinbase.com/api/v3/brokerage/market/products/BTC-USD/candles"
    assert dict(request.query) == {
        "start": "1712188800", "end": "1712192400", "granularity": "ONE_HOUR", "limit": "350",
    }  # fmt: skip
