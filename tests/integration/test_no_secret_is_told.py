"""A server that repeats the key it was sent: no error, note, event or recording holds it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web

from tradewright.clock import WallClock, parse_us
from tradewright.errors import TradewrightError
from tradewright.market.instruments import Interval
from tradewright.sources.fetch import Line, fetch_bars
from tradewright.sources.registry import source as find
from tradewright.transport.http import HttpTransport
from tradewright.transport.lane import Lane
from tradewright.transport.messages import Policy, Response
from tradewright.transport.recording import Recorder

SECRET = "S3KRET/planted+one=="
QUICK = Policy(deadline_s=5.0, attempts=2, backoff_s=0.001)
NAMES = ("alpha_vantage", "alpaca", "polygon", "tiingo", "twelve_data", "finnhub", "stooq")


def answer(mode: str, request: web.Request) -> web.StreamResponse:
    sent = f"{request.path_qs} {dict(request.headers)} {dict(request.query)}"
    match mode:
        case "redirect":
            return web.Response(status=302, headers={"Location": f"https://example.com{request.path_qs}"})
        case "error 500":
            return web.Response(status=500, text=f"oops {sent}")
        case "error 429":
            return web.Response(status=429, text=f"we have detected your key as {sent}")
        case "refusal":
            return web.json_response({"Information": sent, "message": sent, "error": sent, "detail": sent}, status=403)
        case "limit with 200":
            return web.json_response({"Information": f"We have detected your API key as {sent}", "status": "error"})
        case _:
            return web.Response(text=f"<html>{sent}</html>", content_type="text/html")


@pytest.mark.parametrize("name", NAMES)
def test_a_key_that_a_server_repeats_is_told_to_nobody(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    source = find(name)
    told: list[str] = []

    async def ask(mode: str) -> None:
        app = web.Application()

        async def handle(request: web.Request) -> web.StreamResponse:
            return answer(mode, request)

        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with HttpTransport(WallClock()) as transport:
            line = Line(
                source, Lane(transport, source.title, source.limits), dict.fromkeys(source.auth.fields, SECRET),
                f"http://{host}:{port}", QUICK, wait=lambda s: asyncio.sleep(0), recorder=Recorder(tmp_path, name),
            )  # fmt: skip
            try:
                instrument = source.instrument_of(source.example)
                await fetch_bars(line, instrument, Interval.DAY, parse_us("2024-01-02"), parse_us("2024-01-09"))
            except TradewrightError as error:
                told.append(f"{error.message} {error.facts} {error!r} {error.__cause__!r}")
        await runner.cleanup()

    for mode in ("redirect", "error 500", "error 429", "refusal", "limit with 200", "page"):
        asyncio.run(ask(mode))
    assert len(told) == 6
    files = [file.read_text() for file in tmp_path.rglob("*.json")]
    for text in (*told, *files, caplog.text):
        for spelled in (SECRET, quote(SECRET), quote(SECRET, safe="")):
            assert spelled not in text, text[:400]


def test_a_text_is_cut_beside_the_word_that_stands_for_a_secret_and_never_in_it() -> None:
    for length in range(1, 130):
        text = f"{'x' * length} REDACTED {'y' * 200}"
        told = Response(403, text.encode()).start_of_body
        assert "R" not in told.replace("REDACTED", ""), told
        assert text.startswith(told)
        assert 112 <= len(told) <= 120
