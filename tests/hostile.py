"""A server that speaks for a third party and behaves as badly as one can: one fault after the other, by a plan.

It holds the true minutes of one pair and answers `GET /api/v3/klines` like Binance. Each fault is injected into so many
of its answers; between faults it answers rightly, so that whoever goes on gets everything in the end.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

MINUTE_MS = 60_000
FAULTS = (
    "429", "429 with Retry-After", "418-like body with 200", "500", "503 page", "reset", "slow", "cut off",
    "half a page", "page with holes", "rows repeated", "rows reordered", "page repeated", "empty body", "html with 200",
    "a clock that is ahead", "no rows", "a field more", "a field less", "numbers as numbers", "redirect", "huge",
)  # fmt: skip
REFUSED = ("a field less", "redirect", "huge")
"""Faults that no repetition mends as long as they last: whoever asks must be told, and go on another time."""


@dataclass
class Hostile:
    """rows: the truth, ascending. faults: what is injected, in this order, each before one right answer."""

    rows: Sequence[list[object]]
    faults: list[str]
    draw: random.Random = field(default_factory=lambda: random.Random(5))
    injected: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    _right: bool = True

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One answer: a fault when one is due, else the truth."""
        self.asked += 1
        start, end = int(request.query["startTime"]), int(request.query["endTime"])
        limit = int(request.query["limit"])
        page = [row for row in self.rows if start <= int(str(row[0])) <= end][:limit]
        self._right = not self._right
        if not self._right and self.faults:
            fault = self.faults.pop(0)
            self.injected[fault] += 1
            return await self._faulty(request, fault, page)
        return web.json_response(page)

    async def _faulty(self, request: web.Request, fault: str, page: list[list[object]]) -> web.StreamResponse:
        text = json.dumps(page)
        match fault:
            case "429":
                return web.json_response({"code": -1003, "msg": "Too many requests."}, status=429)
            case "429 with Retry-After":
                return web.json_response({"code": -1003, "msg": "Slow."}, status=429, headers={"Retry-After": "1"})
            case "418-like body with 200":
                return web.json_response({"code": -1003, "msg": "Way too many requests."})
            case "500":
                return web.Response(status=500, text="oops")
            case "503 page":
                return web.Response(status=503, text="<html>maintenance</html>", content_type="text/html")
            case "html with 200":
                return web.Response(text="<!DOCTYPE html><html>Log in</html>", content_type="text/html")
            case "empty body":
                return web.Response(text="", content_type="application/json")
            case "no rows":
                return web.json_response([])
            case "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "slow":
                await asyncio.sleep(1.0)
                return web.json_response(page)
            case "cut off":
                return web.Response(text=text[: len(text) // 2], content_type="application/json")
            case "half a page":
                return web.json_response(page[: len(page) // 2])
            case "page with holes":
                holes = set(self.draw.sample(range(1, max(len(page) - 1, 2)), min(20, max(len(page) - 2, 1))))
                return web.json_response([row for at, row in enumerate(page) if at not in holes])
            case "rows repeated":
                return web.json_response([row for row in page for _ in range(2)])
            case "rows reordered":
                return web.json_response(self.draw.sample(page, len(page)))
            case "page repeated":
                first = int(str(page[0][0])) if page else 0
                before = [row for row in self.rows if int(str(row[0])) < first][-len(page) :]
                return web.json_response(before + page)
            case "a clock that is ahead":
                ahead = [[int(str(page[-1][0])) + MINUTE_MS * 10**6, *page[-1][1:]]] if page else []
                return web.json_response(page + ahead)
            case "a field more":
                return web.json_response([[*row, "new"] for row in page])
            case "a field less":
                return web.json_response([row[:5] for row in page])
            case "numbers as numbers":
                return web.json_response([[row[0], *(float(str(v)) for v in row[1:6]), *row[6:]] for row in page])
            case "redirect":
                return web.Response(status=302, headers={"Location": "http://169.254.169.254/"})
            case "huge":
                return web.Response(text=" " * 2_000_000 + text, content_type="application/json")
        raise AssertionError(fault)


@asynccontextmanager
async def listening(hostile: Hostile) -> AsyncIterator[str]:
    """The server, on a free port of this machine; yields its address."""
    app = web.Application()
    app.router.add_get("/api/v3/klines", hostile.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
