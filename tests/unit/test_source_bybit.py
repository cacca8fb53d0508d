"""Recorded answers of Bybit become the rows a person reads in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recorded import LATE, bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer, steps, values
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import bybit

HOURS = bars_query(bybit.SOURCE, "BTCUSDT", Interval.HOUR)


def _as_spot(shared: Path, name: str) -> Any:
    body = json.loads(recorded(shared, "bybit", name).body)
    body["result"]["category"] = "spot"
    return body


def test_recorded_hours_come_newest_first_as_texts(shared: Path) -> None:
    page = bybit.parse_bars(json_answer(_as_spot(shared, "bars_intraday__ccxt-BTCUSD-60")), HOURS)
    assert ends(page) == ["2022-12-09T19:00:00Z", "2022-12-09T18:00:00Z", "2022-12-09T17:00:00Z"]
    assert values(page)[0] == (17071.0, 17073.0, 17027.0, 17055.5, 268611.0)


def test_recorded_contracts_are_refused(shared: Path) -> None:
    with pytest.raises(SourceFailed, match="'inverse', whose volumes are contracts"):
        bybit.parse_bars(recorded(shared, "bybit", "bars_intraday__ccxt-BTCUSD-60"), HOURS)
    page = bybit.parse_listing(recorded(shared, "bybit", "instruments__nt-linear"))
    assert (len(page.listed), page.skipped) == (0, 2)


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("error_bad_request__table-10001", UnknownName, "does not know 'BTCUSDT'.*crypto:BTC-USDT"),
        ("error_rate_limited__table-10006", SourceLimited, "slow down: Too many visits"),
        ("error_http__ccxt-30084", SourceFailed, "no object with a retCode"),
        ("instruments__cf-v2-symbols-2021", SourceFailed, "API may have changed"),
    ],
)
def test_recorded_refusals_with_status_200_become_typed_errors(
    shared: Path, name: str, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        bybit.parse_bars(recorded(shared, "bybit", name), HOURS)


def test_what_is_no_answer_is_a_failure() -> None:
    row = ["1670608800000", "17071", "17073", "17027", "17055.5", "268611", "15.7"]

    def body(*rows: object) -> object:
        return {"retCode": 0, "retMsg": "OK", "result": {"category": "spot", "list": list(rows)}}

    refuses_what_is_no_answer(
        bybit.SOURCE, HOURS, body(row), [], {}, {"retCode": 0}, {"retCode": 0, "result": []}, body(row[:4]), body({}),
        body(["1670608800", *row[1:]]), body([row[0], "many", *row[2:]]), {"retCode": 10002, "retMsg": "time"},
        {"retCode": 10016, "retMsg": "server error"},
    )  # fmt: skip


def test_recorded_pairs_are_listed_with_their_steps(shared: Path) -> None:
    page = bybit.parse_listing(recorded(shared, "bybit", "instruments__ccxt-spot"))
    assert steps(page, "BTCUSDT") == ("crypto:BTC-USDT", "0.01", "0.000001", "1", True)
    other = bybit.parse_listing(recorded(shared, "bybit", "instruments__nt-spot-v5"))
    assert steps(other, "ETHUSDT") == ("crypto:ETH-USDT", "0.01", "0.00001", "10", True)


def test_a_recorded_quote_is_the_last_trade(shared: Path) -> None:
    body = _as_spot(shared, "ticker__ccxt-inverse-BTCUSD")
    frame = bybit.parse_quotes(json_answer(body), {"BTCUSD": bybit.instrument_of("BTC-USDT")})
    assert frame.row(0) == ("crypto:BTC-USDT", LATE, 16597.0, 16596.0, 16597.5)


def test_the_requests_name_the_category() -> None:
    request = bybit.bars_request(HOURS.at(parse_us("2022-12-09T17:00:00Z"), parse_us("2022-12-09T19:00:00Z")))
    assert request.url == "https://api.bybit.com/v5/market/kline"
    assert dict(request.query) == {
        "category": "spot", "symbol": "BTCUSDT", "interval": "60", "start": "1670601600000", "end": "1670608800000",
        "limit": "1000",
    }  # fmt: skip
    assert dict(bybit.quotes_request(["BTCUSDT"]).query) == {"category": "spot", "symbol": "BTCUSDT"}
    assert dict(bybit.quotes_request(["BTCUSDT", "ETHUSDT"]).query) == {"category": "spot"}
