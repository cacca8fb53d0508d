"""What generators rarely make, sent to every operation: never an error of ours, always a problem that says why."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from asgi import Client, Reply
from fuzzing import OPERATIONS, PLENTY, SAMPLES, Callers, path_of
from nasty import BODIES, HEADERS, QUERIES, SEGMENTS, TYPES, VALUES
from samples import Sample
from tradewright.api.app import build
from tradewright.api.operations import Operation
from tradewright.api.problems import CATALOGUE, Problem


class Sender:
    """Sends what is nasty, by somebody who may, and looks at each answer."""

    def __init__(self, client: Client, callers: Callers, operation: Operation, sample: Sample) -> None:
        self._client, self._callers = client, callers
        self.operation, self.sample = operation, sample
        self.sent = 0
        self.faults: list[str] = []

    async def send(self, target: str | None = None, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """Send one request; the body of the sample unless told otherwise."""
        target = self.sample.target if target is None else target
        data = self.sample.body if body is None else body
        given = self._callers.of(self.operation, path_of(self.operation, self.sample))
        answer = await self._client.send(self.operation.method, target, data, {**given, **(headers or {})}, key=None)
        self.sent += 1
        said = f"{self.operation.id} {target[:200]!r} {str(body)[:200]!r} {str(headers)[:200]!r}: {answer.body[:300]!r}"
        if not sound(answer):
            self.faults.append(said)
        return answer


def sound(answer: Reply) -> bool:
    if answer.status >= 500 or any("\r" in text or "\n" in text for text in answer.headers.values()):
        return False
    if answer.status < 400:
        return True
    if answer.headers["content-type"] != "application/problem+json":
        return False
    problem = msgspec.json.decode(answer.body, type=Problem)
    return problem.status == answer.status and problem.code in CATALOGUE


def targets(operation: Operation, sample: Sample) -> Iterator[str]:
    path = sample.target.partition("?")[0]
    for query in QUERIES:
        yield f"{path}?{query}"
    for value in path_of(operation, sample).values():
        for segment in SEGMENTS:
            yield path.replace(value, unquote(segment).replace("?", "%3F"), 1)


def bodies(sample: Sample) -> Iterator[bytes]:
    yield from BODIES
    if isinstance(sample.body, dict):
        for name, value in itertools.product([*sample.body, "unknown"], VALUES):
            yield json.dumps({**sample.body, name: value}).encode()
        yield json.dumps({**sample.body, "x" * 70_000: 1}).encode()
        yield b" " * 1_048_577


@pytest.mark.parametrize("part", range(4))
def test_no_nasty_input_is_an_error_of_ours(served: Any, caplog: pytest.LogCaptureFixture, part: int) -> None:
    app = build(replace(served.services, rules=PLENTY))
    callers = Callers(served)

    async def work(client: Client) -> int:
        sent = 0
        faults: list[str] = []
        for operation in sorted(OPERATIONS.values(), key=lambda operation: operation.id)[part::4]:
            sender = Sender(Client(app), callers, operation, SAMPLES[operation.id](served.made))
            for target in targets(operation, sender.sample):
                await sender.send(target)
            for headers in HEADERS:
                await sender.send(headers=headers)
            if operation.body is not None:
                for body in bodies(sender.sample):
                    await sender.send(body=body)
                for kind in TYPES:
                    await sender.send(headers={"content-type": kind})
            else:
                assert (await sender.send(body=b"{}")).status in (401, 404, 422)
            sent += sender.sent
            faults += sender.faults
        assert not faults, "\n".join(faults)
        return sent

    assert served.run(work) > 2_000
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
