"""What surrounds every request: headers, origins, bounds, floods. Whatever the path, routed or not."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asgi import Client, Reply
from servers import free_port
from tradewright.accounts import signatures
from tradewright.accounts.authentication import Authenticator
from tradewright.accounts.limits import MemoryLimiter, Policy
from tradewright.accounts.throttling import of_address
from tradewright.api import app, doors, layers
from tradewright.api.app import build
from tradewright.api.rules import Rules
from tradewright.storage.database import Database

OWASP = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "deny",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "x-permitted-cross-domain-policies": "none",
    "x-dns-prefetch-control": "off",
}
SILENT = {"server", "x-powered-by", "via", "x-aspnet-version", "x-runtime", "x-version"}


def changed(served: Any, **rules: Any) -> Client:
    """A client of the same installation under other rules."""
    services = replace(served.services, rules=Rules(**rules), limiter=MemoryLimiter())
    return Client(build(services), served.keys["whole"])


def test_every_answer_carries_the_security_headers(served: Any) -> None:
    async def work(client: Client) -> None:
        answers = [
            await client.get("/v1/instruments"),
            await client.get("/livez", key=None),
            await client.get("/docs", key=None),
            await client.get("/nowhere", key=None),
            await client.get("/v1/instruments", key=None),
            await client.get("/v1/signals?limit=0"),
            await client.send("OPTIONS", "/v1/signals"),
            await client.send("TRACE", "/v1/signals"),
        ]
        for answer in answers:
            assert OWASP.items() <= answer.headers.items(), answer.status
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert "camera=()" in answer.headers["permissions-policy"]
            assert not SILENT & set(answer.headers)
            if answer.status != 204:
                assert answer.headers["content-type"].startswith(("application/", "text/html; charset=utf-8"))
            assert "location" not in answer.headers

    served.run(work)


def test_an_error_of_ours_says_nothing_about_the_inside(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(served.services, progress=None)
    client = Client(build(broken), served.keys["whole"])
    answer = asyncio.run(client.get("/v1/status"))
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert OWASP.items() <= answer.headers.items()
    for word in ("NoneType", "Traceback", "attribute", ".py"):
        assert word not in answer.body.decode()
    assert answer.json["request_id"] in caplog.text


def test_a_process_whose_database_is_away_is_not_ready(served: Any) -> None:
    async def ask(database: Database) -> list[int]:
        client = Client(build(replace(served.services, database=database)), None)
        return [(await client.get(target)).status for target in ("/readyz", "/livez")]

    async def told(database: Database) -> str:
        services = replace(served.services, database=database, authenticator=Authenticator(database, served.clock))
        answer = await Client(build(services), served.keys["whole"]).get("/v1/portfolios")
        assert (answer.status, answer.json["code"]) == (503, "storage_failed")
        return str(answer.json["detail"])

    assert asyncio.run(ask(served.database)) == [200, 200]
    with Database(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing") as away:
        assert asyncio.run(ask(away)) == [503, 200]
        detail = asyncio.run(told(away))
    assert detail.startswith("no connection to the PostgreSQL database. Try again later")
    assert not any(word in detail for word in ("database_url", "password", "127.0.0.1"))


def test_a_process_whose_database_takes_no_changes_is_not_ready(served: Any) -> None:
    database: Database = served.database
    if database.dialect != "postgresql":
        return  # the embedded database has no such switch

    async def ask(database: Database) -> tuple[int, str]:
        answer = await Client(build(replace(served.services, database=database)), None).get("/readyz")
        return answer.status, answer.body.decode()

    name = database.url.rpartition("/")[2]
    database.write(lambda tx: tx.exec_driver_sql(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    with Database(database.url) as since:  # new connections are read-only
        status, body = asyncio.run(ask(since))
    assert (status, "the database is read-only" in body) == (503, True)
    assert asyncio.run(ask(database))[0] == 200


def test_what_a_caller_writes_cannot_forge_a_line_of_the_log(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(served.services, progress=None)
    client = Client(build(broken), served.keys["whole"])
    with caplog.at_level(logging.WARNING):
        asyncio.run(client.get("/readyz\nERROR everything is lost"))
        asyncio.run(client.get("/v1/status", headers={"X-Request-Id": "abc\nERROR everything is lost"}))
    assert "\nERROR everything" not in caplog.text


def test_only_allowed_origins_may_read_answers(served: Any) -> None:
    client = changed(served, origins=frozenset({"https://app.example.com"}))

    async def ask() -> None:
        asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
        preflight = await client.send("OPTIONS", "/v1/signals", headers=asked, key=None)
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == "https://app.example.com"
        assert "authorization" in preflight.headers["access-control-allow-headers"]
        assert preflight.headers["access-control-max-age"] == "600"
        read = await client.get("/v1/signals", headers={"Origin": "https://app.example.com"})
        assert (read.status, read.headers["vary"]) == (200, "origin")
        assert read.headers["access-control-allow-origin"] == "https://app.example.com"
        for origin in ("https://evil.example", "null", "https://app.example.com.evil.example"):
            refused = await client.send("OPTIONS", "/v1/signals", headers={**asked, "Origin": origin}, key=None)
            read = await client.get("/v1/signals", headers={"Origin": origin})
            for answer in (refused, read):
                assert (answer.status, answer.json["code"]) == (403, "origin_refused"), origin
                assert "access-control-allow-origin" not in answer.headers
        assert (await client.get("/v1/signals")).headers["vary"] == "origin"

    asyncio.run(ask())


def test_pages_of_an_allowed_origin_may_send_every_header_that_the_api_reads(served: Any) -> None:
    client = changed(served, origins=frozenset({"https://app.example.com"}))
    document = json.loads(served.services.documents.openapi)
    parts = [each for kind in ("parameters", "securitySchemes") for each in document["components"][kind].values()]
    named = {each["name"].lower() for each in parts if each.get("in") == "header"}
    pages = [page.read_text() for page in (Path(__file__).parents[2] / "docs").glob("**/*.md")]
    named |= {name.lower() for page in pages for name in re.findall("Tradewright-[A-Z][A-Za-z]+", page)}
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    preflight = asyncio.run(client.send("OPTIONS", "/v1/signals", headers=asked, key=None))
    allowed = set(preflight.headers["access-control-allow-headers"].split(", "))
    assert allowed >= {*named, *signatures.HEADERS, "authorization", "content-type", "accept"}
    assert len(named) > 7


def test_bodies_that_come_from_another_site_are_refused_before_the_password_is_looked_at(served: Any) -> None:
    async def work(client: Client) -> None:
        for headers, named in (
            ({"Origin": "https://evil.example"}, "https://evil.example"),
            ({"Sec-Fetch-Site": "cross-site"}, "without an Origin"),
        ):
            answer = await client.post("/v1/auth/login", {"email": "a@b.example", "password": "x"}, headers=headers)
            assert (answer.status, answer.json["code"]) == (403, "origin_refused")
            assert named in answer.json["detail"]

    served.run(work)


async def handshake(app: Any, path: str, origin: str | None) -> list[Any]:
    sent: list[Any] = []
    headers = [] if origin is None else [(b"origin", origin.encode())]
    scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1)}

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def test_a_websocket_of_another_site_is_refused_and_told_to_the_operator(
    served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(handshake(served.app, "/v1/stream", "https://evil.example"))[0]["type"] == "websocket.close"
    assert "evil.example" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(handshake(served.app, "/v1/stream", None))[0]["type"] == "websocket.close"  # none yet
    assert "origin" not in caplog.text


def peer(address: str, proxies: tuple[str, ...], forwarded: str | None) -> str:
    networks = tuple(ipaddress.ip_network(text) for text in proxies)
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    return doors.address_of({"client": (address, 1)}, headers, networks)


@pytest.mark.parametrize(
    ("address", "proxies", "forwarded", "told"),
    [
        ("203.0.113.5", (), "198.51.100.1", "203.0.113.5"),
        ("203.0.113.5", ("10.0.0.0/8",), "198.51.100.1", "203.0.113.5"),
        ("10.0.0.1", ("10.0.0.0/8",), "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", ("10.0.0.0/8",), "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", ("10.0.0.0/8",), "198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("10.0.0.1", ("10.0.0.0/8",), "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", ("10.0.0.0/8",), None, "10.0.0.1"),
        ("::ffff:10.0.0.1", ("10.0.0.0/8",), "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", ("10.0.0.0/8",), "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_only_our_own_gateways_say_where_a_request_comes_from(
    address: str, proxies: tuple[str, ...], forwarded: str | None, told: str
) -> None:
    assert peer(address, proxies, forwarded) == told


def test_an_ipv4_address_in_the_spelling_of_ipv6_counts_as_itself() -> None:
    policy = Policy("address", 3, 60)
    told = [of_address(policy, text).owner for text in ("::ffff:203.0.113.5", "203.0.113.5", "::ffff:203.0.113.6")]
    assert told == ["203.0.113.5", "203.0.113.5", "203.0.113.6"]


def test_limits_refuse_with_the_time_to_wait_and_say_what_is_left(served: Any) -> None:
    client = changed(served, key=Policy("key", 3, 60))

    async def ask() -> list[Reply]:
        return [await client.get("/v1/instruments") for _ in range(4)]

    answers = asyncio.run(ask())
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"].split(", ")[1] == '"key";q=3;w=60'
    left = [answer.headers["ratelimit"].split(", ")[1] for answer in answers]
    assert left == ['"key";r=2;t=20', '"key";r=1;t=40', '"key";r=0;t=60', '"key";r=0;t=60']
    assert answers[3].json["code"] == "rate_limited"
    assert answers[3].headers["retry-after"] == "20"
    assert "in 20 s" in answers[3].json["detail"]
    served.clock.advance(20)
    assert asyncio.run(client.get("/v1/instruments")).status == 200


def test_what_costs_more_than_the_whole_limit_is_not_told_to_wait(
    served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        client = changed(served, key=Policy("key", 20, 60))
    assert "key_limit" in caplog.text
    assert "create_backtest" in caplog.text
    assert "organization_limit" not in caplog.text

    async def ask() -> list[Reply]:
        return [await client.post("/v1/backtests", {}), await client.get("/v1/instruments")]

    refused, other = asyncio.run(ask())
    assert (refused.status, refused.json["code"]) == (403, "limit_too_small")
    assert "retry-after" not in refused.headers
    for word in ("50 units", "20 in 60 seconds", "waiting does not help", "key_limit", "at least 50"):
        assert word in refused.json["detail"], word
    assert other.status == 200
    assert '"key";r=19' in other.headers["ratelimit"]  # the refused one took nothing


def test_a_limit_that_admits_every_operation_is_not_warned_of(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        changed(served, key=Policy("key", 50, 60), address=Policy("address", 2, 60))  # an address counts requests
    assert caplog.text == ""


def test_an_address_is_limited_whatever_it_asks_and_others_are_not(served: Any) -> None:
    client = changed(served, address=Policy("address", 5, 60))

    async def ask(address: str, **headers: str) -> list[int]:
        there = replace(client, address=address)
        return [(await there.get(target, key=None, headers=headers)).status for target in ("/docs", "/x", "/v1/x") * 2]

    assert asyncio.run(ask("203.0.113.1")) == [200, 404, 401, 200, 404, 429]
    spoofed = asyncio.run(ask("203.0.113.1", **{"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "198.51.100.7"}))
    assert set(spoofed) == {429}
    assert asyncio.run(ask("203.0.113.2"))[0] == 200


def test_health_is_told_whatever_an_address_has_asked(served: Any) -> None:
    client = replace(changed(served, address=Policy("address", 2, 60)), key=None)

    async def ask(method: str, target: str, body: bytes | None = None) -> int:
        return (await client.send(method, target, body)).status

    async def work() -> None:
        assert [await ask("GET", target) for target in ("/livez", "/readyz") * 3] == [200] * 6
        assert [await ask("HEAD", "/livez"), await ask("GET", "/docs"), await ask("GET", "/docs")] == [200, 200, 200]
        assert [await ask("GET", "/docs"), await ask("GET", "/livez"), await ask("HEAD", "/readyz")] == [429, 200, 200]
        # what is more than a plain look counts as everything else does
        assert [await ask("POST", "/livez"), await ask("OPTIONS", "/livez"), await ask("GET", "/livez?x=1")] == [
            429
        ] * 3
        assert await ask("GET", "/readyz", b"x" * 10_000) == 429

    asyncio.run(work())


def test_whoever_used_a_limit_up_can_still_look_at_it(served: Any) -> None:
    client = changed(served, key=Policy("key", 2, 60), address=Policy("address", 6, 60))

    async def work() -> None:
        asked = [(await client.get(target)).status for target in ("/v1/instruments",) * 3 + ("/v1/limits",)]
        assert asked == [200, 200, 429, 200]
        answer = await client.get("/v1/limits")
        left = {one["name"]: one["remaining"] for one in answer.json["rates"]}
        assert (left["key"], left["address"]) == (0, 1)
        assert '"key";r=0' in answer.headers["ratelimit"]
        assert [(await client.get("/v1/limits")).status for _ in range(2)] == [200, 429]  # the address counts

    asyncio.run(work())


def test_what_is_too_long_is_refused(served: Any) -> None:
    async def work(client: Client) -> None:
        long = await client.get("/v1/signals?instrument=" + "x" * 9_000)
        assert (long.status, long.json["code"]) == (413, "too_large")
        declared = await client.post("/v1/backtests", b"{}", headers={"Content-Length": "2000000"})
        assert (declared.status, declared.json["code"]) == (413, "too_large")

    served.run(work)


def test_a_body_may_be_as_large_as_its_operation_needs(served: Any) -> None:
    async def work(client: Client) -> None:
        larger = {"of most": (b" " * 65_537, "/v1/portfolios"), "of a login": (b" " * 65_537, "/v1/auth/login")}
        larger["of a passkey"] = (b" " * 16_385, "/v1/auth/passkeys/login")
        larger["of a backtest"] = (b" " * 1_048_577, "/v1/backtests")
        for what, (body, path) in larger.items():
            refused = await client.post(path, body)
            assert (refused.status, refused.json["code"]) == (413, "too_large"), what
            assert f"larger than {len(body) - 1} bytes" in refused.json["detail"]
            assert (await client.post(path, body[:-1])).status != 413, what
        told = {each["operation"]: each["bytes"] for each in (await client.get("/v1/limits")).json["bodies"]}
        assert told == {
            "create_backtest": 1_048_576, "add_passkey": 16_384, "login_with_passkey": 16_384, "step_up": 16_384,
        }  # fmt: skip

    served.run(work)


def test_a_body_that_does_not_arrive_is_not_waited_for(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "BODY_S", 0.05)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {served.keys['whole']}".encode()), (b"content-length", b"10")]
    headers += [(b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "POST", "path": "/v1/backtests", "raw_path": b"/v1/backtests", "query_string": b"",
        "headers": headers, "client": ("127.0.0.1", 1),
    }  # fmt: skip
    asyncio.run(served.app(scope, receive, send))
    assert sent[0]["status"] == 408


def test_the_time_of_a_body_begins_once_somebody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "BODY_S", 0.05)
    read: list[Any] = []

    async def slow_doors(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.1)
        read.append((await receive())["body"])

    async def receive() -> Any:
        await asyncio.sleep(0)  # it has come, and is handed over
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    state = {"headers": {"content-length": "2"}, "operation": None}
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "state": state}
    asyncio.run(layers.BodyLimit(slow_doors)(scope, receive, send))
    assert read == [b"{}"]


def test_a_read_that_takes_too_long_is_given_up(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up: list[str] = []

    class Stuck:
        async def read(self, *_: Any) -> Any:
            try:
                await asyncio.sleep(0)  # it waits once and goes on, then it waits for ever
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                given_up.append("read")
                raise

    stuck = replace(served.services)
    object.__setattr__(stuck, "glances", Stuck())
    monkeypatch.setattr(app, "READ_S", 0.05)
    answer = asyncio.run(Client(build(stuck), served.keys["whole"]).get("/v1/status"))
    assert (answer.status, answer.json["code"]) == (503, "took_too_long")
    assert given_up == ["read"]
    assert "0 seconds" in answer.json["detail"]


def test_a_header_that_decides_something_may_stand_there_once(served: Any) -> None:
    async def ask(name: bytes, value: bytes) -> int:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        key = (b"authorization", f"Bearer {served.keys['whole']}".encode())
        scope = {
            "type": "http", "method": "GET", "path": "/v1/instruments", "raw_path": b"/v1/instruments",
            "query_string": b"", "headers": [key, (name, value), (name, value)], "client": ("127.0.0.1", 1),
        }  # fmt: skip
        await served.app(scope, receive, send)
        return int(sent[0]["status"])

    assert asyncio.run(ask(b"authorization", b"Bearer x")) == 400
    assert asyncio.run(ask(b"if-none-match", b'"x"')) == 400
    assert asyncio.run(ask(b"accept", b"application/json")) == 200


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("sqlite:////nowhere/at/all.db", "unable to open database file"),
        ("postgresql://u:secret@127.0.0.1:9/nowhere", "127.0.0.1:9/nowhere"),
    ],
)
def test_what_the_database_said_is_in_the_log_and_not_in_the_answer(
    served: Any, url: str, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Database(url) as broken:
        services = replace(served.services, database=broken, authenticator=Authenticator(broken, served.clock))
        client = Client(build(services), served.keys["whole"])
        answer = asyncio.run(client.get("/v1/instruments"))
    assert (answer.status, answer.json["code"]) == (503, "storage_failed"), answer.body
    assert not any(word in answer.body.decode() for word in (cause, "secret", "nowhere", "sqlite", "Errno"))
    told = [record.getMessage() for record in caplog.records if record.name == "tradewright.api"]
    assert any(answer.json["request_id"] in text and cause in text for text in told), told
    assert not any("secret" in text for text in told)
