"""The transport against a local server that behaves badly in every way it can."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tradewright.clock import FixedClock, format_us, parse_us
from tradewright.errors import InvalidInput, SettingsInvalid, SourceFailed, SourceLimited, UnknownName
from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Interval
from tradewright.sources import binance
from tradewright.sources.fetch import Line, fetch_bars
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.transport.http import HttpTransport
from tradewright.transport.messages import Policy, Request, Response

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CLOCK = FixedClock(parse_us("2026-01-01"))
QUICK = Policy(deadline_s=5.0, attempts=3, backoff_s=0.001)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def fetch(handler: Handler, policy: Policy = QUICK, waits: list[float] | None = None) -> Response:
    async def wait(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    async def run() -> Response:
        async with serving(handler) as address, HttpTransport(CLOCK, wait, lambda: 1.0) as transport:
            return await transport.fetch(Request(address + "/x", query=(("a", "1 2"),)), policy)

    return asyncio.run(run())


def answering(*statuses: int, headers: dict[str, str] | None = None, body: bytes = b"ok") -> Handler:
    left = list(statuses)

    async def handle(request: web.Request) -> web.Response:
        status = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, body=body, headers=headers)

    return handle


def test_an_answer_comes_back_as_a_value_with_the_time_it_came() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=request.query["a"], headers={"X-Weight": "2"})

    response = fetch(echo)
    assert (response.status, response.body, response.header("X-weight")) == (200, b"1 2", "2")
    assert response.received_at_us == CLOCK.now_us()


def test_what_may_pass_is_tried_again_with_growing_waits() -> None:
    waits: list[float] = []
    assert fetch(answering(503, 500, 200), waits=waits).status == 200
    assert waits == [0.001, 0.002]


def test_each_request_is_one_line_of_the_log_without_its_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "tradewright.transport")
    fetch(answering(503, 200))
    lines = [record.getMessage() for record in caplog.records if record.name == "tradewright.transport"]
    shown = [re.sub(r":\d+ ", ":PORT ", re.sub(r"\d+ ms", "N ms", line)) for line in lines]
    assert shown == [
        "GET 127.0.0.1:PORT /x 503 in N ms, 2 bytes, attempt 1", "GET 127.0.0.1:PORT /x 200 in N ms, 2 bytes, attempt 2"
    ]  # fmt: skip
    caplog.clear()

    async def nobody() -> None:
        async with HttpTransport(CLOCK) as transport:
            secret = Request("http://user:pass@127.0.0.1:9/a/S3C%2FRET", secrets=("S3C/RET",))
            with pytest.raises(SourceFailed):
                await transport.fetch(secret, Policy(attempts=1))

    asyncio.run(nobody())
    (line,) = [record.getMessage() for record in caplog.records if record.name == "tradewright.transport"]
    assert re.fullmatch(r"GET 127\.0\.0\.1:9 /a/REDACTED no answer in \d+ ms, 0 bytes, attempt 1", line)


def test_a_refusal_for_the_caller_comes_back_at_once() -> None:
    waits: list[float] = []
    assert fetch(answering(404), waits=waits).status == 404
    assert waits == []


def test_too_many_requests_honours_retry_after_and_then_is_typed() -> None:
    waits: list[float] = []
    with pytest.raises(SourceLimited, match="try again in 3 s") as limited:
        fetch(answering(429, headers={"Retry-After": "3"}), waits=waits)
    assert waits == [3.0, 3.0]
    assert limited.value.retry_after_s == 3.0
    assert fetch(answering(429, 200, headers={"Retry-After": "1"})).status == 200


def test_a_retry_after_beyond_the_deadline_is_not_waited_for() -> None:
    waits: list[float] = []
    late = format_us(CLOCK.now_us()).replace("2026-01-01T00:00:00Z", "Thu, 01 Jan 2026 00:01:40 GMT")
    with pytest.raises(SourceLimited) as limited:
        fetch(answering(429, headers={"Retry-After": late}), waits=waits)
    assert waits == []
    assert limited.value.retry_after_s == 100.0


def test_a_ban_is_not_tried_again() -> None:
    waits: list[float] = []
    with pytest.raises(SourceLimited, match="418"):
        fetch(answering(418), waits=waits)
    assert waits == []


def test_a_server_that_stays_broken_is_a_failure_that_shows_what_it_said() -> None:
    with pytest.raises(SourceFailed, match="502: <h1>Bad gateway</h1>"):
        fetch(answering(502, body=b"<h1>Bad gateway</h1>"))


def test_redirects_are_not_followed() -> None:
    with pytest.raises(SourceFailed, match=r"points to http://169\.254\.169\.254/"):
        fetch(answering(302, headers={"Location": "http://169.254.169.254/"}))


def test_a_body_beyond_the_cap_is_cut_off() -> None:
    with pytest.raises(SourceFailed, match="more than 1000 bytes"):
        fetch(answering(200, body=b"x" * 100_000), Policy(deadline_s=5.0, cap_bytes=1_000))


def test_a_connection_that_breaks_is_tried_again_and_then_a_failure() -> None:
    seen: list[int] = []

    async def reset(request: web.Request) -> web.Response:
        seen.append(1)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(SourceFailed, match="attempt 3 of 3"):
        fetch(reset)
    assert len(seen) >= 3


def test_an_answer_that_never_ends_meets_the_deadline() -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    began = time.monotonic()
    with pytest.raises(SourceFailed, match="did not answer"):
        fetch(slow, Policy(deadline_s=0.2, attempts=5, backoff_s=0.001))
    assert time.monotonic() - began < 5


def test_nobody_listening_is_a_failure_that_names_the_address() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def run() -> None:
        async with HttpTransport(CLOCK) as transport:
            await transport.fetch(Request(f"http://127.0.0.1:{port}/x"), QUICK)

    with pytest.raises(SourceFailed, match=f"127.0.0.1:{port}/x did not answer"):
        asyncio.run(run())


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="ftp://x"):
        Request("https://api.example/x").at("ftp://x")


# --- the loop over pages, against a server that plays recorded bytes --------------------------------------------------


def _bars(handler: Handler, symbol: str, interval: str, start: str, end: str, **rest: Any) -> Any:
    async def run() -> Any:
        async with serving(handler) as address, HttpTransport(CLOCK) as transport:
            line = Line(binance.SOURCE, transport, base_url=address, policy=QUICK)
            return await fetch_bars(
                line, binance.instrument_of(symbol), interval, parse_us(start), parse_us(end), **rest
            )

    return asyncio.run(run())


def _playing(shared: Path, name: str) -> Handler:
    answer = json.loads((shared / "recordings" / "binance" / f"{name}.json").read_text())["response"]

    async def handle(request: web.Request) -> web.Response:
        assert request.path == "/api/v3/klines"
        return web.json_response(answer["body"], status=answer["status"])

    return handle


def test_recorded_bytes_over_a_socket_become_bars(shared: Path) -> None:
    told: list[tuple[float, str]] = []
    handler = _playing(shared, "bars_intraday__ccxt-ETHBTC-1m")
    frame = _bars(
        handler, "ETHBTC", "1m", "2020-06-06T21:00:00Z", "2020-06-06T22:00:00Z",
        progress=lambda fraction, message: told.append((fraction, message)),
    )  # fmt: skip
    assert frame["close"].to_list() == [0.025, 0.025003, 0.025008]
    assert told[-1][1] == "crypto:ETH-BTC: bars up to 2020-06-06T22:00:00Z"


def test_recorded_refusals_over_a_socket_are_typed(shared: Path) -> None:
    bounds = ("1d", "2020-01-01", "2020-02-01")
    with pytest.raises(UnknownName):
        _bars(_playing(shared, "error_unknown_symbol__-1121"), "CAPUSDT", *bounds)
    with pytest.raises(SourceLimited):
        _bars(_playing(shared, "error_rate_limited__ccxt-weight"), "BTCUSDT", *bounds)
    with pytest.raises(SourceFailed, match="451"):
        _bars(_playing(shared, "error_http__451-restricted-location"), "BTCUSDT", *bounds)


def test_pages_follow_each_other_without_a_gap_or_a_repeat() -> None:
    asked: list[int] = []

    async def candles(request: web.Request) -> web.Response:
        first, last = (int(request.query[name]) for name in ("startTime", "endTime"))
        limit = int(request.query["limit"])
        asked.append(first)
        opens = range(-(-first // 60_000) * 60_000, last + 1, 60_000)
        rows = [[t, "1", "2", "0.5", "1.5", "3", t + 59_999, "0", 1, "0", "0", "0"] for t in opens[:limit]]
        return web.json_response(rows)

    frame = _bars(candles, "BTCUSDT", "1m", "2024-01-01T00:01:00Z", "2024-01-02T18:00:00Z")
    assert frame.height == 42 * 60
    assert frame["time"].diff().drop_nulls().unique().to_list() == [60_000_000]
    assert len(asked) == 3, "1,000 + 1,000 + 520"


def test_bounds_and_intervals_that_make_no_sense_are_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidInput, match="swap them"):
        _bars(answering(500), "BTCUSDT", Interval.DAY, "2024-01-02", "2024-01-01")
    with pytest.raises(UnknownName, match="interval"):
        _bars(answering(500), "BTCUSDT", "1w", "2024-01-01", "2024-01-02")


def test_recorded_bytes_go_from_a_socket_through_the_checks_into_the_catalog(shared: Path, tmp_path: Path) -> None:
    handler = _playing(shared, "bars_intraday__ccxt-ETHBTC-1m")
    frame = _bars(handler, "ETHBTC", "1m", "2020-06-06T21:00:00Z", "2020-06-06T22:00:00Z")
    with Database(f"sqlite:///{tmp_path / 't.db'}") as database:
        upgrade(database)
        catalog = Catalog(tmp_path, database)
        for ingestion in ("ing_1", "ing_2"):
            report = ingest_frame(
                catalog, database, SYSTEM, frame, [binance.instrument_of("ETHBTC")], interval="1m",
                source=binance.NAME, now_us=CLOCK.now_us(), ingestion_id=ingestion,
            )  # fmt: skip
            assert (report.rows_read, report.accepted, report.rejected) == (3, 3, 0)
        assert report.stored == 0, "fetched again, stored once"
        panel = catalog.panel(instruments=["crypto:ETH-BTC"], interval="1m")
    assert panel.close[:, 0].tolist() == [0.025, 0.025003, 0.025008]
    assert panel.sources == ("binance",)
    assert panel.currency == ("BTC",)
