"""What a client without a key can do to a process over its connections: nothing that lasts, nothing that grows."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_smuggling import HIDDEN, exchange, head, statuses

from servers import api_processes, free_port, wait_until_listening
from tradewright.accounts import keys
from tradewright.accounts.scopes import SCOPES
from tradewright.clock import WallClock
from tradewright.storage import accounts
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
SOCKET = ("Connection: Upgrade", "Upgrade: websocket")
GROWTH_MB = 150  # of a process, beyond what its own work takes
ENDURED_S = 3.0


AS_UP_SERVES = """
import signal
from tradewright import settings
from tradewright.api.app import build
from tradewright.api.services import Readiness
from tradewright.app import house, http_server, up
from tradewright.clock import WallClock

class Progress:
    def now(self):
        return Readiness(True, "running", 1.0, "serving")

loaded = settings.load()
with house.open_database(loaded) as database:
    services = up.build_services(database, WallClock(), loaded, Progress(), None)
    server = http_server.Embedded(build(services), loaded.host, loaded.port)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    server.run()
"""


@dataclass(frozen=True)
class Served:
    """A process that serves. key: one that it knows."""

    port: int
    process: subprocess.Popen[bytes]
    key: str


@pytest.fixture(scope="module", params=["api", "up"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """What `tradewright api` serves with, and what `tradewright up` does, with no limit in the way."""
    with serving(request.param, tmp_path_factory.mktemp("hostile") / "data") as running:
        yield running


@contextmanager
def serving(command: str, folder: Path) -> Iterator[Served]:
    folder.mkdir()
    with Database(f"sqlite:///{folder / 'tradewright.db'}") as database:
        upgrade(database)
        now_us = WallClock().now_us()
        database.write(accounts.add_organization, "org_a", "a", now_us)
        key = database.write(keys.create, "org_a", "paper", "k", list(SCOPES), now_us)[1]
    if command == "api":
        with api_processes(folder, 1, address_limit="60000000") as (api,):
            yield Served(api.port, api.process, key)
        return
    port = free_port()
    settings = {"DATA_FOLDER": str(folder), "PORT": str(port), "ADDRESS_LIMIT": "60000000"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWRIGHT_")}
    environment |= {f"TRADEWRIGHT_{name}": value for name, value in settings.items()}
    process = subprocess.Popen([sys.executable, "-c", AS_UP_SERVES], env=environment)
    try:
        wait_until_listening(port, process)
        yield Served(port, process, key)
    finally:
        process.kill()
        process.wait()


def connected(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), 10)


def said(served: Served, *parts: bytes) -> bytes:
    with connected(served) as connection:
        for part in parts[:-1]:
            connection.sendall(part)
            time.sleep(0.2)
        return exchange(connection, parts[-1], 1.0)


def memory_mb(served: Served) -> float:
    pids, total = [served.process.pid], 0.0
    while pids:
        pid = pids.pop()
        total += int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1024
        pids += [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return total


def answers(served: Served) -> float:
    """Seconds until somebody else is answered."""
    began = time.monotonic()
    assert statuses(said(served, head("GET", "/livez", "Connection: close"))) == [200]
    return time.monotonic() - began


def poured(connection: socket.socket, part: bytes, read: bool) -> int:
    """Send the same again and again for some seconds, as far as it is taken; return how many bytes were."""
    connection.setblocking(False)
    sent, ends = 0, time.monotonic() + ENDURED_S
    while time.monotonic() < ends:
        try:
            sent += connection.send(part[sent % len(part) :])
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            break
        if read:
            try:
                if not connection.recv(1 << 20):
                    break
            except BlockingIOError:
                pass
            except OSError:
                break
    return sent


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_the_body_of_a_request_that_would_upgrade_is_no_second_request(served: Served, framing: str) -> None:
    key = served.key
    hidden = HIDDEN % key.encode()
    framed = f"Content-Length: {len(hidden)}" if framing == "length" else "Transfer-Encoding: chunked"
    body = hidden if framing == "length" else b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)
    for upgrade_lines in (UPGRADE, SOCKET):
        first = head("POST", "/v1/nothing", framed, *upgrade_lines)
        for parts in ((first, body), (first + body,)):
            answer = said(served, *parts)
            assert len(statuses(answer)) <= 1, answer
            assert b"hidden-request" not in answer


def test_an_upgrade_that_is_not_taken_changes_nothing(served: Served) -> None:
    key = served.key
    body = b'{"name": ""}'
    lines = ("Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close")
    plain = said(served, head("POST", "/v1/portfolios", *lines, key=key) + body)
    with_upgrade = said(served, head("POST", "/v1/portfolios", *lines, *UPGRADE, key=key) + body)
    assert statuses(plain) == statuses(with_upgrade) == [422]
    assert b"query" not in with_upgrade.partition(b'"errors"')[2]
    assert plain.partition(b'"errors"')[2] == with_upgrade.partition(b'"errors"')[2]


def test_what_comes_behind_a_body_is_no_header(served: Served) -> None:
    key = served.key
    first = head("GET", "/v1/limits", "Transfer-Encoding: chunked")
    trailer = b"0\r\nAuthorization: Bearer %s\r\n\r\n" % key.encode()
    for parts in ((first + trailer,), (first, trailer)):
        assert statuses(said(served, *parts)) in ([401], [400])


def test_a_request_is_answered_whatever_follows_it(served: Served) -> None:
    answer = said(served, head("GET", "/livez") + b"\x00\x01 no request\r\n\r\n")
    assert statuses(answer)[:1] == [200]
    assert set(statuses(answer)[1:]) <= {400}


@pytest.mark.parametrize("read", [True, False])
def test_requests_that_pile_up_take_no_memory_and_nobody_elses_turn(served: Served, read: bool) -> None:
    before = memory_mb(served)
    with connected(served) as one, connected(served) as two:
        for connection in (one, two):
            assert poured(connection, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4_000, read) > 0
        assert answers(served) < 5
        assert memory_mb(served) < before + GROWTH_MB


@pytest.mark.parametrize("trailer", [b"a: " + b"b" * 1_000 + b"\r\n", b"b" * 1_000])
def test_trailers_take_no_memory(served: Served, trailer: bytes) -> None:
    before = memory_mb(served)
    with connected(served) as connection:
        connection.sendall(head("POST", "/v1/nothing", "Transfer-Encoding: chunked") + b"0\r\nx: ")
        poured(connection, trailer * 500, True)
        assert answers(served) < 5
        assert memory_mb(served) < before + GROWTH_MB


def test_no_connection_is_held_open_without_an_answer(served: Served) -> None:
    parked = {
        "nothing": b"",
        "half a head": b"GET /livez HT",
        "an upgrade with a body": head(
            "POST", "/v1/x", "Content-Length: 2", "Connection: Upgrade", "Upgrade: websocket"
        )
        + b"{}",
        "a long path": head("GET", "/v1/" + "x" * 20_000, *SOCKET),
        "a body that drips": head("POST", "/v1/nothing", "Content-Length: 1000000"),
    }
    connections = {name: connected(served) for name in parked}
    for name, request in parked.items():
        connections[name].sendall(request)
        connections[name].setblocking(False)
    ends, ended = time.monotonic() + 60, dict.fromkeys(parked, False)
    said_of = dict.fromkeys(parked, b"")
    while time.monotonic() < ends and not all(ended.values()):
        time.sleep(0.5)
        for name, connection in connections.items():
            try:
                if name == "a body that drips" and not ended[name]:
                    connection.send(b"a")
                part = connection.recv(65_536)
                ended[name] = ended[name] or not part
                said_of[name] += part
            except BlockingIOError:
                continue
            except OSError:
                ended[name] = True
    for connection in connections.values():
        connection.close()
    left = {name for name, over in ended.items() if not over}
    assert left <= {"an upgrade with a body", "a long path"}, (left, said_of)
    assert all(statuses(said_of[name]) for name in left), (
        said_of
    )  # kept alive for the next request, having been answered


@pytest.mark.parametrize("command", ["api", "up"])
def test_half_a_body_at_the_end_is_told_so(command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with serving(command, tmp_path / "data") as running, connected(running) as waiting:
        begun = head("POST", "/v1/auth/login", "Content-Type: application/json", "Content-Length: 100")
        waiting.sendall(begun + b'{"a')
        time.sleep(1)
        running.process.send_signal(signal.SIGTERM)
        waiting.settimeout(30)
        answer = b"".join(iter(lambda: waiting.recv(4096), b""))
        assert running.process.wait(30) == 0
    assert b"application/problem+json" in answer
    assert re.search(rb'"code":"(stopping|body_too_slow)"', answer), answer
    assert "Traceback" not in capfd.readouterr().err
