"""Values that generators rarely make, and that readers of them get wrong; and how they are sent to every operation."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from asgi import Client, Reply
from fuzzing import OPERATIONS, PLENTY, SAMPLES, Callers, path_of
from samples import Sample
from tradewright.api.app import build
from tradewright.api.operations import Operation
from tradewright.api.problems import CATALOGUE, Problem
from tradewright.strategies import registry

T = TypeVar("T")
TEXTS = (
    "", " ", "\0", "a\0b", "\n", "a\r\nX-Evil: 1", "\ufeff", "\u202e", "\ud800", "\U0010ffff", "ﬀ", "é" * 200,
    "x" * 70_000, "null", "true", "-0", "1e400", "NaN", "0x10", "٣", "1_000", "' OR 1=1 --", "../../etc/passwd",
    "%00", "%ff", "{{7*7}}", "0000-00-00", "9999-12-31T23:59:60Z", "10000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2024-02-30T00:00:00Z", "2024-01-01T00:00:00",
    "99999999999999999999.1", "-1", "1e5", "0.0000000000000000001", "9" * 20, "9" * 5_000, "A" * 64,
    "crypto:AAA-USD,,", "equity:", "\\", '"', "$ref",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    *TEXTS, None, True, False, 0, -1, -0.0, 1.5, 1e308, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1,
    10**30, 10**400, -(10**400), [10**400], [], {}, [[]], [None], [{}], {"": ""}, {"$ref": "#"}, ["x"] * 600,
    {"a": {"b": {"c": [1, {"d": None}]}}}, [True], ["\0"],
)  # fmt: skip
BODIES = (
    b"", b" ", b"\0", b"null", b"true", b"0", b"[]", b'""', b"{", b"{}", b'{"a":}', b"{}{}", b"{} x",
    b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b'{"name": "\xff"}', b'{"name": "\xc0\xaf"}', b'{"name": "\xed\xa0\x80"}',
    b'{"name": "\\ud800"}', b'{"name": "\\udc00\\ud800"}', b'{"name": NaN}', b'{"name": Infinity}',
    b'{"name": 1e400}', b'{"name": -1e400}', b'{"name": ' + b"9" * 5_000 + b"}", b'{"name": -' + b"9" * 5_000 + b"}",
    b'{"name": 0.' + b"1" * 5_000 + b"}", b'{"name": 1E-5000}', b'{"name": 01}', b'{"name": "a", "name": "b"}',
    b'{"": 1}', b'{"name/~": 1}', b'{"\\u0000": 1}', b'{"name": [1e999, {"x": 1' + b"0" * 4_400 + b"}]}",
    b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", b'{"x": ' + b'{"y": ' * 10_000 + b"1" + b"}" * 10_001,
    b"[" * 100_000, b"{" + b",".join(b'"k%d": 1' % n for n in range(5_000)) + b"}", b"'{}'", b'{"name": "\n"}',
    b"// x\n{}", b"\x1f\x8b\x08\x00",
)  # fmt: skip
TYPES = (
    "", "text/plain", "application/json; charset=utf-16", "application/json;", "APPLICATION/JSON",
    "application/jsonx", "multipart/form-data", "application/json, text/plain", "\xff", "a" * 5_000,
)  # fmt: skip
SEGMENTS = (
    "%00", "%ff", "%c0%af", "%2e%2e", "%2F", "..", ".", "~", "%0d%0aX-Evil:1", "a" * 64, "a" * 65, "a" * 8_000,
    "%ed%a0%80", "'", "*", "%F0%9F%92%A9", "null", "-1", "0", "%20", "a%20b", ";", "a;b=c", "&", "x?y", "{id}",
    "ord_" + "0" * 26,
)  # fmt: skip
QUERIES = (
    "&", "=", "a", "&&&", "%", "%zz", "%00=%00", "limit", "limit=", "limit=0", "limit=501", "limit=abc", "limit=-0",
    "limit=1.0", "limit=1e2", "limit=+5", "limit=%205", "limit=99999999999999999999", "limit=" + "9" * 5_000,
    "limit=null", "limit=true", "limit=5&limit=5", "limit=5;order=asc", "order=ASC", "order=", "order=asc%00",
    "cursor=", "cursor=abc", "cursor=%00", "cursor=====", "cursor=" + "A" * 512, "cursor=" + "A" * 513,
    "cursor=bnVsbA==", "cursor=W10=", "cursor=WyJhIixbXV0=", "cursor=%F0%9F%92%A9", "start=0000-00-00",
    "start=9999-12-31T23:59:60Z", "start=10000-01-01T00:00:00Z", "start=0001-01-01T00:00:00%2B23:59",
    "start=9999-12-31T23:59:59-23:59", "end=0001-01-01T00:00:00Z", "end=9999-12-31T23:59:59.999999999Z", "start=0",
    "start=1e400", "as_of=0001-01-01T00:00:00Z", "as_of=9999-12-31T23:59:59Z", "start=null&end=null", "instruments=,",
    "instruments=%00", "instruments=", "instruments=crypto:AAA-USD&start=0001-01-01T00:00:00Z",
    "instruments=crypto:AAA-USD&end=9999-12-31T23:59:59Z", "instruments=crypto:AAA-USD&as_of=0001-01-01T00:00:00Z",
    "instruments=crypto:AAA-USD&adjustment=all", "portfolio=%00", "x" * 8_000,
    "instruments=" + "crypto:AAA-USD," * 400 + "crypto:AAA-USD",
    "instruments=crypto:AAA-USD&limit=10000&source=%F0%9F%92%A9", "\xff=\xff", "subject=%ed%a0%80", "actor=%ff",
    "status=%0d%0a", "type=" + "x" * 64, "%6cimit=5&limit=6", "a[]=1", "a[b]=1",
)  # fmt: skip
HEADERS = (
    {"if-match": "*"}, {"if-match": ""}, {"if-match": "W/"}, {"if-match": '"' * 5_000}, {"if-none-match": "*"},
    {"if-none-match": ","}, {"idempotency-key": ""}, {"idempotency-key": "a b"}, {"idempotency-key": "\xff"},
    {"idempotency-key": '"'}, {"idempotency-key": "x" * 256}, {"idempotency-key": "a\r\nb: c"},
    {"x-request-id": "a\r\nb: c"}, {"x-request-id": "x" * 5_000}, {"accept": ""}, {"accept": "*"}, {"accept": ";q=1"},
    {"accept": "*/*;q=nan"}, {"accept": "text/csv;q=1e400"}, {"accept": "application/json;q=inf"},
    {"accept": "\xff/*"}, {"accept": "," * 5_000}, {"origin": "null"}, {"origin": "\xff"}, {"origin": "http://[::1"},
    {"cookie": "=;=;\xff"}, {"user-agent": "\xff" * 2_000}, {"user-agent": "\0"}, {"authorization": "Bearer"},
    {"authorization": "Bearer \xff"}, {"authorization": "Basic Og=="}, {"authorization": ""},
    {"authorization": "Bearer tw_paper_" + "x" * 5_000}, {"x-forwarded-for": "\xff, ::1%eth0, 1.2.3.4.5"},
    {"content-length": "-1"}, {"content-length": "x"}, {"content-length": "9" * 5_000}, {"content-length": "\xb2"},
    {"tradewright-environment": "\xff"}, {"tradewright-organization": "\0"}, {"tradewright-csrf": "\xff"},
    {"tradewright-signature": "x"}, {"traceparent": "\xff"},
    {"tradewright-timestamp": "1e400", "tradewright-nonce": "\xff", "tradewright-signature": "\xff"},
    {"tradewright-timestamp": "9" * 5_000, "tradewright-nonce": "n" * 32, "tradewright-signature": "=" * 88},
    {"accept-encoding": "\xff"}, {"expect": "100-continue"}, {"transfer-encoding": "chunked"}, {"host": "\xff"},
    {"range": "bytes=0-"},
)  # fmt: skip


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
    """Whether an answer is one of ours: no failure, and a problem that says why."""
    if answer.status >= 500 or any("\r" in text or "\n" in text for text in answer.headers.values()):
        return False
    if answer.status < 400:
        return True
    if answer.headers["content-type"] != "application/problem+json":
        return False
    problem = msgspec.json.decode(answer.body, type=Problem)
    return problem.status == answer.status and problem.code in CATALOGUE


def targets(operation: Operation, sample: Sample) -> Iterator[str]:
    """Yield targets that are wrong at one place."""
    path = sample.target.partition("?")[0]
    for query in QUERIES:
        yield f"{path}?{query}"
    for value in path_of(operation, sample).values():
        for segment in SEGMENTS:
            yield path.replace(value, unquote(segment).replace("?", "%3F"), 1)


def bodies(sample: Sample) -> Iterator[bytes]:
    """Yield bodies that are none, and the sample's with one value changed."""
    yield from BODIES
    if isinstance(sample.body, dict):
        for name, value in itertools.product([*sample.body, "unknown"], VALUES):
            yield json.dumps({**sample.body, name: value}).encode()
        if "strategy" in sample.body:
            yield from (json.dumps({**sample.body, **named}).encode() for named in _strategies())
        yield json.dumps({**sample.body, "x" * 70_000: 1}).encode()
        yield b" " * 1_048_577


def _strategies() -> Iterator[dict[str, Any]]:
    # every parameter of every strategy: the schema of the body leaves them free
    for strategy in registry.STRATEGIES:
        for name, declared in registry.schema(strategy)["properties"].items():
            for value in VALUES:
                within = (value, [value], [[value]]) if declared["type"] == "array" else (value,)
                yield from ({"strategy": strategy, "params": {name: each}} for each in within)


async def send_all(served: Any, rest: int, of: int) -> tuple[int, list[str]]:
    """Send each operation one part in `of` of everything, another one than the operation before; return how many
    requests that were, and what was no sound answer to them."""
    callers = Callers(served)
    client = Client(build(replace(served.services, rules=PLENTY)))
    sent, faults = 0, []
    for number, operation in enumerate(sorted(OPERATIONS.values(), key=lambda operation: operation.id)):

        def part(things: Sequence[T], offset: int = number + rest) -> Sequence[T]:
            return things[offset % of :: of]

        sender = Sender(client, callers, operation, SAMPLES[operation.id](served.made))
        for target in part(list(targets(operation, sender.sample))):
            await sender.send(target)
        for headers in part(HEADERS):
            await sender.send(headers=headers)
        if operation.body is not None:
            for body in part(list(bodies(sender.sample))):
                await sender.send(body=body)
            for kind in part(TYPES):
                await sender.send(headers={"content-type": kind})
        else:
            await sender.send(body=b"{}")
        sent += sender.sent
        faults += sender.faults
    return sent, faults
