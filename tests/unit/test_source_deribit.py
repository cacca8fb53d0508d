"""Recorded answers of Deribit become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer, steps, values
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import deribit

MINUTES = bars_query(deribit.SOURCE, "BTC_USDC", Interval.MINUTE)


def test_recorded_columns_become_bars_with_the_flat_one_and_without_the_running_one(shared: Path) -> None:
    name = "bars_intraday__ccxt-BTC-PERPETUAL-1m"
    page = deribit.parse_bars(recorded(shared, "deribit", name), MINUTES)
    assert ends(page)[0] == "2020-03-11T08:57:00Z"
    assert values(page) == [
        (7834.0, 7839.5, 7834.0, 7839.5, 3.6680847969999992),
        (7839.0, 7839.0, 7833.5, 7833.5, 22.682721123),
        (7833.5, 7833.5, 7832.5, 7833.0, 3.011587939),
        (7833.0, 7833.0, 7833.0, 7833.0, 0.0),
    ]
    early = recorded(shared, "deribit", name, 1583917166710175)
    assert deribit.parse_bars(early, MINUTES).bars.height == 3


def test_no_data_is_no_rows() -> None:
    body = {"result": {"status": "no_data", "ticks": [], "open": [], "high": [], "low": [], "close": [], "volume": []}}
    assert deribit.parse_bars(json_answer(body), MINUTES).bars.height == 0


@pytest.mark.parametrize("text", ["BTC-PERPETUAL", "BTC-27DEC24", "BTC-24SEP21-40000-P", "crypto:BTC-PERPETUAL"])
def test_what_is_not_spot_is_refused(text: str) -> None:
    with pytest.raises(UnknownName, match="crypto:BTC-USDC"):
        deribit.instrument_of(text)


def test_refusals_become_typed_errors() -> None:
    def refused(code: int, **data: object) -> object:
        return {"jsonrpc": "2.0", "error": {"code": code, "message": "said", "data": data}}

    with pytest.raises(UnknownName, match="does not know 'BTC_USDC'"):
        deribit.parse_bars(json_answer(refused(-32602, param="instrument_name"), 400), MINUTES)
    with pytest.raises(SourceLimited, match="slow down"):
        deribit.parse_bars(json_answer(refused(10028), 400), MINUTES)
    with pytest.raises(SourceFailed, match="not available now"):
        deribit.parse_bars(json_answer(refused(11051), 400), MINUTES)
    with pytest.raises(SourceFailed, match=r"refused \(400\): code -32602"):
        deribit.parse_bars(json_answer(refused(-32602, param="resolution"), 400), MINUTES)


def test_what_is_no_answer_is_a_failure() -> None:
    good = {"status": "ok", "ticks": [1583916960000], "open": [1], "high": [1], "low": [1], "close": [1], "volume": [1]}

    def body(**changed: object) -> object:
        return {"result": good | changed}

    refuses_what_is_no_answer(
        deribit.SOURCE, MINUTES, body(), [], {}, {"result": []}, {"result": {"status": "ok"}}, body(open=1),
        body(open=[1, 2]), body(open=["x"]), body(ticks=["x"]), body(ticks=[1583916960]), body(status="odd"),
    )  # fmt: skip


def test_only_spot_is_listed(shared: Path) -> None:
    for name, count in (("instruments__cf-2021-0", 398), ("instruments__nt-all", 4)):
        page = deribit.parse_listing(recorded(shared, "deribit", name))
        assert (page.listed, page.skipped) == ((), count)
    entry = {
        "kind": "spot", "instrument_name": "BTC_USDC", "base_currency": "BTC", "quote_currency": "USDC",
        "tick_size": 1.0, "contract_size": 0.0001, "min_trade_amount": 0.0001, "is_active": True,
    }  # fmt: skip
    listed = deribit.parse_listing(json_answer({"result": [entry]}))
    assert steps(listed, "BTC_USDC") == ("crypto:BTC-USDC", "1", "0.0001", "", True)


def test_a_quote_has_the_time_of_deribit() -> None:
    result = {
        "instrument_name": "BTC_USDC", "last_price": 101.0, "best_bid_price": 100.0, "best_ask_price": 0,
        "timestamp": 1583917166709,
    }  # fmt: skip
    wanted = {"BTC_USDC": deribit.instrument_of("BTC_USDC")}
    row = deribit.parse_quotes(json_answer({"result": result}), wanted).row(0)
    assert (row[0], format_us(row[1]), *row[2:]) == (
        "crypto:BTC-USDC",
        "2020-03-11T08:59:26.709000Z",
        101.0,
        100.0,
        None,
    )


def test_the_request_asks_for_starts() -> None:
    request = deribit.bars_request(MINUTES.at(parse_us("2020-03-11T08:57:00Z"), parse_us("2020-03-11T08:58:00Z")))
    assert request.url == "https://www.deribit.com/api/v2/public/get_tradingview_chart_data"
    assert dict(request.query) == {
        "instrument_name": "BTC_USDC", "start_timestamp": "1583916960000", "end_timestamp": "1583917020000",
        "resolution": "1",
    }  # fmt: skip
