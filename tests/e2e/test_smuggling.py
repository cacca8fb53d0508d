"""Requests that two readers could read in two ways, against the API process itself and through the gateway: none of
them becomes a second request, none is taken for one from elsewhere, and each is answered in time."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from test_gateway import Behind, behind

from servers import api_processes
from tradewright.accounts import keys
from tradewright.accounts.scopes import SCOPES
from tradewright.clock import WallClock
from tradewright.storage import accounts
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

__all__ = ["behind"]
Send = Callable[[bytes], bytes]
HIDDEN = (
    b"GET /v1/limits HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nX-Request-Id: hidden-request\r\n\r\n"
)


def exchange(connection: socket.socket, request: bytes, patience_s: float = 3.0) -> bytes:
    """Everything that comes back until the other side has nothing more to say."""
    connection.settimeout(patience_s)
    connection.sendall(request)
    said = b""
    try:
        while part := connection.recv(65_536):
            said += part
    except (TimeoutError, ConnectionResetError):
        pass
    return said


def statuses(said: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", said)]


def head(method: str, target: str, *lines: str, key: str = "") -> bytes:
    start = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    given = [f"Authorization: Bearer {key}"] if key else []
    return "\r\n".join([*start, *given, *lines]).encode("latin-1") + b"\r\n\r\n"


def ambiguous(key: str) -> dict[str, tuple[bytes, set[int]]]:
    """Requests by what is wrong with them, each with the statuses that are right for it."""
    hidden = HIDDEN % key.encode()
    chunks = b"0\r\n\r\n" + hidden
    refused = {400, 411, 413, 422, 501}
    whole = f"Content-Length: {len(chunks)}"

    def post(*lines: str) -> bytes:
        return head("POST", "/v1/backtests", "Content-Type: application/json", *lines, key=key)

    def get(*lines: str) -> bytes:
        return head("GET", "/v1/limits", *lines, key=key)

    return {
        "length and chunks": (post(whole, "Transfer-Encoding: chunked") + chunks, refused),
        "two lengths": (post("Content-Length: 2", whole) + b"{}" + hidden, refused),
        "a list of lengths": (post("Content-Length: 2, 2") + b"{}" + hidden, refused),
        "a signed length": (post("Content-Length: +2") + b"{}" + hidden, refused),
        "chunks spelled otherwise": (post("Transfer-Encoding: xchunked") + chunks, refused),
        "a space before the colon": (
            post("Transfer-Encoding : chunked", "Content-Length: 2") + b"{}" + hidden,
            refused,
        ),
        "a folded header": (post("Transfer-Encoding:\r\n chunked", "Content-Length: 2") + b"{}" + hidden, refused),
        "a chunk that is none": (post("Transfer-Encoding: chunked") + b"zz\r\n{}\r\n" + hidden, refused),
        "a chunk without its end": (post("Transfer-Encoding: chunked") + b"2\r\n{}xx" + hidden, refused),
        "a bare line feed": (get("X-A: b\nTransfer-Encoding: chunked") + b"0\r\n\r\n", refused | {200}),
        "a null byte": (get("X-A: b\x00c"), refused),
        "a version of its own": (b"GET /v1/limits HTTP/9.9\r\nHost: localhost\r\n\r\n", refused | {505}),
        "two hosts": (get("Host: elsewhere.example"), refused | {200}),
    }


def unharmed(send: Send, key: str) -> None:
    for name, (request, right) in ambiguous(key).items():
        said = send(request)
        seen = statuses(said)
        assert len(seen) <= 1, (name, said)  # what was hidden in the first was not answered
        assert b"hidden-request" not in said, (name, said)
        assert set(seen) <= right, (name, said)
    said = send(head("GET", "/v1/limits", "Connection: close", key=key))
    assert statuses(said) == [200], said
    said = send(head("HEAD", "/docs") + head("GET", "/docs", "Connection: close"))
    assert statuses(said) == [200, 200], said
    length, twice = re.findall(rb"(?i)\ncontent-length: (\d+)", said)
    assert length == twice
    assert re.search(rb"\r\n\r\nHTTP/1\.1", said)  # a length is told, and no body stands before the next answer


def test_the_process_itself_reads_requests_in_one_way(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with Database(f"sqlite:///{folder / 'tradewright.db'}") as database:
        upgrade(database)
        now_us = WallClock().now_us()
        database.write(accounts.add_organization, "org_a", "a", now_us)
        key = database.write(keys.create, "org_a", "paper", "k", list(SCOPES), now_us)[1]
    with api_processes(folder, 1) as (api,):

        def send(request: bytes) -> bytes:
            with socket.create_connection(("127.0.0.1", api.port)) as connection:
                return exchange(connection, request)

        unharmed(send, key)


@pytest.mark.postgres
def test_the_gateway_and_what_stands_behind_it_read_requests_in_one_way(behind: Behind) -> None:
    context = ssl.create_default_context(cafile=str(behind.gateway.certificate))

    def send(request: bytes) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", behind.gateway.https_port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            return exchange(tls, request)

    unharmed(send, behind.key)
    takes_no_header_away(behind, send)
    writes_no_request_of_somebody_else(behind, send)


def takes_no_header_away(behind: Behind, send: Send) -> None:
    """`Connection` may name headers to drop, but not those by which the application knows who asks."""
    made = behind.curl(
        "/v1/api-keys", "-X", "POST", "-H", "Content-Type: application/json",
        "--data", '{"name": "elsewhere", "scopes": ["market:read"], "addresses": ["203.0.113.7"]}',
    )  # fmt: skip
    elsewhere = json.loads(made[2])["key"]
    for lines in (
        ("Connection: close, X-Forwarded-For",),
        ("Connection: close, X-Forwarded-For, Authorization",),
        ("Connection: close", "X-Forwarded-For: 203.0.113.7"),
        ("Connection: close", "X_Forwarded_For: 203.0.113.7", "X-Forwarded-For : 203.0.113.7"),
        ("Connection: close", "Forwarded: for=203.0.113.7", "X-Real-IP: 203.0.113.7"),
    ):
        said = send(head("GET", "/v1/instruments", *lines, key=elsewhere))
        assert statuses(said) in ([403], [400]), (lines, said)


def writes_no_request_of_somebody_else(behind: Behind, send: Send) -> None:
    """The body of a request without a key is not put before the next request on a connection to the application."""
    asked = head("GET", "/v1/limits", "Connection: close", key=behind.key)
    for upgraded in ("h2c", "websocket"):
        for padding in (0, 20_000, 200_000):
            inner = b"\r\n" * (padding // 2) + b"GET /v1/instruments HTTP/1.1\r\nHost: localhost\r\nX-Swallow: "
            lines = ("Connection: Upgrade", f"Upgrade: {upgraded}", f"Content-Length: {len(inner)}")
            for _ in range(3):
                assert len(statuses(send(head("POST", "/v1/nothing", *lines) + inner))) <= 1
                said = send(asked)
                assert statuses(said) == [200], said
                assert b'"rates"' in said, said
