"""Answers of KuCoin, written after its documentation, become rows; its only recording is an order book."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer, steps, values
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import kucoin

HOURS = bars_query(kucoin.SOURCE, "BTC-USDT", Interval.HOUR)
ROW = ["1729839600", "67644.9", "67437.6", "67724.8", "67243.8", "44.88321441", "3027558.991928447"]


def test_documented_hours_have_the_close_before_the_high() -> None:
    page = kucoin.parse_bars(json_answer({"code": "200000", "data": [ROW]}), HOURS)
    assert ends(page) == ["2024-10-25T08:00:00Z"]
    assert values(page) == [(67644.9, 67724.8, 67243.8, 67437.6, 44.88321441)]
    assert kucoin.parse_bars(json_answer({"code": "200000", "data": []}), HOURS).bars.height == 0


def test_the_recorded_order_book_is_no_candles(shared: Path) -> None:
    with pytest.raises(SourceFailed, match="no list of candles"):
        kucoin.parse_bars(recorded(shared, "kucoin", "order_book__cf-depth"), HOURS)


def test_refusals_become_typed_errors() -> None:
    with pytest.raises(UnknownName, match="does not know 'BTC-USDT'"):
        kucoin.parse_bars(json_answer({"code": "900001", "msg": "The symbol does not exist"}), HOURS)
    with pytest.raises(SourceLimited, match="slow down"):
        kucoin.parse_bars(json_answer({"code": "429000", "msg": "Too many requests"}), HOURS)
    with pytest.raises(SourceFailed, match=r"refuses this location.*TRADEWRIGHT_KUCOIN_URL"):
        kucoin.parse_bars(json_answer({"code": "400302", "msg": "not available in your area"}), HOURS)
    with pytest.raises(SourceFailed, match=r"code 400100: Incorrect"):
        kucoin.parse_bars(json_answer({"code": "400100", "msg": "Incorrect type"}, 400), HOURS)


def test_what_is_no_answer_is_a_failure() -> None:
    def body(*rows: object) -> object:
        return {"code": "200000", "data": list(rows)}

    refuses_what_is_no_answer(
        kucoin.SOURCE, HOURS, body(ROW), [], {}, {"code": "200000"}, {"code": "200000", "data": {}}, body(ROW[:5]),
        body(7), body(["x", *ROW[1:]]), body([ROW[0], "x", *ROW[2:]]), body(["1729839601", *ROW[1:]]),
        {"code": "500000", "msg": "Internal Server Error"},
    )  # fmt: skip


def test_pairs_are_listed_with_their_steps_under_their_present_names() -> None:
    entry = {
        "symbol": "BCHSV-USDT", "name": "BSV-USDT", "baseCurrency": "BCHSV", "quoteCurrency": "USDT",
        "baseIncrement": "0.0001", "priceIncrement": "0.01", "minFunds": "0.1", "enableTrading": True,
    }  # fmt: skip
    page = kucoin.parse_listing(json_answer({"code": "200000", "data": [entry, {}]}))
    assert steps(page, "BCHSV-USDT") == ("crypto:BSV-USDT", "0.01", "0.0001", "0.1", True)
    assert page.skipped == 1
    assert kucoin.symbol_of(page.listed[0].instrument) == "BCHSV-USDT"


def test_a_quote_has_the_time_of_kucoin() -> None:
    data = {"time": 1729842192785, "price": "101", "bestBid": "100", "bestAsk": "102"}
    wanted = {"BTC-USDT": kucoin.instrument_of("BTC-USDT")}
    row = kucoin.parse_quotes(json_answer({"code": "200000", "data": data}), wanted).row(0)
    assert (row[0], format_us(row[1]), *row[2:]) == (
        "crypto:BTC-USDT",
        "2024-10-25T07:43:12.785000Z",
        101.0,
        100.0,
        102.0,
    )
    assert kucoin.parse_quotes(json_answer({"code": "200000", "data": None}), wanted).height == 0


def test_the_request_takes_in_the_last_start_and_weighs_three() -> None:
    request = kucoin.bars_request(HOURS.at(parse_us("2024-10-25T08:00:00Z"), parse_us("2024-10-25T09:00:00Z")))
    assert (request.url, request.weight) == ("https://api.kucoin.com/api/v1/market/candles", 3)
    assert dict(request.query) == {
        "type": "1hour", "symbol": "BTC-USDT", "startAt": "1729839600", "endAt": "1729843201",
    }  # fmt: skip
