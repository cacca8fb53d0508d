"""The API under load, beside a FastAPI and Pydantic twin on the same server, over the same data.

Ours and the twin's server take turns, one process each on core 0, the client on core 1, loopback only. First requests
of every kind are answered by both and the answers are compared, value by value; then every page of bars is asked for
once. Then, at 1,000 requests a second: the mean processor time of the server a request (all of it, the server's own
included) and the client's latencies; and the closed loop: how many requests a second it can answer. After that ours
alone with PostgreSQL, and with the limits shared through Redis.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarks import postgres
from benchmarks.cache import redis_server
from benchmarks.machine import ROOT, cpu_seconds, peer_python, pinned
from benchmarks.mix import Asked, drawn, targets, text_of
from benchmarks.prepared import prepare_on, prepared_folder
from benchmarks.table import Row

from tradewright.accounts import keys
from tradewright.accounts.scopes import SCOPES
from tradewright.clock import WallClock
from tradewright.ids import SYSTEM
from tradewright.market.catalog import Catalog
from tradewright.market.panel import COLUMNS
from tradewright.storage import accounts, trading
from tradewright.storage.database import Database, Tx
from tradewright.storage.migrations import upgrade

PACKAGES = ("fastapi==0.165.0", "pydantic==2.14.3", "granian==2.8.7", "uvloop==0.23.0", "numpy")
RATE, SECONDS, CLOSED_SECONDS, CONNECTIONS, ROUNDS, WARM_SECONDS = 1_000, 4.0, 3.0, 32, 3, 5.0
KEYS = 1_000
COMPARED = 50  # requests of each path
APART = 20_000  # where each round begins in the requests: none sends what another one sent
LEAST_WARM, MOST_WARM_SECONDS = 10_000, 60.0
QUOTA = "60000000"
NO_LIMITS = {f"TRADEWRIGHT_{name}_LIMIT": QUOTA for name in ("KEY", "ORGANIZATION", "ADDRESS")}
OWN_CORE, OTHER_CORE = 0, 1
NOTE = (
    "The mix: 35 % bars (50 a page, drawn at random from 20 instruments x 500 starts = 10,000 distinct pages), 20 % "
    "quotes of random sets of 1 to 5 of 20 instruments, 15 % signals (50 a page), 20 % orders, fills, positions and "
    "portfolio (never cached), 10 % If-None-Match with the ETag of before, over bars, quotes, signals, instruments "
    "and data sets (all answered 304); 1,000 keys. Every guard is on in both, with limits so high that they refuse "
    "nothing: keys checked; three buckets of rate limits (address, key, organization) and their headers; security "
    "headers, request ids, sizes. Both keep series in memory, 64 MiB of encoded pages, and the balances of a portfolio "
    "in a table. The twin remembers keys for 2 s, versions and the state of the feed for 0.25 s; ours holds them until "
    "one of their tables was changed here, or anything elsewhere. Ours also runs what `tradewright api` runs beside "
    "the answers: sealing of the audit log, use of keys, retention. The same server and event loop "
    "(Granian, uvloop) for both; the twin reads SQLite with plain sqlite3, no ORM and no hop to a thread, returns "
    "cached pages as bytes and everything else by FastAPI's quickest way. PostgreSQL and Redis run on the client's "
    "core; their own processor time is not in the figures. When a server falls behind 1,000 requests a second, its "
    "client latencies are those of a growing queue."
)


@dataclass(frozen=True, slots=True)
class Contender:
    """One server under test."""

    name: str
    command: list[str]
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Installation:
    """A prepared data folder with keys, and what is asked of it. times: the bar times of each instrument."""

    place: Path
    database_url: str
    keys: list[str]
    portfolio: str
    times: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class Runner:
    """A contender that runs. warm, mixed: files of requests. counts, log: files that it writes."""

    name: str
    pid: int
    port: int
    warm: Path
    mixed: Path
    counts: Path
    log: Path


def run(folder: Path) -> list[Row]:
    """Return the measured rows. Raises AssertionError when the two do not answer alike."""
    here = _embedded(folder)
    python = peer_python(folder, "fastapi", PACKAGES)
    table: list[Row] = []
    table += _measure("SQLite", [_ours(here), _twin(python, here.place)], here, folder)
    with postgres.server(pinned(OTHER_CORE)) as url, tempfile.TemporaryDirectory(prefix="tradewright-bench-") as place:
        if url is not None:
            table += _on_postgres(url, Path(place), folder)
    return table


def _on_postgres(url: str, place: Path, folder: Path) -> list[Row]:
    prepare_on(url, place / "data")
    there = installed(place / "data", url)
    ours = _ours(there)
    table = _measure("PostgreSQL", [ours], there, folder)
    with redis_server(place, pinned(OTHER_CORE)) as cache:
        if cache is not None:
            shared = replace(ours, environment=ours.environment | {"TRADEWRIGHT_CACHE_URL": cache})
            table += _measure("PostgreSQL, limits shared through Redis", [shared], there, folder)
    return table


# --- what is served ---------------------------------------------------------------------------------------------------


def _embedded(folder: Path) -> Installation:
    source, place = prepared_folder(folder), folder / "api-data"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place)
    made = installed(place, f"sqlite:///{place / 'tradewright.db'}")
    _store_series(place, made.database_url)
    return made


def installed(place: Path, url: str) -> Installation:
    """Return a prepared data folder with a thousand keys made in it."""
    with Database(url) as database:
        upgrade(database)
        organization = database.read(accounts.first_organization)
        assert organization is not None
        texts = database.write(_make_keys, organization)
        portfolio = database.read(trading.list_portfolios, organization, "paper", 1)[0]["id"]
        bars = Catalog(place, database).read(SYSTEM, "skfolio", None, "1d")
    parts = bars.partition_by("instrument", as_dict=True).items()
    return Installation(place, url, texts, portfolio, {str(name[0]): part["time"].to_list() for name, part in parts})


def _store_series(place: Path, url: str) -> None:
    with Database(url) as database:
        bars = Catalog(place, database).read(SYSTEM, "skfolio", None, "1d")
    arrays: dict[str, Any] = {}
    for (name, *_), part in bars.partition_by("instrument", as_dict=True).items():
        arrays[f"{name}|time"] = part["time"].to_numpy()
        for column in COLUMNS:
            arrays[f"{name}|{column}"] = part[column].cast(float).fill_null(float("nan")).to_numpy()
    np.savez(place / "series.npz", **arrays)


def _make_keys(tx: Tx, organization: str) -> list[str]:
    now = WallClock().now_us()
    return [keys.create(tx, organization, "paper", f"load {n}", list(SCOPES), now)[1] for n in range(KEYS)]


# --- servers ----------------------------------------------------------------------------------------------------------


def _ours(on: Installation) -> Contender:
    environment = {
        "TRADEWRIGHT_DATA_FOLDER": str(on.place),
        "TRADEWRIGHT_DATABASE_URL": on.database_url,
        "PYTHONPATH": str(ROOT),
        **NO_LIMITS,
    }
    command = _served(Path(sys.executable), "--factory", "benchmarks.counting:application")
    return Contender("ours", command, environment)


def _twin(python: Path, place: Path) -> Contender:
    environment = {"TWIN_FOLDER": str(place), "TWIN_QUOTA": QUOTA, "PYTHONPATH": str(ROOT / "benchmarks")}
    return Contender("twin", _served(python, "twin_fastapi:app"), environment)


def _served(python: Path, *application: str) -> list[str]:
    options = ["--interface", "asgi", "--workers", "1", "--loop", "uvloop", "--log-level", "warning", "--no-ws"]
    return [*pinned(OWN_CORE), str(python), "-m", "granian", *options, *application]


@contextmanager
def _running(contender: Contender, folder: Path) -> Iterator[Runner]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    counts = folder / f"counts-{contender.name}.json"
    counts.unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWRIGHT_")} | contender.environment
    environment |= {"BENCH_COUNTS": str(counts), "GRANIAN_PORT": str(port)}
    log = folder / f"server-{contender.name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(contender.command, env=environment, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, f"{contender.name} ended: {' '.join(contender.command)}\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{contender.name} does not answer"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        files = (folder / f"requests-{contender.name}-{part}.json" for part in ("warm", "mixed"))
        yield Runner(contender.name, process.pid, port, *files, counts, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# --- measuring --------------------------------------------------------------------------------------------------------


def _measure(label: str, contenders: Sequence[Contender], on: Installation, folder: Path) -> list[Row]:
    """Return the rows of one server: ours beside the twin, or ours alone."""
    asked = drawn(on.times, on.portfolio, on.keys)
    seen: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in contenders}
    with ExitStack() as stack:
        runners = [stack.enter_context(_running(contender, folder)) for contender in contenders]
        if len(runners) > 1:
            _same_answers(asked, *(runner.port for runner in runners))
        for runner in runners:
            _write_requests(asked, on, runner)
            warm(runner.port, runner.warm, runner.mixed)
        for number in range(ROUNDS):
            for runner in runners if number % 2 == 0 else reversed(runners):
                told = _round(runner, number)
                seen[runner.name].append(told)
                print(f"  {label}, {runner.name}: " + ", ".join(f"{k} {v:.3g}" for k, v in told.items()), flush=True)
        missed = runners[0].log.read_text().count("the cache does not answer")
    rows = _rows(label, seen)
    if "TRADEWRIGHT_CACHE_URL" in contenders[0].environment:
        rows.append(Row(f"API on {label}, times Redis did not answer in time (limits unshared for 1 s)", "", missed))
    return rows


def _write_requests(asked: Sequence[Asked], on: Installation, runner: Runner) -> None:
    write_requests(runner.warm, every_page(on), {})
    write_requests(runner.mixed, asked, etags_of(asked, runner.port, on.keys[0]))


def every_page(on: Installation) -> list[Asked]:
    """Return a request for each page of bars that the mix draws from."""
    return [Asked(target, on.keys[n % KEYS]) for n, target in enumerate(targets(on.times, on.portfolio)["bars"])]


def etags_of(asked: Sequence[Asked], port: int, key: str) -> dict[str, str]:
    """Return the ETag of each target that is asked for again with it."""
    again = dict.fromkeys(one.target for one in asked if one.unchanged)
    return {target: _answer(port, target, key)[1] for target in again}


def write_requests(path: Path, requests: Sequence[Asked], etags: Mapping[str, str]) -> None:
    """Write requests as the load sends them."""
    path.write_text(json.dumps([text_of(one, etags) for one in requests]))


def warm(port: int, pages: Path, mixed: Path) -> None:
    """Ask for every page of bars once, then for some of the mix, as fast as answers come."""
    answered = 0.0
    deadline = time.monotonic() + MOST_WARM_SECONDS
    while answered < LEAST_WARM and time.monotonic() < deadline:
        answered += run_load(port, pages, 0, WARM_SECONDS, int(answered))["answered"]
    run_load(port, mixed, 0, WARM_SECONDS, APART * ROUNDS)


def _round(runner: Runner, number: int) -> dict[str, float]:
    first = APART * number
    hits, cpu = _counts(runner), cpu_seconds(runner.pid)
    told = run_load(runner.port, runner.mixed, RATE, SECONDS, first)
    told["cpu_ms"] = (cpu_seconds(runner.pid) - cpu) * 1e3 / told["answered"]
    closed = run_load(runner.port, runner.mixed, 0, CLOSED_SECONDS, first + int(RATE * SECONDS))
    assert told["failed"] == told["lost"] == closed["failed"] == closed["lost"] == 0, f"{runner.name}: {told} {closed}"
    told["closed"] = closed["rate"]
    after = _counts(runner)
    if after:
        asked = sum(after[name] - hits[name] for name in ("hits", "misses"))
        told["hit_rate"] = (after["hits"] - hits["hits"]) / asked
    return told


def _counts(runner: Runner) -> Mapping[str, float]:
    time.sleep(0.5)  # they are written four times a second
    counts: dict[str, float] = json.loads(runner.counts.read_text()) if runner.counts.exists() else {}
    return counts


def _rows(label: str, seen: Mapping[str, Sequence[Mapping[str, float]]]) -> list[Row]:
    mid = {name: {key: median(one[key] for one in runs) for key in runs[0]} for name, runs in seen.items()}
    ours, twin = mid["ours"], mid.get("twin")
    peer = "" if twin is None else f"FastAPI twin on {label}"

    def row(what: str, key: str, limit: float | None, least: float | None = None, rate: bool = False) -> Row:
        theirs = None if twin is None else twin[key]
        ratio = None if theirs is None else ours[key] / theirs if rate else theirs / ours[key]
        if twin is None:
            limit = least = None
        return Row(f"API on {label}, {what}", peer, ours[key], theirs, ratio, limit, least, rate)

    hits = 100 * ours["hit_rate"]
    return [
        row(f"mixed reads at {RATE:,}/s: server CPU a request, ms", "cpu_ms", 0.5),
        row(f"mixed reads at {RATE:,}/s: client p50, ms", "p50_ms", None),
        row(f"mixed reads at {RATE:,}/s: client p99, ms", "p99_ms", 5.0),
        row("mixed reads, closed loop on one core, requests/s", "closed", None, 2.0, rate=True),
        Row(f"API on {label}, hit rate of the page cache (bars, quotes, signals), %", "", hits, rate=True),
    ]


def run_load(port: int, path: Path, rate: float, seconds: float, first: int) -> dict[str, float]:
    """Return what the load told (benchmarks/load.py), run on the client's core. Raises CalledProcessError."""
    command = [*pinned(OTHER_CORE), sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(
        [*command, str(port), str(path), str(rate), str(seconds), str(CONNECTIONS), str(first)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told: dict[str, float] = json.loads(done.stdout)
    return told


# --- the same answers -------------------------------------------------------------------------------------------------


def _same_answers(asked: Sequence[Asked], ours: int, twin: int) -> None:
    kinds: dict[str, int] = {}
    for one in asked[: COMPARED * 60]:
        kind = one.target.partition("?")[0]
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] > COMPARED:
            continue
        shown = [_answer(port, one.target, one.key) for port in (ours, twin)]
        values = [_comparable(body) for _, _, body in shown]
        assert values[0] == values[1], f"{one.target}: ours {values[0]!r:.400}, the twin {values[1]!r:.400}"
        if one.unchanged:
            again = [_answer(port, one.target, one.key, s[1]) for port, s in zip((ours, twin), shown, strict=True)]
            assert [s[0] for s in again] == [304, 304], f"{one.target}: {[s[0] for s in again]} where 304 was due"
    for target in ("/v1/bars?instruments=equity:AAPL&bad=1", "/v1/orders?limit=0", "/v1/signals?order=up"):
        _both(ours, twin, target, asked[0].key, 422)
    _both(ours, twin, "/v1/orders", "tw_paper_nonsense", 401)
    _both(ours, twin, "/v1/quotes?instruments=equity:NOSUCH", asked[0].key, 404)


def _both(ours: int, twin: int, target: str, key: str, status: int) -> None:
    found = [_answer(port, target, key)[0] for port in (ours, twin)]
    assert found == [status, status], f"{target}: {found} where {status} was due"


def _comparable(body: bytes) -> Any:
    value = json.loads(body)
    value.pop("next_cursor", None)
    if value.get("feed"):
        value["feed"].pop("age_s")
    return value


def _answer(port: int, target: str, key: str, etag: str = "") -> tuple[int, str, bytes]:
    headers = {"Authorization": f"Bearer {key}"} | ({"If-None-Match": etag} if etag else {})
    request = urllib.request.Request(f"http://127.0.0.1:{port}{target}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers.get("etag", ""), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("etag", ""), error.read()
