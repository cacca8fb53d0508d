"""The HTTP server by itself, over real sockets: what is no request, too large or too slow is refused and cut off."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tradewright.api.layers import SECURITY_HEADERS
from tradewright.app import http_server

LARGE = 40_000_000
GET = b"GET /somewhere?x=1 HTTP/1.1\r\nHost: here\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what arrived."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    if scope["path"] == "/large":
        headers = [(b"content-length", str(LARGE).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * LARGE})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    told = json.dumps({"client": scope["client"][0], "scheme": scope["scheme"], "path": scope["path"], "body": size})
    headers = [(b"content-length", str(len(told)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told.encode()})


@pytest.fixture
def port() -> Iterator[int]:
    started = threading.Event()
    with http_server.listen("127.0.0.1", 0) as listener:
        server = http_server.Server(echo, "warning", started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        assert started.wait(10)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


def said(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send the parts and return all that is answered until the server closes or says nothing for two seconds."""
    with socket.create_connection(("127.0.0.1", port), 2) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
            while more := connection.recv(65_536):
                answer += more
        except TimeoutError:
            answer += b"(still open)"
        except ConnectionError:
            answer += b"(cut off)"
        return answer


def problem(answer: bytes) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return status, headers and body of an answer after which the connection was closed."""
    assert not answer.endswith(b"(still open)")
    head, _, body = answer.removesuffix(b"(cut off)").decode().partition("\r\n\r\n")
    line, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (text.partition(": ") for text in lines)}
    assert headers["connection"] == "close"
    assert headers["content-type"] == "application/problem+json"
    assert headers["content-length"] == str(len(body))
    assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    told = json.loads(body)
    assert told["request_id"] == headers["x-request-id"]
    assert "server" not in headers
    return int(line.split()[1]), headers, told


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01 this is TLS", b"GET /\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", GET + b"X\0Y: 1\r\n\r\n"]
)
def test_what_is_no_http_is_refused_and_cut_off(port: int, nonsense: bytes) -> None:
    status, _, told = problem(said(port, nonsense))
    assert (status, told["code"]) == (400, "malformed_request")


@pytest.mark.parametrize("ends", [b"", b"\r\n"])
def test_a_head_that_is_too_large_is_refused_whether_it_ends_or_not(port: int, ends: bytes) -> None:
    lines = b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1_000) for n in range(70))
    status, _, told = problem(said(port, GET + lines + ends))
    assert (status, told["code"]) == (413, "too_large")
    assert str(http_server.MAX_HEAD) in told["detail"]


def test_a_large_body_behind_a_small_head_is_the_business_of_the_application(port: int) -> None:
    body = b"z" * 200_000
    answer = said(port, b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 200000\r\n\r\n" + body)
    assert b'"body": 200000' in answer


def test_a_head_that_drips_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_S", 0.3)
    status, _, told = problem(said(port, GET, b"X: y\r\n", pause_s=0.1))
    assert (status, told["code"]) == (408, "body_too_slow")


def test_a_connection_that_says_nothing_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_S", 0.2)
    assert said(port) == b""


def test_a_connection_stays_open_for_the_next_request(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_S", 0.2)
    answer = said(port, GET + b"\r\n", GET + b"\r\n" + GET, b"\r\n", pause_s=0.1)
    assert answer.count(b"200 OK") == 3
    assert answer.endswith(b"(still open)")


def unread(port: int, requests: int) -> socket.socket:
    """Ask for large answers and read nothing of them."""
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n" * requests)
    time.sleep(0.3)
    return connection


def test_a_client_that_reads_nothing_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "READ_S", 0.3)
    with unread(port, 1) as connection:
        time.sleep(0.5)
        received = 0
        with suppress(ConnectionResetError):
            while more := connection.recv(65_536):
                received += len(more)
        assert 0 < received < LARGE


def test_a_client_that_reads_slowly_is_served(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "READ_S", 0.6)
    with unread(port, 1) as connection:
        received, began = 0, time.monotonic()
        while received < LARGE:
            part = connection.recv(4_000_000, socket.MSG_WAITALL)
            assert part
            received += len(part)
            time.sleep(0.15)
        assert time.monotonic() - began > 2 * 0.6


def test_who_leaves_before_the_answer_is_no_error(port: int, caplog: pytest.LogCaptureFixture) -> None:
    unread(port, 5).close()
    time.sleep(0.3)
    assert b"200 OK" in said(port, GET + b"\r\n")
    assert caplog.text == ""


def test_what_a_caller_says_of_its_address_changes_nothing_here(port: int) -> None:
    forwarded = b"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nForwarded: for=203.0.113.9\r\n"
    answer = said(port, GET + forwarded + b"\r\n")
    assert b'"client": "127.0.0.1", "scheme": "http", "path": "/somewhere"' in answer


def test_a_websocket_is_decided_on_by_the_application(port: int) -> None:
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    answer = said(port, GET + upgrade + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403")


def test_an_address_in_use_is_refused_with_what_to_do() -> None:
    with http_server.listen("127.0.0.1", 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(http_server.SettingsInvalid, match=f"cannot listen on 127.0.0.1:{port}.*--port"):
            http_server.listen("127.0.0.1", port)


def test_an_address_of_ipv6_is_served_and_shown_in_brackets() -> None:
    with http_server.listen("::1", 0) as listener:
        assert http_server.url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"
