"""Recorded answers of Tiingo become the rows a person reads in them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from recorded import LATE, bars_query, json_answer, recorded
from source_checks import (
    actions,
    assert_damage_fails,
    assert_secret_apart,
    assert_symbols,
    assert_unknown,
    prices,
    times,
)
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import tiingo
from tradewright.transport.messages import Response

AAPL, GOOGL = bars_query(tiingo.SOURCE, "AAPL"), bars_query(tiingo.SOURCE, "GOOGL")


def test_recorded_days_are_raw_and_bring_their_dividend(shared: Path) -> None:
    page = tiingo.parse_bars(recorded(shared, "tiingo", "bars_daily__AAPL-2023-02-dividend"), AAPL)
    assert times(page.bars) == [f"2023-02-{day:02}T21:00:00Z" for day in (7, 8, 9, 10, 13, 14)]
    assert prices(page.bars)[0] == (150.64, 155.23, 150.64, 154.65, 83322551.0)
    assert prices(page.bars)[-1] == (152.12, 153.77, 150.86, 153.2, 61707573.0)
    assert actions(page.actions) == [("2023-02-10T21:00:00Z", "2023-02-09T21:00:00Z", 1.0, 0.23)]


def test_both_spellings_of_a_day_are_read(shared: Path) -> None:
    page = tiingo.parse_bars(recorded(shared, "tiingo", "bars_daily__GOOGL-2018-01"), GOOGL)
    assert (page.bars.height, page.actions.height) == (10, 0)
    assert times(page.bars)[-1] == "2018-01-19T21:00:00Z"
    latest = tiingo.parse_bars(recorded(shared, "tiingo", "bars_daily__GOOGL-latest"), GOOGL)
    assert times(latest.bars) == ["2018-04-12T20:00:00Z"]


def test_a_split_is_an_action_of_its_day() -> None:
    row = {"date": "2020-08-31T00:00:00.000Z", "open": 127.58, "high": 131.0, "low": 126.0, "close": 129.04}
    page = tiingo.parse_bars(json_answer([row | {"volume": 1, "divCash": 0.0, "splitFactor": 4.0}]), AAPL)
    assert actions(page.actions) == [("2020-08-31T20:00:00Z", "2020-08-30T20:00:00Z", 4.0, 0.0)]


def test_recorded_half_hours_without_volume(shared: Path) -> None:
    query = bars_query(tiingo.SOURCE, "GOOGL", Interval.MINUTES_15)  # asked in steps that were not recorded
    page = tiingo.parse_bars(recorded(shared, "tiingo", "bars_intraday__GOOGL-30Min-iex"), query)
    assert page.bars.height == 13
    assert times(page.bars)[0] == "2018-01-02T14:45:00Z"
    assert prices(page.bars)[0] == (1057.47, 1061.91, 1054.17, 1061.91, None)


def test_recorded_coins_are_those_asked_for(shared: Path) -> None:
    answer = recorded(shared, "tiingo", "bars_daily__btcusd-fldcbtc")
    page = tiingo.parse_bars(answer, bars_query(tiingo.SOURCE, "crypto:BTC-USD"))
    assert times(page.bars) == ["2019-05-02T00:00:00Z", "2019-05-03T00:00:00Z"]
    assert page.bars["close"].to_list() == [5420.0896708474575, 5545.697488248552]
    assert tiingo.parse_bars(answer, bars_query(tiingo.SOURCE, "crypto:ETH-USD")).bars.height == 0


def test_no_data_is_no_rows() -> None:
    page = tiingo.parse_bars(json_answer([]), AAPL)
    assert (page.bars.height, page.actions.height) == (0, 0)


def test_refusals_say_what_to_do(shared: Path) -> None:
    with pytest.raises(SourceRefused, match=r"present plan.*permission to access the News API.*another source"):
        tiingo.parse_bars(recorded(shared, "tiingo", "error_plan__403-news-bulk"), AAPL)
    with pytest.raises(SourceRefused, match=r"key.*Invalid token.*'tiingo'"):
        tiingo.parse_bars(json_answer({"detail": "Invalid token."}, 401), AAPL)
    with pytest.raises(UnknownName, match=r"'AAPL'.*not found.*equity:AAPL"):
        tiingo.parse_bars(json_answer({"detail": "Error: Ticker 'NOPE' not found"}, 404), AAPL)
    with pytest.raises(UnknownName, match=r"Not found"):
        tiingo.parse_bars(Response(404, b"Not found.", (), LATE), AAPL)
    over = b'{"detail": "Error: You have run over your hourly request allocation. Please upgrade"}'
    for status in (200, 429):
        with pytest.raises(SourceLimited, match=r"slow down.*hourly"):
            tiingo.parse_bars(Response(status, over, (), LATE), AAPL)
    with pytest.raises(SourceFailed, match=r"page for people"):
        tiingo.parse_bars(Response(404, b"<html>not here</html>", (), LATE), AAPL)


def test_damage_is_a_failure(shared: Path) -> None:
    day = b'{"date": "2023-02-07T00:00:00.000Z", "open": 1, "high": 1, "low": 1, "close": 1'
    assert_damage_fails(
        lambda answer: tiingo.parse_bars(answer, AAPL),
        b"{}",
        b'{"detail": "no"}',
        b"[" + day + b"}]",
        b"[" + day + b', "divCash": null, "splitFactor": 1.0}]',
        b"[" + day + b', "divCash": 0, "splitFactor": 0}]',
        b'[{"date": "soon", "open": 1, "high": 1, "low": 1, "close": 1}]',
    )
    assert_damage_fails(tiingo.parse_listing, b"ticker,exchange\nA,B\n", b"PK\x03\x04 no archive")
    with pytest.raises(SourceFailed, match=r"open, high, low, close were expected"):
        tiingo.parse_bars(recorded(shared, "tiingo", "bars_daily__GOOGL-one-column"), GOOGL)


def test_the_archive_of_tickers_lists_what_trades_in_the_united_states(shared: Path) -> None:
    lines = (
        "ticker,exchange,assetType,priceCurrency,startDate,endDate\n"
        "AAPL,NASDAQ,Stock,USD,1980-12-12,2026-05-29\nBRK-B,NYSE,Stock,USD,1996-05-09,2026-05-29\n"
        "TWTR,NYSE,Stock,USD,2013-11-07,2022-10-27\n000001,SHE,Stock,CNY,2007-08-30,2026-05-29\nNEW,NYSE,Stock,USD,,\n"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("supported_tickers.csv", lines)
    page = tiingo.parse_listing(Response(200, packed.getvalue(), (), LATE))
    assert [(one.symbol, one.instrument.id, one.active) for one in page.listed] == [
        ("AAPL", "equity:AAPL", True),
        ("BRK-B", "equity:BRK.B", True),
        ("TWTR", "equity:TWTR", False),
    ]
    assert page.skipped == 2
    chinese = tiingo.parse_listing(recorded(shared, "tiingo", "instruments__supported-tickers"))
    assert (chinese.listed, chinese.skipped > 1_000) == ((), True)


def test_symbols_lead_back() -> None:
    assert_symbols(
        tiingo.SOURCE, ("AAPL", "equity:AAPL"), ("BRK-B", "equity:BRK.B"), ("btcusd", "crypto:BTC-USD"),
        ("fldcbtc", "crypto:FLDC-BTC"),
    )  # fmt: skip
    assert_unknown(tiingo.SOURCE, "macro:GDP", "fx:EUR-USD", "no such thing")


def test_the_requests_are_as_documented_and_hold_no_secret() -> None:
    query = AAPL.at(parse_us("2023-02-07T21:00:00Z"), parse_us("2023-02-14T21:00:00Z"))
    request = tiingo.bars_request(query)
    assert request.url == "https://api.tiingo.com/tiingo/daily/AAPL/prices"
    assert dict(request.query) == {
        "startDate": "2023-02-06", "endDate": "2023-02-14", "format": "json", "resampleFreq": "daily",
    }  # fmt: skip
    signed = assert_secret_apart(tiingo.SOURCE, request, token="K123")
    assert signed.headers == (("Authorization", "Token K123"),)
    minutes = tiingo.bars_request(bars_query(tiingo.SOURCE, "BRK.B", Interval.MINUTES_5))
    assert minutes.url == "https://api.tiingo.com/iex/BRK-B/prices"
    assert dict(minutes.query)["columns"] == "open,high,low,close,volume"
    coins = tiingo.bars_request(bars_query(tiingo.SOURCE, "crypto:BTC-USD"))
    assert dict(coins.query)["tickers"] == "btcusd"
