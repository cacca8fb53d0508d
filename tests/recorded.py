"""Recorded answers of real services, as the transport would hand them on."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tradewright.clock import parse_us
from tradewright.errors import SourceFailed
from tradewright.market.instruments import Interval
from tradewright.sources.source import BarsQuery, Source, SpanQuery
from tradewright.transport.messages import Policy, Request, Response

LATE = parse_us("2026-06-01")
FIRST = parse_us("1971-01-01")


def recorded(shared: Path, source: str, name: str, received_at_us: int = LATE) -> Response:
    """The answer of one recorded exchange, such as ("binance", "error_unknown_symbol__-1121")."""
    answer = json.loads((shared / "recordings" / source / f"{name}.json").read_text(encoding="utf-8"))["response"]
    body = answer["body"] if isinstance(answer["body"], str) else json.dumps(answer["body"])
    headers = tuple((key.lower(), str(value)) for key, value in (answer.get("headers") or {}).items())
    return Response(answer["status"], body.encode(), headers, received_at_us)


class Player:
    """A transport that answers from what a `Recorder` wrote into a folder, and sends nothing."""

    def __init__(self, folder: Path, source: str) -> None:
        files = (folder / source).glob("*.json")
        self._kept = {
            self._key(kept["request"]): kept["response"] for kept in (json.loads(f.read_text()) for f in files)
        }

    async def fetch(self, request: Request, policy: Policy | None = None) -> Response:
        asked = {"method": request.method, "url": request.url, "query": [list(pair) for pair in request.query]}
        kept = self._kept.get(self._key(asked))
        if kept is None:
            raise SourceFailed(f"{request.url} with {dict(request.query)} was not recorded")
        body = base64.b64decode(kept["body"]) if kept.get("encoding") == "base64" else kept["body"].encode()
        return Response(kept["status"], body, tuple(kept["headers"].items()), kept["received_at_us"], request.url)

    @staticmethod
    def _key(request: dict[str, Any]) -> str:
        return json.dumps(request, sort_keys=True)


def messages(shared: Path, source: str, name: str) -> list[str]:
    """The messages that came in over a recorded socket, as text."""
    lines = (shared / "recordings" / source / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[1:]
    frames = [json.loads(line) for line in lines]
    came = [frame["data"] for frame in frames if frame["dir"] == "in"]
    return [each if isinstance(each, str) else json.dumps(each) for each in came]


def bars_query(
    source: Source,
    name: str,
    interval: Interval = Interval.DAY,
    start_us: int = FIRST,
    end_us: int = LATE,
    token: str = "",
) -> BarsQuery:
    """The query for all bars of an instrument, written as a user would."""
    assert source.bars is not None
    instrument = source.instrument_of(name)
    return BarsQuery(instrument, source.symbol_of(instrument), interval, start_us, end_us, source.bars.page_rows, token)


def span_query(source: Source, name: str, *facts: str, start_us: int = FIRST, end_us: int = LATE) -> SpanQuery:
    """The query for all facts or actions of an instrument."""
    instrument = source.instrument_of(name)
    return SpanQuery(instrument, source.symbol_of(instrument), start_us, end_us, facts)


def json_answer(body: Any, status: int = 200, received_at_us: int = LATE) -> Response:
    """An answer that was written by hand."""
    return Response(status, json.dumps(body).encode(), (), received_at_us)
