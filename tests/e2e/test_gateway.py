"""The gateway that is shipped, from its package, before two API processes on PostgreSQL and Redis."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from servers import ROOT, Api, Gateway, api_processes, gateway, has_ipv6, redis_server, until
from tradewright.accounts import keys
from tradewright.accounts.scopes import SCOPES
from tradewright.api.problems import CATALOGUE
from tradewright.clock import WallClock
from tradewright.storage import accounts
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

pytestmark = pytest.mark.postgres


@dataclass
class Behind:
    """What stands behind the gateway, and a key for it."""

    gateway: Gateway
    apis: list[Api]
    key: str

    def curl(self, path: str, *more: str, key: bool = True) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request over HTTP/2."""
        command = ["curl", "-s", "-i", "--http2", "--max-time", "20", "--cacert", str(self.gateway.certificate), *more]
        if key:
            command += ["-H", f"Authorization: Bearer {self.key}"]
        return parsed(subprocess.run([*command, self.gateway.address + path], capture_output=True, check=True).stdout)


def parsed(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split(" ")[1]), headers, body


@pytest.fixture
def behind(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> Iterator[Behind]:
    with Database(postgres_url) as database:
        upgrade(database)
        now = WallClock().now_us()
        database.write(accounts.add_organization, "org_a", "a", now)
        key = database.write(keys.create, "org_a", "paper", "k", list(SCOPES), now)[1]
    folder = tmp_path / "data"
    folder.mkdir()
    address_limit: str = getattr(request, "param", "100000")
    with (
        redis_server(tmp_path) as cache,
        api_processes(
            folder, 2, database_url=postgres_url, cache_url=cache, trusted_proxies="127.0.0.1",
            site_url="https://localhost", address_limit=address_limit, key_limit="100000", organization_limit="100000",
        ) as apis,
        gateway(tmp_path / "gateway", [api.port for api in apis], "50r/s", "100") as front,
    ):  # fmt: skip
        yield Behind(front, apis, key)


def test_requests_pass_with_clean_headers_and_http2(behind: Behind) -> None:
    status, headers, body = behind.curl("/v1/status", "-w", "%{http_version}")
    assert status == 200
    assert body.endswith(b"2")
    assert headers["strict-transport-security"].startswith("max-age=63072000")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["ratelimit-policy"].startswith('"address"')
    assert not {"server", "x-powered-by", "via", "x-upstream"} & set(headers)
    assert behind.curl("/v1/status", key=False)[0] == 401


def test_plain_http_is_refused_and_not_redirected(behind: Behind) -> None:
    command = ["curl", "-s", "-i", f"http://localhost:{behind.gateway.http_port}/v1/status"]
    status, headers, body = parsed(subprocess.run(command, capture_output=True, check=True).stdout)
    assert (status, json.loads(body)["code"]) == (403, "https_required")
    assert "location" not in headers


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_is_served_like_ipv4(behind: Behind) -> None:
    over = ["--resolve", f"localhost:{behind.gateway.https_port}:[::1]", "-w", "%{remote_ip}"]
    status, _, body = behind.curl("/v1/status", *over)
    assert (status, body[-3:]) == (200, b"::1")
    command = ["curl", "-s", "-i", "-6", f"http://localhost:{behind.gateway.http_port}/v1/status"]
    assert parsed(subprocess.run(command, capture_output=True, check=True).stdout)[0] == 403


def test_hosts_that_are_not_ours_are_refused(behind: Behind) -> None:
    http, https = behind.gateway.http_port, behind.gateway.https_port
    nothing_came, no_handshake = 52, 35
    for address, left in (
        (f"http://elsewhere.example:{http}/v1/status", nothing_came),
        (f"http://127.0.0.1:{http}/", nothing_came),
        (f"https://elsewhere.example:{https}/v1/status", no_handshake),
        (f"https://127.0.0.1:{https}/", no_handshake),
    ):
        to = ["--connect-to", f"::127.0.0.1:{http if address.startswith('http:') else https}"]
        done = subprocess.run(["curl", "-s", "-k", *to, address], capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (left, b""), address
    for version in ("--http1.1", "--http2"):
        status, headers, body = behind.curl("/v1/status", version, "-H", "Host: elsewhere.example")
        assert (status, json.loads(body)["code"]) == (421, "misdirected"), version
        assert headers["content-type"] == "application/problem+json"
        assert "server" not in headers


def test_what_the_gateway_refuses_reads_like_what_the_application_refuses(behind: Behind, tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(b'{"x": "' + b"y" * 1_100_000 + b'"}')
    status, headers, body = behind.curl(
        "/v1/backtests", "--data-binary", f"@{large}", "-H", "Content-Type: application/json"
    )
    problem = json.loads(body)
    assert (status, problem["status"], problem["code"]) == (413, 413, "too_large")
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == problem["request_id"]
    assert "server" not in headers


@pytest.mark.parametrize(
    ("lines", "status", "code"),
    [
        ("GET /?" + "a" * 16_370 + " HTTP/1.1", 413, "too_large"),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: " + "a" * 17_000, 413, "too_large"),
        ("GET no-path HTTP/1.1", 400, "malformed_header"),
        ("GET /livez HTTP/1.1\r\nHost: local host", 400, "malformed_header"),
        ("GET /livez HTTP/3.7\r\nHost: localhost", 400, "malformed_header"),
        ("POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip", 400, "malformed_header"),
        ("TRACE /v1/status HTTP/1.1\r\nHost: localhost", 405, "method_not_allowed"),
        ("CONNECT /v1/status HTTP/1.1\r\nHost: localhost", 405, "method_not_allowed"),
        ("GET /.gateway/too_long HTTP/1.1\r\nHost: localhost", 404, "no_such_path"),
    ],
    ids=[
        "long line",
        "long header",
        "no path",
        "bad host",
        "bad version",
        "bad transfer",
        "TRACE",
        "CONNECT",
        "a path of its own",
    ],
)
def test_what_the_gateway_cannot_read_is_refused_with_a_problem(
    behind: Behind, lines: str, status: int, code: str
) -> None:
    context = ssl.create_default_context(cafile=str(behind.gateway.certificate))
    with (
        socket.create_connection(("127.0.0.1", behind.gateway.https_port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(f"{lines}\r\nConnection: close\r\n\r\n".encode())
        got, headers, body = parsed(b"".join(iter(lambda: tls.recv(65_536), b"")))
    assert (got, json.loads(body)["status"], json.loads(body)["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == json.loads(body)["request_id"]
    assert headers["strict-transport-security"].startswith("max-age=63072000")
    assert ("allow" in headers) == (status == 405)


def test_who_speaks_http_to_the_port_of_https_is_told_so(behind: Behind) -> None:
    with socket.create_connection(("127.0.0.1", behind.gateway.https_port), 10) as plain:
        plain.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        status, headers, body = parsed(b"".join(iter(lambda: plain.recv(65_536), b"")))
    problem = json.loads(body)
    assert (status, problem["status"], problem["code"]) == (400, 400, "malformed_header")
    assert "https://" in problem["detail"]
    assert headers["content-type"] == "application/problem+json"


def test_no_log_of_the_gateway_holds_a_query(behind: Behind) -> None:
    behind.curl("/livez?canary=[1-300]")  # a flood
    for api in behind.apis:
        api.stop()
    until(lambda: behind.curl("/livez?canary=away")[0] == 502)  # the flood is over
    assert behind.curl("/livez?canary=long" + "a" * 16_370, "--http1.1")[0] == 413
    behind.curl("/livez?canary=trace", "--http1.1", "-X", "TRACE")
    written = behind.gateway.folder / "tradewright.json.log"  # once a second
    until(lambda: all(f'"status":{status}' in written.read_text() for status in (429, 502)))
    logs = {path.name: path.read_text() for path in behind.gateway.folder.glob("*.log")}
    assert {name for name, text in logs.items() if "canary" in text} == set()


def test_a_flood_from_one_address_is_limited_with_a_problem(behind: Behind) -> None:
    urls = [f"{behind.gateway.address}/livez?n={n}" for n in range(400)]
    config = "\n".join(f'url = "{url}"\noutput = "-"' for url in urls)
    command = ["curl", "-s", "--http2", "--parallel", "--parallel-max", "50", "--cacert"]
    command += [str(behind.gateway.certificate), "-w", "%{http_code}\n", "-K", "-"]
    said = subprocess.run(command, input=config.encode(), capture_output=True, check=True).stdout.decode()
    codes = re.findall(r"(\d{3})\n", said)
    assert len(codes) == 400
    assert 20 < codes.count("429") < 380, {code: codes.count(code) for code in set(codes)}
    problem = json.loads(re.search(r'\{"type":"/docs/errors#rate_limited".*?\}', said)[0])  # type: ignore[index]
    assert problem["code"] == "rate_limited"


@pytest.mark.parametrize("behind", ["60"], indirect=True, ids=["60 a minute"])
def test_forwarding_headers_of_a_caller_change_nothing(behind: Behind) -> None:
    def status(number: int) -> int:
        spoofed = ["-H", f"X-Forwarded-For: 203.0.113.{number}", "-H", f"Forwarded: for=203.0.113.{number}"]
        return behind.curl("/v1/status", *spoofed)[0]

    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(status, range(150)))
    let_in = statuses.count(200)
    assert set(statuses) == {200, 429}
    assert 55 <= let_in <= 62 + time.monotonic() - began  # one bucket for all of them, and for both processes


def test_one_process_may_go_and_come_back_and_nobody_notices(behind: Behind) -> None:
    def asked(count: int) -> list[int]:
        return [behind.curl("/v1/status")[0] for _ in range(count)]

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(asked, 12) for _ in range(4)]
        time.sleep(0.3)
        behind.apis[0].stop()
        restarted = behind.apis[0].start().wait()
        behind.apis[0] = restarted
        statuses = [status for future in running for status in future.result()]
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) > 40
    assert set(asked(4)) == {200}


@contextmanager
def hanging_up(heard: list[str]) -> Iterator[int]:
    """A process that reads the head of each request, notes its method and hangs up. Gives its port."""

    class HangingUp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            heard.append(self.rfile.readline().decode().partition(" ")[0])
            while self.rfile.readline().strip():
                pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangingUp) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("method", "times"), [("POST", 1), ("PATCH", 1), ("GET", 2), ("PUT", 2), ("DELETE", 2)])
def test_what_a_process_read_is_sent_again_only_where_twice_means_once(tmp_path: Path, method: str, times: int) -> None:
    heard: list[str] = []
    with (
        hanging_up(heard) as first,
        hanging_up(heard) as second,
        gateway(tmp_path / "gateway", [first, second]) as front,
    ):
        command = ["curl", "-s", "--cacert", front.certificate, "-X", method, "--max-time", "20"]
        answer = subprocess.run([*command, f"{front.address}/v1/portfolios/a"], capture_output=True, check=True)
    assert json.loads(answer.stdout)["code"] == "unavailable"
    assert heard == [method] * times


def test_a_database_that_is_away_is_told_by_the_application_and_puts_no_process_out(
    behind: Behind, postgres_url: str
) -> None:
    server, _, name = postgres_url.rpartition("/")
    ending = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
    with Database(f"{server}/postgres") as primary:

        def said(statement: str) -> None:
            primary.write(lambda tx: tx.exec_driver_sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {statement}'))

        said("false")
        try:
            primary.write(lambda tx: tx.exec_driver_sql(ending))
            for _ in range(8):
                status, headers, body = behind.curl("/v1/portfolios")
                assert (status, json.loads(body)["code"]) == (503, "storage_failed")
                assert headers["content-type"] == "application/problem+json"
                assert behind.curl("/livez", key=False)[0] == 200
                assert behind.curl("/readyz", key=False)[0] == 503
        finally:
            said("true")
    assert {behind.curl("/v1/portfolios")[0] for _ in range(8)} == {200}


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "https://localhost"])
def test_websocket_handshakes_reach_the_application(behind: Behind, origin: str) -> None:
    context = ssl.create_default_context(cafile=str(behind.gateway.certificate))
    with (
        socket.create_connection(("127.0.0.1", behind.gateway.https_port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(
            b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            + f"Origin: {origin}\r\n\r\n".encode()
        )
        answer = tls.recv(4096).decode("latin-1")
    assert answer.startswith("HTTP/1.1 403"), answer  # there is no stream yet


def test_the_codes_of_the_gateway_are_in_the_catalogue() -> None:
    text = (ROOT / "deploy/nginx/tradewright.conf.template").read_text()
    told: list[Any] = [json.loads(found) for found in re.findall(r"return \d+ '(\{.*?\})';", text)]
    assert len(told) == 10
    for problem in told:
        kind = CATALOGUE[problem["code"]]
        assert (problem["status"], problem["title"]) == (kind.status, kind.title)
        assert problem["type"] == f"/docs/errors#{problem['code']}"
