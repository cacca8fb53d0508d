"""Millions of mixed requests through the gateway while one API process is restarted again and again.

TRADEWRIGHT_SOAK_REQUESTS (3,000,000) and TRADEWRIGHT_SOAK_MINUTES (50) bound it. Prints what was asked and answered,
the errors with the upper bound their count supports, and how the memory of the process that stayed moved.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import ssl
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from running import Up
from servers import Api, Gateway, api_processes, gateway, program, redis_server
from tradewright.accounts import keys
from tradewright.accounts.scopes import SCOPES
from tradewright.clock import WallClock
from tradewright.storage import accounts
from tradewright.storage.database import Database

pytestmark = [pytest.mark.long, pytest.mark.postgres]
REQUESTS = int(os.environ.get("TRADEWRIGHT_SOAK_REQUESTS", "3000000"))
MINUTES = float(os.environ.get("TRADEWRIGHT_SOAK_MINUTES", "50"))
ROUND_S, KEYS, CONNECTIONS = 30, 100, 16
MIX = {"bars": 35, "quotes": 20, "signals": 15, "trading": 19, "unchanged": 10, "changes": 1}
NO_LIMITS = dict.fromkeys(("key_limit", "organization_limit", "address_limit"), "60000000")


@dataclass
class Seen:
    """What came back. memory: (seconds, KiB) of the process that stayed."""

    statuses: Counter[str] = field(default_factory=Counter)
    sockets: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    memory: list[tuple[float, int]] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    p99_us: list[int] = field(default_factory=list)

    @property
    def errors(self) -> int:
        """Answers that are neither what was asked for nor `unchanged`, and connections that broke."""
        fine = sum(count for status, count in self.statuses.items() if status in ("200", "304"))
        return sum(self.statuses.values()) - fine + sum(self.sockets.values())


def test_millions_of_requests_while_a_process_restarts(tmp_path: Path, postgres_url: str) -> None:
    folder = tmp_path / "data"
    with Up(folder, speed="max", environment={"TRADEWRIGHT_DATABASE_URL": postgres_url}) as up:
        up.wait_for("replay has ended|has ended", 300)
        assert up.stop() == 0
    with Database(postgres_url) as database:
        organization = database.read(accounts.first_organization)
        assert organization is not None
        now = WallClock().now_us()
        texts = [
            database.write(keys.create, organization, "paper", f"soak {n}", list(SCOPES), now)[1] for n in range(KEYS)
        ]
    with (
        redis_server(tmp_path) as cache,
        api_processes(
            folder, 2, database_url=postgres_url, cache_url=cache, trusted_proxies="127.0.0.1",
            site_url="https://localhost", **NO_LIMITS,
        ) as apis,
        gateway(tmp_path / "gateway", [api.port for api in apis], "100000r/s", "100000") as front,
    ):  # fmt: skip
        requests = tmp_path / "requests.tsv"
        requests.write_text("\n".join(_requests(front, texts)) + "\n")
        seen = _soak(front, apis, requests)
    _report(seen)
    assert not {status for status in seen.statuses if status.startswith("5") and status != "502"}, seen.statuses
    assert seen.errors <= seen.requests * 1e-4, seen
    assert _growth(seen.memory) < 0.05, seen.memory


def _requests(front: Gateway, texts: list[str]) -> list[str]:
    draw = random.Random(11)
    context = ssl.create_default_context(cafile=str(front.certificate))

    def get(target: str) -> tuple[dict[str, str], bytes]:
        request = urllib.request.Request(front.address + target, headers={"Authorization": f"Bearer {texts[0]}"})
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return {name.lower(): value for name, value in answer.headers.items()}, answer.read()

    names = [row["id"] for row in json.loads(get("/v1/instruments?limit=500")[1])["data"]]
    portfolio = json.loads(get("/v1/portfolios")[1])["data"][0]["id"]
    fixed = [f"/v1/instruments/{name}" for name in names] + ["/v1/instruments", "/v1/strategies", "/v1/verdicts"]
    etags = {target: get(target)[0]["etag"] for target in fixed}
    trading = ["/v1/orders", "/v1/fills", f"/v1/portfolios/{portfolio}", f"/v1/portfolios/{portfolio}/positions"]
    lines = []
    for kind in draw.choices(list(MIX), weights=list(MIX.values()), k=20_000):
        method, etag, body = "GET", "", ""
        if kind == "bars":
            year, month = draw.randrange(1995, 2022), draw.randrange(1, 13)
            target = f"/v1/bars?instruments={draw.choice(names)}&limit=50&start={year}-{month:02}-01T00:00:00Z"
        elif kind == "quotes":
            target = f"/v1/quotes?instruments={','.join(draw.sample(names, draw.randrange(1, 6)))}"
        elif kind == "signals":
            target = draw.choice(["/v1/signals", f"/v1/signals?instrument={draw.choice(names)}"])
        elif kind == "trading":
            target = draw.choice(trading)
        elif kind == "unchanged":
            target = draw.choice(fixed)
            etag = etags[target]
        else:
            method, target, body = "PATCH", f"/v1/portfolios/{portfolio}", '{"name":"soaked"}'
        lines.append("\t".join((method, target, draw.choice(texts), etag, body)))
    return lines


def _soak(front: Gateway, apis: list[Api], requests: Path) -> Seen:
    seen, stop = Seen(), threading.Event()
    restarter = threading.Thread(target=_restart, args=(apis[0], seen, stop))
    watcher = threading.Thread(target=_watch, args=(apis[1], seen, stop))
    begun = time.monotonic()
    for thread in (restarter, watcher):
        thread.start()
    try:
        while seen.requests < REQUESTS and time.monotonic() - begun < MINUTES * 60:
            _round(front, requests, seen)
            took = time.monotonic() - begun
            print(f"{took:6.0f} s  {seen.requests:,} requests, {seen.errors} errors, {dict(seen.statuses)}", flush=True)
    finally:
        stop.set()
        for thread in (restarter, watcher):
            thread.join()
    return seen


def _round(front: Gateway, requests: Path, seen: Seen) -> None:
    command = [program("wrk", "wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_S}s", "--timeout", "20s", "--latency"]
    script = ["-s", str(Path(__file__).with_name("soak.lua")), front.address, "--", str(requests), str(seen.requests)]
    said = subprocess.run([*command, *script], capture_output=True, text=True, check=True, timeout=ROUND_S + 60).stdout
    for status, count in re.findall(r"(\d+)=(\d+)", re.search(r"statuses (.*)", said)[1]):  # type: ignore[index]
        seen.statuses[status] += int(count)
    told = dict(re.findall(r"(\w+) (\d+)", re.search(r"requests \d+ connect .*", said)[0]))  # type: ignore[index]
    seen.requests += int(told["requests"])
    seen.p99_us.append(int(told["p99"]))
    for kind in ("connect", "read", "write", "timeout"):
        seen.sockets[kind] += int(told[kind])


def _restart(api: Api, seen: Seen, stop: threading.Event) -> None:
    while not stop.wait(20):
        kind = "kill" if seen.restarts.total() % 5 == 4 else "stop"
        api.stop(signal.SIGKILL if kind == "kill" else signal.SIGTERM)
        stop.wait(2)
        api.start().wait()
        seen.restarts[kind] += 1


def _watch(api: Api, seen: Seen, stop: threading.Event) -> None:
    begun = time.monotonic()
    while not stop.wait(5):
        seen.memory.append((time.monotonic() - begun, _resident(api.process.pid)))


def _resident(pid: int) -> int:
    """KiB of a process and its children."""
    total = 0
    for text in [str(pid), *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{text}/status").read_text())
        total += int(found[1]) if found else 0
    return total


def _growth(memory: list[tuple[float, int]]) -> float:
    """The trend over the second half, as a share of its mean, over its whole length."""
    half = memory[len(memory) // 2 :]
    times, sizes = np.array([t for t, _ in half]), np.array([s for _, s in half], dtype=float)
    slope = np.polyfit(times, sizes, 1)[0]
    return float(slope * (times[-1] - times[0]) / sizes.mean())


def _report(seen: Seen) -> None:
    bound = float(beta.ppf(0.95, seen.errors + 1, seen.requests - seen.errors))
    half = [size for _, size in seen.memory[len(seen.memory) // 2 :]]
    print(f"requests {seen.requests:,}; statuses {dict(seen.statuses)}; broken connections {dict(seen.sockets)}")
    print(f"restarts {dict(seen.restarts)}; p99 of rounds, median {np.median(seen.p99_us) / 1e3:.1f} ms")
    print(f"errors {seen.errors}: with 95 % confidence less than {bound:.2e} of all requests")
    print(f"memory of the process that stayed: {min(half):,} to {max(half):,} KiB, trend {_growth(seen.memory):+.2%}")
