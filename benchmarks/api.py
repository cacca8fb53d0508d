"""The API under load, beside a FastAPI and Pydantic twin on the same server, over the same data.

Ours and the twin's server take turns, one process each on core 0, the client on core 1, loopback only. First every kind
of request is answered by both and the answers are compared, value by value. Then, at 1,000 requests a second: the mean
processor time of the server a request (all of it, the server's own included) and the client's latencies; and the closed
loop: how many requests a second it can answer.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarks.machine import ROOT, cpu_seconds, peer_python, pinned
from benchmarks.prepared import prepared_folder
from benchmarks.table import Row

from tradewright.accounts import keys
from tradewright.accounts.scopes import SCOPES
from tradewright.clock import WallClock, format_us
from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.panel import COLUMNS
from tradewright.storage import accounts, trading
from tradewright.storage.database import Database, Tx

PACKAGES = ("fastapi==0.165.0", "pydantic==2.14.3", "granian==2.8.7", "uvicorn==0.54.0", "numpy")
RATE, SECONDS, CLOSED_SECONDS, CONNECTIONS, ROUNDS, WARM_SECONDS = 1_000, 4.0, 3.0, 32, 3, 5.0
KEYS = 1_000
MIX = {"bars": 45, "signals": 25, "portfolios": 20, "instruments": 10}
NOTE = (
    "The API's mix: 45 % bars (50 a page, 20 instruments x 500 starts = 10,000 distinct pages), 25 % signals (50 "
    "a page), 20 % orders, fills, positions and portfolio, 10 % instruments, 1,000 keys. What the full budget "
    "names and does not exist yet: quotes and If-None-Match (so no hit rate). Ours answers with every guard that "
    "exists today. The same server and event loop (asyncio) for both; series held in memory, keys remembered for "
    "2 s, feed state for 0.25 s and sums of older ledger lines in both; the twin reads SQLite with plain sqlite3, "
    "no ORM and no hop to a thread, and returns typed models by FastAPI's quickest way. When a server "
    "falls behind 1,000 requests a second, its client latencies are those of a growing queue."
)


@dataclass(frozen=True, slots=True)
class Contender:
    """One server under test."""

    name: str
    command: list[str]
    environment: dict[str, str]


def run(folder: Path) -> list[Row]:
    """Return the measured rows. Raises AssertionError when the two do not answer alike."""
    place, requests = _data(folder)
    python = peer_python(folder, "fastapi", PACKAGES)
    table: list[Row] = []
    for server in ("granian", "uvicorn"):
        both = [_ours(server, place), _twin(server, python, place)]
        table += _measure(server, both, requests, folder)
    return table


def _data(folder: Path) -> tuple[Path, list[str]]:
    source, place = prepared_folder(folder), folder / "api-data"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place)
    with Database(f"sqlite:///{place / 'tradewright.db'}") as database:
        organization = database.read(accounts.first_organization)
        assert organization is not None
        texts = database.write(_make_keys, organization)
        portfolio = database.read(trading.list_portfolios, organization, "paper", 1)[0]["id"]
        bars = Catalog(place, database).read(SYSTEM, "skfolio", None, "1d")
    parts = {str(key[0]): part for key, part in bars.partition_by("instrument", as_dict=True).items()}
    arrays: dict[str, Any] = {}
    for name, part in parts.items():
        arrays[f"{name}|time"] = part["time"].to_numpy()
        for column in COLUMNS:
            arrays[f"{name}|{column}"] = part[column].cast(float).fill_null(float("nan")).to_numpy()
    np.savez(place / "series.npz", **arrays)
    times = {name: part["time"].to_list() for name, part in parts.items()}
    return place, _requests(texts, times, portfolio)


def _make_keys(tx: Tx, organization: str) -> list[str]:
    now = WallClock().now_us()
    return [keys.create(tx, organization, "paper", f"load {n}", list(SCOPES), now)[1] for n in range(KEYS)]


def _requests(texts: list[str], times: dict[str, list[int]], portfolio: str) -> list[str]:
    draw = random.Random(7)
    names = sorted(times)
    pages = [
        f"/v1/bars?instruments={name}&limit=50&start={format_us(times[name][-60 - 15 * n])}"
        for name in names
        for n in range(500)
    ]
    draw.shuffle(pages)
    kinds = {
        "bars": pages,
        "signals": ["/v1/signals"] + [f"/v1/signals?instrument={name}" for name in names],
        "portfolios": [
            "/v1/orders",
            "/v1/fills",
            f"/v1/portfolios/{portfolio}/positions",
            f"/v1/portfolios/{portfolio}",
            f"/v1/orders?portfolio={portfolio}&order=asc",
            f"/v1/fills?portfolio={portfolio}&order=asc",
        ],
        "instruments": ["/v1/instruments"] + [f"/v1/instruments/{name}" for name in names],
    }
    chosen = draw.choices(list(MIX), weights=list(MIX.values()), k=20_000)
    used = dict.fromkeys(kinds, 0)
    requests = []
    for kind in chosen:
        target = kinds[kind][used[kind] % len(kinds[kind])]
        used[kind] += 1
        key = texts[draw.randrange(len(texts))]
        requests.append(f"GET {target} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n")
    return requests


def _serve(python: Path, server: str, application: str, port: str) -> list[str]:
    if server == "granian":
        options = ["--interface", "asgi", "--workers", "1", "--loop", "asyncio", "--log-level", "warning"]
        return [*pinned(0), str(python), "-m", "granian", *options, "--port", port, "--no-ws", *application.split()]
    options = ["--loop", "asyncio", "--http", "h11", "--log-level", "warning", "--no-access-log"]
    return [*pinned(0), str(python), "-m", "uvicorn", *options, "--port", port, *application.split()]


def _ours(server: str, place: Path) -> Contender:
    command = _serve(Path(sys.executable), server, "--factory tradewright.app.serve:application", "PORT")
    return Contender("ours", command, {"TRADEWRIGHT_DATA_FOLDER": str(place)})


def _twin(server: str, python: Path, place: Path) -> Contender:
    command = _serve(python, server, "twin_fastapi:app", "PORT")
    return Contender("twin", command, {"TWIN_FOLDER": str(place), "PYTHONPATH": str(ROOT / "benchmarks")})


@contextmanager
def _running(contender: Contender) -> Iterator[tuple[int, int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWRIGHT_")} | contender.environment
    command = [str(port) if word == "PORT" else word for word in contender.command]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, f"{contender.name} ended with {process.returncode}: {' '.join(command)}"
            assert time.monotonic() < deadline, f"{contender.name} does not answer"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield process.pid, port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _measure(server: str, both: list[Contender], requests: list[str], folder: Path) -> list[Row]:
    path = folder / "requests.json"
    path.write_text(json.dumps(requests))
    seen: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in both}
    with _running(both[0]) as ours, _running(both[1]) as twin:
        _same_answers(requests, ours[1], twin[1])
        for _, port in (ours, twin):
            _load(port, path, 0, WARM_SECONDS)
        for number in range(ROUNDS):
            order = [("ours", ours), ("twin", twin)]
            for name, (pid, port) in order if number % 2 == 0 else reversed(order):
                before = cpu_seconds(pid)
                told = _load(port, path, RATE, SECONDS)
                told["cpu_ms"] = (cpu_seconds(pid) - before) * 1e3 / told["answered"]
                told["closed"] = _load(port, path, 0, CLOSED_SECONDS)["rate"]
                assert told["failed"] == told["lost"] == 0, f"{name}: {told}"
                seen[name].append(told)
                print(f"  {server} {name}: " + ", ".join(f"{k} {v:.3g}" for k, v in told.items()), flush=True)
    return _rows(server, seen)


def _rows(server: str, seen: dict[str, list[dict[str, float]]]) -> list[Row]:
    mid = {name: {key: median(one[key] for one in runs) for key in runs[0]} for name, runs in seen.items()}
    ours, twin = mid["ours"], mid["twin"]
    peer = f"FastAPI twin on {server}"
    budgeted = server == "granian"

    def row(what: str, key: str, limit: float | None, least: float | None = None, rate: bool = False) -> Row:
        ratio = ours[key] / twin[key] if rate else twin[key] / ours[key]
        if not budgeted:
            limit = least = None
        return Row(f"API on {server}, {what}", peer, ours[key], twin[key], ratio, limit, least, rate)

    return [
        row(f"mixed reads at {RATE:,}/s: server CPU a request, ms", "cpu_ms", 0.5),
        row(f"mixed reads at {RATE:,}/s: client p50, ms", "p50_ms", None),
        row(f"mixed reads at {RATE:,}/s: client p99, ms", "p99_ms", 5.0),
        row("mixed reads, closed loop on one core, requests/s", "closed", None, 2.0, rate=True),
    ]


def _load(port: int, path: Path, rate: float, seconds: float) -> dict[str, float]:
    command = [*pinned(1), sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(
        [*command, str(port), str(path), str(rate), str(seconds), str(CONNECTIONS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _same_answers(requests: list[str], ours: int, twin: int) -> None:
    for request in requests[:200]:
        line, _, rest = request.partition("\r\n")
        target = line.split(" ")[1]
        key = rest.partition("authorization: ")[2].strip()
        answers = [_answer(port, target, key) for port in (ours, twin)]
        assert answers[0] == answers[1], f"{target}: ours {answers[0]!r:.400}, the twin {answers[1]!r:.400}"
    for target in ("/v1/bars?instruments=equity:AAPL&bad=1", "/v1/orders?limit=0", "/v1/signals?order=up"):
        for port in (ours, twin):
            assert _answer(port, target, key) == 422, f"{target} was not refused"
    for port in (ours, twin):
        assert _answer(port, "/v1/orders", "Bearer tw_paper_nonsense") == 401


def _answer(port: int, target: str, key: str) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{target}", headers={"Authorization": key})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            value = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    value.pop("next_cursor", None)
    if value.get("feed"):
        value["feed"].pop("age_s")
    return value
