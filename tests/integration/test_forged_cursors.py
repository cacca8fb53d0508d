"""Cursors that fit the list and its filters, with another key inside: refused or a page, never an error of ours."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from asgi import Client
from fuzzing import OPERATIONS, PLENTY, SAMPLES, Callers
from nasty import Sender
from tradewright.api.app import build
from tradewright.api.pagination import PageQuery, _mark
from tradewright.api.parsing import parse_query
from tradewright.api.routes.backtests import SeriesQuery

LISTS = [
    operation
    for operation in OPERATIONS.values()
    if operation.query is not None and issubclass(operation.query, PageQuery)
]
PARTS: tuple[Any, ...] = (
    "", "a\0b", "\ud800", "\U0010ffff", "x" * 300, -1, 0, 1, 2**63 - 1, 2**63, 10**80, None, True, 1.5,
)  # fmt: skip
KEYS = [
    *PARTS,
    *([first, second] for first, second in itertools.product((0, -(2**63) - 1), PARTS)),
    *(["a", "a", "a", part] for part in PARTS),
    *([*["a"] * 4, first, second] for first, second in itertools.product((None, 1), PARTS)),
    ["a"] * 3, [],
]  # fmt: skip


def forged(mark: str, key: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([mark, key]).encode()).decode()


def test_a_forged_cursor_is_no_error_of_ours(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    callers, plenty = Callers(served), Client(build(replace(served.services, rules=PLENTY)))

    async def work(client: Client) -> None:
        for operation in LISTS:
            sample = SAMPLES[operation.id](served.made)
            query = sample.target.partition("?")[2]
            path = sample.target.partition("?")[0]
            within = path.removeprefix("/v1/backtests/") if operation.query is SeriesQuery else ""
            mark = _mark(parse_query(query.encode(), operation.query), within)
            sender = Sender(plenty, callers, operation, sample)
            joint = "&" if query else "?"
            targets = [f"{sample.target}{joint}cursor={forged(mark, key)}" for key in KEYS]
            statuses = [(await sender.send(target)).status for target in targets]
            assert not sender.faults, "\n".join(sender.faults)
            assert set(statuses) == {200, 422}, operation.id  # some keys have the shape of this list's

    served.run(work)
    assert len(LISTS) > 20
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
