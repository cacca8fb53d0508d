"""Recorded answers of Binance become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from recorded import LATE, bars_query, json_answer, recorded
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import binance
from tradewright.sources.registry import SOURCES, source
from tradewright.sources.source import BarsQuery
from tradewright.transport.messages import Response

BITCOIN = bars_query(binance.SOURCE, "BTCUSDT")
MINUTES = bars_query(binance.SOURCE, "BTCUSDT", Interval.MINUTE)
ETHER = bars_query(binance.SOURCE, "ETHBTC", Interval.MINUTE)


def parse(response: Response, query: BarsQuery = BITCOIN) -> pl.DataFrame:
    return binance.parse_bars(response, query).bars


def test_recorded_minutes_are_parsed_to_rows_checked_by_hand(shared: Path) -> None:
    frame = parse(recorded(shared, "binance", "bars_intraday__ccxt-ETHBTC-1m"), ETHER)
    assert [format_us(t) for t in frame["time"]] == [
        "2020-06-06T21:23:00Z", "2020-06-06T21:24:00Z", "2020-06-06T21:25:00Z",
    ]  # fmt: skip
    assert frame.select("open", "high", "low", "close", "volume").rows() == [
        (0.025013, 0.025018, 0.025, 0.025, 22.19),
        (0.024996, 0.025009, 0.024994, 0.025003, 21.347),
        (0.025008, 0.025011, 0.025003, 0.025008, 154.142),
    ]
    assert frame["source"].to_list() == ["binance"] * 3
    assert frame["instrument"].to_list() == ["crypto:ETH-BTC"] * 3
    assert frame["known_at"].equals(frame["time"])
    assert frame["observed_at"].to_list() == [LATE] * 3


def test_a_recorded_hour_ends_an_hour_after_its_start(shared: Path) -> None:
    hours = bars_query(binance.SOURCE, "BTCUSDT", Interval.HOUR)
    frame = parse(recorded(shared, "binance", "bars_intraday__binanceus-BTCUSDT"), hours)
    assert format_us(frame["time"][0]) == "2024-03-13T12:00:00Z"
    assert frame["close"][0] == 73347.62


def test_the_bar_that_is_still_running_is_left_out(shared: Path) -> None:
    before_the_last_ends = parse_us("2020-06-06T21:24:59Z")
    frame = parse(recorded(shared, "binance", "bars_intraday__ccxt-ETHBTC-1m", before_the_last_ends), ETHER)
    assert frame.height == 2


def test_times_in_microseconds_are_told_by_their_size() -> None:
    row = [1591478520000000, "1", "2", "0.5", "1.5", "3", 1591478579999999, "0", 1, "0", "0", "0"]
    frame = parse(json_answer([row]), MINUTES)
    assert format_us(frame["time"][0]) == "2020-06-06T21:23:00Z"


@pytest.mark.parametrize(
    ("interval", "start_ms"), [(Interval.MINUTE, 1591478521000), (Interval.DAY, parse_us("2024-01-01T08:00Z") // 1000)]
)
def test_bars_between_two_of_ours_are_a_failure(interval: Interval, start_ms: int) -> None:
    rows = [[start_ms + n * interval.us // 1000, "1", "2", "0.5", "1.5", "3", 0, "0", 1, "0", "0", "0"] for n in (0, 1)]
    with pytest.raises(SourceFailed, match="between two of ours"):
        parse(json_answer(rows), bars_query(binance.SOURCE, "BTCUSDT", interval))


def test_a_time_in_a_unit_that_is_not_known_is_a_failure() -> None:
    row = [1591478520000000001, "1", "2", "0.5", "1.5", "3", 0, "0", 1, "0", "0", "0"]
    with pytest.raises(SourceFailed, match="far from any market"):
        parse(json_answer([row]), MINUTES)


def test_a_coin_of_one_letter_leads_back() -> None:
    assert binance.instrument_of("TUSDT").id == "crypto:T-USDT"


def test_recorded_refusals_become_typed_errors(shared: Path) -> None:
    with pytest.raises(UnknownName, match="Binance spot does not know 'BTCUSDT'"):
        parse(recorded(shared, "binance", "error_unknown_symbol__-1121"))
    with pytest.raises(SourceLimited, match="slow down"):
        parse(recorded(shared, "binance", "error_rate_limited__ccxt-weight"))
    with pytest.raises(SourceFailed, match=r"location \(451\).*TRADEWRIGHT_BINANCE_URL"):
        parse(recorded(shared, "binance", "error_http__451-restricted-location"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html><body>Access denied</body></html>", "page for people"),
        (b"", "empty body"),
        (b'"text"', "no list of candles"),
        (b"[[1, 2, 3]]", "no list of candles"),
        (
            b'[[1591478520000, "one", "2", "0.5", "1.5", "3", 1591478579999, "0", 1, "0", "0", "0"]]',
            "expected a (number|time)",
        ),
        (b'[["soon", "1", "2", "0.5", "1.5", "3", 1591478579999, "0", 1, "0", "0", "0"]]', "expected a (number|time)"),
        (b'{"code": -1100, "msg": "Illegal characters"}', "-1100"),
    ],
)
def test_an_answer_that_is_not_as_documented_is_a_failure_that_shows_it(body: bytes, says: str) -> None:
    with pytest.raises(SourceFailed, match=says):
        parse(Response(200, body, (), LATE), MINUTES)


def test_no_candles_are_no_rows() -> None:
    assert parse(json_answer([]), MINUTES).height == 0


def test_the_request_asks_for_bars_by_their_ends() -> None:
    start, end = parse_us("2024-01-01T00:01:00Z"), parse_us("2024-01-01T00:10:00Z")
    request = binance.bars_request(MINUTES.at(start, end))
    assert request.url == "https://api.binance.com/api/v3/klines"
    assert dict(request.query) == {
        "symbol": "BTCUSDT",
        "interval": "1m",
        "startTime": str(parse_us("2024-01-01T00:00:00Z") // 1000),
        "endTime": str(parse_us("2024-01-01T00:09:00Z") // 1000),
        "limit": "1000",
    }


@pytest.mark.parametrize("text", ["BTCUSDT", "btcusdt", "BTC-USDT", "crypto:BTC-USDT"])
def test_a_pair_can_be_written_in_several_ways(text: str) -> None:
    instrument = binance.instrument_of(text)
    assert (instrument.id, instrument.currency, instrument.calendar) == ("crypto:BTC-USDT", "USDT", "24/7")
    assert binance.symbol_of(instrument) == "BTCUSDT"


@pytest.mark.parametrize(
    "text", ["equity:AAPL", "fx:EUR-USD", "NOTAPAIR", "USDT", "BTC-", "", "USDEUR", "crypto:usd-eur", "A-B-C"]
)
def test_what_is_no_pair_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UnknownName, match="crypto:BTC-USDT"):
        binance.instrument_of(text)


def test_an_unknown_source_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="did you mean binance"):
        source("binanec")
    assert all(name == declared.name for name, declared in SOURCES.items())


def test_recorded_pairs_are_listed_with_their_steps(shared: Path) -> None:
    page = binance.parse_listing(recorded(shared, "binance", "instruments__ccxt-spot-exchangeInfo"))
    first = page.listed[0]
    assert (first.symbol, first.instrument.id, first.active) == ("BTCUSDT", "crypto:BTC-USDT", True)
    assert (str(first.instrument.tick), str(first.instrument.lot)) == ("0.01", "0.001")
    assert page.skipped == 0


def test_a_quote_is_the_middle_of_bid_and_ask() -> None:
    body = [{"symbol": "BTCUSDT", "bidPrice": "99.0", "bidQty": "1", "askPrice": "101.0", "askQty": "1"}]
    frame = binance.parse_quotes(json_answer(body), {"BTCUSDT": binance.instrument_of("BTCUSDT")})
    assert frame.row(0) == ("crypto:BTC-USDT", LATE, 100.0, 99.0, 101.0)
