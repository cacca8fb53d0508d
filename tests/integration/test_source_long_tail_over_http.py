"""A venue through ccxt, fetched by our transport from a local server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import polars as pl
import pytest
from aiohttp import web

from recorded import recorded
from tradewright.clock import FixedClock, format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited
from tradewright.market.instruments import Interval
from tradewright.sources import registry
from tradewright.sources.fetch import Line, fetch_bars
from tradewright.transport.http import HttpTransport
from tradewright.transport.messages import Policy

pytest.importorskip("ccxt", reason="the extra ccxt is not installed")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
QUICK = Policy(deadline_s=5.0, attempts=3, backoff_s=0.001)
PAIRS = [
    {
        "name": "BTC/USD", "market_symbol": "btcusd", "base_currency": "BTC", "base_decimals": 8,
        "counter_currency": "USD", "counter_decimals": 2, "minimum_order_value": "10", "trading": "Enabled",
        "market_type": "SPOT",
    }
]  # fmt: skip


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def fetch(handler: Handler) -> pl.DataFrame:
    source = registry.source("ccxt_bitstamp")
    start_us, end_us = parse_us("2020-07-05T15:05:00Z"), parse_us("2020-07-05T15:06:00Z")

    async def run() -> pl.DataFrame:
        async with serving(handler) as address, HttpTransport(FixedClock(parse_us("2026-01-01"))) as transport:
            line = Line(source, transport, base_url=address, policy=QUICK)
            return await fetch_bars(line, source.instrument_of("BTC-USD"), Interval.MINUTE, start_us, end_us)

    return asyncio.run(run())


def test_bars_come_from_the_address_that_was_set_and_only_those_within_the_bounds(shared: Path) -> None:
    candles = recorded(shared, "bitstamp", "bars_intraday__ccxt-BTCUSD-1m").body
    asked: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request)
        if request.path == "/api/v2/markets/":
            return web.json_response(PAIRS)
        return web.Response(body=candles, content_type="application/json")

    frame = fetch(handler)
    assert [format_us(time) for time in frame["time"]] == ["2020-07-05T15:05:00Z", "2020-07-05T15:06:00Z"]
    assert frame["close"].to_list() == [9064.77, 9061.07]
    assert [request.path for request in asked] == ["/api/v2/markets/", "/api/v2/ohlc/btcusd/"]
    assert asked[1].query["step"] == "60"
    assert {request.headers["User-Agent"] for request in asked} == {"tradewright"}


@pytest.mark.parametrize("damage", [b"", b'[{"name": "BTC', b"<html>down for maintenance</html>"])
def test_an_answer_that_comes_damaged_is_asked_for_again_as_often_as_the_policy_says(
    shared: Path, damage: bytes
) -> None:
    candles = recorded(shared, "bitstamp", "bars_intraday__ccxt-BTCUSD-1m").body
    asked: list[str] = []

    def venue(damaged: int) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            asked.append(request.path)
            if len(asked) <= damaged:
                return web.Response(body=damage, content_type="application/json")
            if request.path == "/api/v2/markets/":
                return web.json_response(PAIRS)
            return web.Response(body=candles, content_type="application/json")

        return handler

    assert fetch(venue(QUICK.attempts - 1)).height == 2
    assert len(asked) == QUICK.attempts + 1
    asked.clear()
    with pytest.raises(SourceFailed, match="Bitstamp through ccxt"):
        fetch(venue(100))
    assert len(asked) == QUICK.attempts


def test_a_venue_that_was_asked_too_often_is_tried_again_and_then_says_so() -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=429, text="too many")

    with pytest.raises(SourceLimited, match="too many requests"):
        fetch(handler)
    assert len(asked) == QUICK.attempts
