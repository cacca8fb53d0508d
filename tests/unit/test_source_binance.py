"""Recorded answers of Binance become the rows a person reads in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import binance
from tradewright.sources.registry import SOURCES, source
from tradewright.transport.messages import Response

LATE = parse_us("2026-01-01")
BITCOIN = binance.instrument_of("BTCUSDT")


def recorded(shared: Path, name: str, received_at_us: int = LATE) -> Response:
    answer = json.loads((shared / "recordings" / "binance" / f"{name}.json").read_text())["response"]
    return Response(answer["status"], json.dumps(answer["body"]).encode(), received_at_us=received_at_us)


def test_recorded_minutes_are_parsed_to_rows_checked_by_hand(shared: Path) -> None:
    frame = binance.parse_bars(
        recorded(shared, "bars_intraday__ccxt-ETHBTC-1m"), binance.instrument_of("ETHBTC"), Interval.MINUTE
    )
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
    frame = binance.parse_bars(recorded(shared, "bars_intraday__binanceus-BTCUSDT"), BITCOIN, Interval.HOUR)
    assert format_us(frame["time"][0]) == "2024-03-13T12:00:00Z"
    assert frame["close"][0] == 73347.62


def test_the_bar_that_is_still_running_is_left_out(shared: Path) -> None:
    eth = binance.instrument_of("ETHBTC")
    before_the_last_ends = parse_us("2020-06-06T21:24:59Z")
    frame = binance.parse_bars(
        recorded(shared, "bars_intraday__ccxt-ETHBTC-1m", before_the_last_ends), eth, Interval.MINUTE
    )
    assert frame.height == 2


def test_times_in_microseconds_are_told_by_their_size() -> None:
    row = [1591478520000000, "1", "2", "0.5", "1.5", "3", 1591478579999999, "0", 1, "0", "0", "0"]
    frame = binance.parse_bars(Response(200, json.dumps([row]).encode(), (), LATE), BITCOIN, Interval.MINUTE)
    assert format_us(frame["time"][0]) == "2020-06-06T21:23:00Z"


def test_recorded_refusals_become_typed_errors(shared: Path) -> None:
    with pytest.raises(UnknownName, match="Binance does not know 'BTCUSDT'"):
        binance.parse_bars(recorded(shared, "error_unknown_symbol__-1121"), BITCOIN, Interval.DAY)
    with pytest.raises(SourceLimited, match="slow down"):
        binance.parse_bars(recorded(shared, "error_rate_limited__ccxt-weight"), BITCOIN, Interval.DAY)
    with pytest.raises(SourceFailed, match=r"location \(451\).*TRADEWRIGHT_BINANCE_URL"):
        binance.parse_bars(recorded(shared, "error_http__451-restricted-location"), BITCOIN, Interval.DAY)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html><body>Access denied</body></html>", "not in JSON"),
        (b"", "not in JSON"),
        (b'"text"', "no list of candles"),
        (b"[[1, 2, 3]]", "no list of candles"),
        (b'[[1591478520000, "one", "2", "0.5", "1.5", "3", 1591478579999, "0", 1, "0", "0", "0"]]', "cannot be read"),
        (b'[["soon", "1", "2", "0.5", "1.5", "3", 1591478579999, "0", 1, "0", "0", "0"]]', "cannot be read"),
        (b'{"code": -1100, "msg": "Illegal characters"}', "-1100"),
    ],
)
def test_an_answer_that_is_not_as_documented_is_a_failure_that_shows_it(body: bytes, says: str) -> None:
    with pytest.raises(SourceFailed, match=says):
        binance.parse_bars(Response(200, body, (), LATE), BITCOIN, Interval.MINUTE)


def test_no_candles_are_no_rows() -> None:
    assert binance.parse_bars(Response(200, b"[]", (), LATE), BITCOIN, Interval.MINUTE).height == 0


def test_the_request_asks_for_bars_by_their_ends() -> None:
    start, end = parse_us("2024-01-01T00:01:00Z"), parse_us("2024-01-01T00:10:00Z")
    request = binance.bars_request("BTCUSDT", Interval.MINUTE, start, end, 500)
    assert request.url == "https://api.binance.com/api/v3/klines"
    assert dict(request.query) == {
        "symbol": "BTCUSDT",
        "interval": "1m",
        "startTime": str(parse_us("2024-01-01T00:00:00Z") // 1000),
        "endTime": str(parse_us("2024-01-01T00:09:00Z") // 1000),
        "limit": "500",
    }


@pytest.mark.parametrize("text", ["BTCUSDT", "btcusdt", "BTC-USDT", "crypto:BTC-USDT"])
def test_a_pair_can_be_written_in_several_ways(text: str) -> None:
    instrument = binance.instrument_of(text)
    assert (instrument.id, instrument.currency, instrument.calendar) == ("crypto:BTC-USDT", "USDT", "24/7")
    assert binance.symbol_of(instrument) == "BTCUSDT"


@pytest.mark.parametrize("text", ["equity:AAPL", "fx:EUR-USD", "NOTAPAIR", "USDT", "BTC-", ""])
def test_what_is_no_pair_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UnknownName, match="crypto:BTC-USDT"):
        binance.instrument_of(text)


def test_an_unknown_source_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="did you mean binance"):
        source("binanec")
    assert all(name == declared.name for name, declared in SOURCES.items())
