"""Recorded answers of real services, as the transport would hand them on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tradewright.clock import parse_us
from tradewright.market.instruments import Interval
from tradewright.sources.source import BarsQuery, Source, SpanQuery
from tradewright.transport.messages import Response

LATE = parse_us("2026-06-01")
FIRST = parse_us("1971-01-01")


def recorded(shared: Path, source: str, name: str, received_at_us: int = LATE) -> Response:
    """The answer of one recorded exchange, such as ("binance", "error_unknown_symbol__-1121")."""
    answer = json.loads((shared / "recordings" / source / f"{name}.json").read_text(encoding="utf-8"))["response"]
    body = answer["body"] if isinstance(answer["body"], str) else json.dumps(answer["body"])
    headers = tuple((key.lower(), str(value)) for key, value in (answer.get("headers") or {}).items())
    return Response(answer["status"], body.encode(), headers, received_at_us)


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
