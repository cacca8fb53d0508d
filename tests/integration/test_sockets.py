"""A connection that stands and is dead is noticed without a message of the source."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from tradewright.errors import SourceFailed
from tradewright.transport import sockets


@pytest.mark.parametrize("answers", [True, False])
def test_a_socket_that_answers_no_ping_is_given_up_and_a_quiet_one_is_kept(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PING_S", 0.2)

    async def quiet(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=answers)
        await socket.prepare(request)
        async for _ in socket:
            continue
        return socket

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/ws", quiet)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        try:
            async with sockets.connected(f"http://{host}:{port}/ws") as socket:
                await asyncio.wait_for(socket.receive(), 2.0)
        finally:
            await runner.cleanup()

    with pytest.raises(TimeoutError if answers else SourceFailed):
        asyncio.run(run())
