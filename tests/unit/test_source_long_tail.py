"""Venues through ccxt: what it sends goes our way, what it reads from recorded answers are the rows a person reads."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from recorded import LATE, bars_query, recorded
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import long_tail, registry
from tradewright.sources.source import BarsQuery
from tradewright.transport.messages import Request, Response

pytest.importorskip("ccxt", reason="the extra ccxt is not installed")

BITSTAMP = [
    {
        "name": "BTC/USD", "market_symbol": "btcusd", "base_currency": "BTC", "base_decimals": 8,
        "counter_currency": "USD", "counter_decimals": 2, "minimum_order_value": "10", "trading": "Enabled",
        "market_type": "SPOT",
    }
]  # fmt: skip
BITFINEX = [[["ETHBTC", [None, None, None, "0.0006", "1000.0"]]], [], [], []]
MARKETS = {"/v2/markets/": BITSTAMP, "/v2/conf/": BITFINEX, "/v1/symbols": ["ethbtc", "btcusd"]}


class Answers:
    """Answers by the beginning of the path, and keeps what was asked."""

    def __init__(self, candles: Response | bytes) -> None:
        self.candles = candles if isinstance(candles, Response) else Response(200, candles, (), LATE)
        self.asked: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        body = next((each for place, each in MARKETS.items() if place in request.url), None)
        return self.candles if body is None else Response(200, json.dumps(body).encode(), (), LATE)


def collect(query: BarsQuery, name: str, ask: Answers) -> pl.DataFrame:
    bars = registry.source(name).bars
    assert bars is not None
    assert bars.pages is not None
    pages = bars.pages

    async def run() -> pl.DataFrame:
        return pl.concat([page.bars async for page in pages(query, ask)]).sort("time")

    return asyncio.run(run())


def query(name: str, pair: str, interval: Interval, start: str, end: str) -> BarsQuery:
    return bars_query(registry.source(name), pair, interval, parse_us(start), parse_us(end))


BITCOIN = ("ccxt_bitstamp", "BTC/USD", Interval.MINUTE, "2020-07-05T15:05:00Z", "2020-07-05T15:07:00Z")


def test_recorded_minutes_of_bitstamp(shared: Path) -> None:
    ask = Answers(recorded(shared, "bitstamp", "bars_intraday__ccxt-BTCUSD-1m"))
    frame = collect(query(*BITCOIN), "ccxt_bitstamp", ask)
    assert [format_us(time) for time in frame["time"]] == [f"2020-07-05T15:0{minute}:00Z" for minute in (5, 6, 7)]
    assert frame.select("open", "high", "low", "close", "volume").row(1) == (
        9064.66, 9071.59, 9058.76, 9061.07, 3.48631711,
    )  # fmt: skip
    assert frame["source"].unique().to_list() == ["ccxt_bitstamp"]
    assert frame["instrument"].unique().to_list() == ["crypto:BTC-USD"]
    candles = ask.asked[-1]
    assert candles.url == "https://www.bitstamp.net/api/v2/ohlc/btcusd/"
    assert dict(candles.query)["start"] == "1593961440"
    assert not any(key.lower() in ("user-agent", "accept-encoding") for key, _ in candles.headers)


def test_recorded_minutes_of_bitfinex_with_gaps(shared: Path) -> None:
    ask = Answers(recorded(shared, "bitfinex", "bars_intraday__ccxt-ETHBTC-1m"))
    asked = query("ccxt_bitfinex", "ETH-BTC", Interval.MINUTE, "2020-06-07T04:25:00Z", "2020-06-07T04:38:00Z")
    frame = collect(asked, "ccxt_bitfinex", ask)
    assert [format_us(time) for time in frame["time"]] == [f"2020-06-07T04:{minute}:00Z" for minute in (25, 36, 38)]
    assert frame.row(0)[-5:] == (0.025069, 0.025069, 0.025068, 0.025068, 1.97828998)


def test_recorded_bars_of_gemini_which_takes_no_span(shared: Path) -> None:
    ask = Answers(recorded(shared, "gemini", "bars_intraday__ccxt-ethbtc-5m"))
    asked = query("ccxt_gemini", "ETH-BTC", Interval.MINUTES_5, "2020-06-07T00:00:00Z", "2020-06-08T00:00:00Z")
    frame = collect(asked, "ccxt_gemini", ask)
    assert [format_us(time)[11:16] for time in frame["time"]] == ["07:25", "07:30", "07:35"]
    assert len([each for each in ask.asked if "candles" in each.url]) == 1
    early = query("ccxt_gemini", "ETH-BTC", Interval.MINUTES_5, "2020-06-01T00:00:00Z", "2020-06-02T00:00:00Z")
    with pytest.raises(SourceFailed, match="only has its latest bars"):
        collect(early, "ccxt_gemini", ask)
    running = recorded(shared, "gemini", "bars_intraday__ccxt-ethbtc-5m", parse_us("2020-06-07T07:34:59Z"))
    assert collect(asked, "ccxt_gemini", Answers(running)).height == 2


def test_a_pair_that_the_venue_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownName, match=r"Bitstamp through ccxt does not know 'XYZ/USD'"):
        collect(query("ccxt_bitstamp", "XYZ-USD", *BITCOIN[2:]), "ccxt_bitstamp", Answers(b"{}"))


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (Response(200, b"<html>maintenance</html>", (), LATE), SourceFailed, "page for people"),
        (Response(200, b"", (), LATE), SourceFailed, "empty body"),
        (Response(200, b'{"data": {"ohlc": [', (), LATE), SourceFailed, "ends in the middle"),
        (Response(200, b'{"data": {"ohlc": [{"timestamp": "soon"}]}}', (), LATE), SourceFailed, "expected a time"),
        (
            Response(200, b'{"data": {"ohlc": [{"timestamp": "7", "open": "1"}]}}', (), LATE),
            SourceFailed,
            "between two",
        ),
        (Response(429, b"slow", (), LATE), SourceLimited, "slow down"),
        (Response(403, b"no", (), LATE), SourceFailed, "TRADEWRIGHT_CCXT_BITSTAMP_URL"),
        (Response(200, b'{"error": "Invalid pair"}', (), LATE), SourceFailed, "Bitstamp through ccxt"),
        (Response(404, b'{"error": "nothing"}', (), LATE), SourceFailed, "Bitstamp through ccxt"),
        (Response(503, b'{"a": 1}', (), LATE), SourceFailed, "not available now"),
    ],
)
def test_what_is_no_answer_is_a_failure(answer: Response, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        collect(query(*BITCOIN), "ccxt_bitstamp", Answers(answer))


def test_empty_windows_are_passed_until_the_span_has_been_asked_for() -> None:
    ask = Answers(b'{"data": {"pair": "BTC/USD", "ohlc": []}}')
    asked = query("ccxt_bitstamp", "BTC-USD", Interval.HOUR, "2020-01-01T01:00:00Z", "2020-03-25T00:00:00Z")
    assert collect(asked, "ccxt_bitstamp", ask).height == 0  # 84 days are 2,016 hours
    starts = [dict(each.query)["start"] for each in ask.asked if "ohlc" in each.url]
    assert [int(each) for each in starts] == [1577836800 + window * 3_600_000 for window in range(3)]


def test_every_venue_of_ccxt_with_public_candles_is_a_source() -> None:
    names = long_tail.names()
    assert len(names) > 50
    assert {"ccxt_bitstamp", "ccxt_mexc", "ccxt_gate"} <= set(names)
    for name in names:
        source = registry.source(name)
        assert source.name == name
        assert source.base_url.startswith("https://")
        assert source.instrument_of(source.symbol_of(source.instrument_of(source.example))).id == source.example
        assert source.bars is not None
        assert source.bars.intervals
        assert all(limit.units > 0 and limit.window_s > 0 for limit in source.limits)


def test_whatever_a_venue_answers_it_becomes_a_typed_error() -> None:
    bodies = (b"{}", b"[]", b"[1]", b'{"data": []}', b'{"result": 1}', b"null", b'"text"', b"<html>", b"\xff")
    for name in long_tail.names():
        bars = registry.source(name).bars
        assert bars is not None
        pages = bars.pages
        assert pages is not None
        asked = query(name, "BTC-USDT", bars.intervals[0], "2024-01-01", "2024-01-02")
        for body in bodies:

            async def run(body: bytes = body, asked: BarsQuery = asked, pages=pages) -> None:  # type: ignore[no-untyped-def]
                async def ask(request: Request) -> Response:
                    assert "?" not in request.url
                    return Response(200, body, (), LATE)

                async for page in pages(asked, ask):
                    assert page.bars.height == 0

            with pytest.raises((SourceFailed, UnknownName)):
                asyncio.run(run())


def test_no_pairs_at_all_are_a_failure_and_not_an_unknown_pair() -> None:
    asked = query(*BITCOIN)
    pages = registry.source("ccxt_bitstamp").bars.pages  # type: ignore[union-attr]

    async def ask(request: Request) -> Response:
        return Response(200, b"[]", (), LATE)

    async def run() -> None:
        async for _ in pages(asked, ask):  # type: ignore[misc]
            pass

    with pytest.raises(SourceFailed, match="sent no pairs that ccxt can read"):
        asyncio.run(run())


@pytest.mark.parametrize("name", ["ccxt_alpaca", "ccxt_bitstmp", "ccxt_nothing", "ccxt_zaif", "ccxt_"])
def test_a_venue_without_candles_or_that_is_unknown_is_refused(name: str) -> None:
    with pytest.raises(UnknownName, match=name):
        registry.source(name)


def test_ccxt_is_not_imported_before_one_of_its_venues_is_asked_for() -> None:
    code = (
        "import sys; from tradewright.sources import registry; registry.source('kraken'); "
        "print([name for name in sys.modules if name.partition('.')[0] in ('ccxt', 'pandas', 'exchange_calendars')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_library_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['ccxt'] = None; from tradewright.sources import long_tail, registry; "
        "print(long_tail.names()); registry.source('ccxt_bitstamp')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "()"
    assert "LibraryMissing: ccxt_bitstamp needs the library ccxt; install it: pip install" in done.stderr
