"""The command line as a person meets it: each test calls the real command in a process of its own."""

from __future__ import annotations

import base64
import http.server
import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from running import Answer, Up, call
from tradewright.cli import main
from tradewright.storage.database import Database
from tradewright.storage.tables import quarantine, series, trials

COMMAND = (sys.executable, "-m", "tradewright")
GOOD_CSV = "timestamp,open,high,low,close,volume\n" + "".join(
    f"2024-01-{day:02},{100 + day},{102 + day},{99 + day},{101 + day},1000\n" for day in (2, 3, 4, 5, 8, 9, 10, 11, 12)
)


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(**settings: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWRIGHT_")}
    return inherited | {f"TRADEWRIGHT_{name.upper()}": value for name, value in settings.items()}


def tradewright(folder: Path, *arguments: str | Path, seconds: float = 100, **settings: str) -> Said:
    """Run the command on a data folder; a traceback fails the test, whatever it is about."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment(data_folder=str(folder), **settings),
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    assert "a fault of Tradewright" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)


def at_once(folder: Path, *arguments: str | Path, **settings: str) -> Said:
    """The same within this process, for what ends before a process of its own would add anything."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("TRADEWRIGHT_")]:
            patch.delenv(name)
        for name, value in {"data_folder": str(folder), **settings}.items():
            patch.setenv(f"TRADEWRIGHT_{name.upper()}", value)
        patch.setattr(sys, "argv", ["tradewright", *map(str, arguments)])
        patch.chdir(folder.parent)
        with pytest.raises(SystemExit) as ended:
            main()
    assert "a fault of Tradewright" not in err.getvalue(), err.getvalue()
    return Said(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def refused(said: Said, *words: str, status: int = 1) -> None:
    """It ended with this status and said these words."""
    assert said.status == status, said
    for word in words:
        assert word in said.err, said.err


def rows(folder: Path, table: sa.Table) -> list[Any]:
    with Database(f"sqlite:///{folder / 'tradewright.db'}") as database:
        return database.read(lambda tx: list(tx.execute(sa.select(table))))


@contextmanager
def api(folder: Path, **settings: str) -> Iterator[str]:
    """`tradewright api` on a free port; it must end cleanly on SIGTERM."""
    process = subprocess.Popen(
        [*COMMAND, "api", "--port", "0", "--json"],
        env=environment(data_folder=str(folder), **settings),
        cwd=folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = ""
        while said.count("{") == 0 or said.count("{") != said.count("}"):
            line = process.stdout.readline()  # type: ignore[union-attr]
            assert line, said
            said += line
        yield json.loads(said)["address"]
        process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=20)[0]
        assert process.returncode == 0, rest
        assert "Traceback" not in rest
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@contextmanager
def answering(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server on this machine that answers every GET with `answer`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def playing(status: int, body: bytes) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hanging_up(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


def recorded(shared: Path, name: str) -> tuple[int, bytes]:
    answer = json.loads((shared / "recordings" / "binance" / f"{name}.json").read_text())["response"]
    return answer["status"], json.dumps(answer["body"]).encode()


FETCH = ("ingest", "binance", "crypto:ETH-BTC", "--interval", "1m", "--start", "2017-01-01", "--end", "2025-01-01")


# --- ingest from a source -------------------------------------------------------------------------------------------


def test_an_api_whose_first_process_is_killed_leaves_none_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "api", "--port", "0"],
        env=environment(data_folder=str(tmp_path / "data")),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        address = process.stdout.readline().split()[-1]  # type: ignore[union-attr]
        assert call(address, "/livez").status == 200
        process.kill()
    deadline = time.monotonic() + 10
    while _answers(address):
        assert time.monotonic() < deadline, "it goes on without its first process"
        time.sleep(0.05)


def _answers(address: str) -> bool:
    try:
        return call(address, "/livez").status == 200
    except OSError:
        return False


def test_recorded_bars_are_fetched_once_listed_and_served(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    status, body = recorded(shared, "bars_intraday__ccxt-ETHBTC-1m")
    sent = json.loads(body)
    with answering(playing(status, body)) as address:
        first = tradewright(folder, *FETCH, "--json", binance_url=address).json
        again = tradewright(folder, *FETCH, "--json", binance_url=address).json
    assert (first["rows_read"], first["accepted"], first["stored"]) == (len(sent), len(sent), len(sent))
    assert (again["rows_read"], again["stored"]) == (len(sent), 0)
    (listed,) = tradewright(folder, "catalog", "--json").json
    assert (listed["instrument"], listed["source"], listed["rows"]) == ("crypto:ETH-BTC", "binance", len(sent))
    assert "crypto:ETH-BTC" in tradewright(folder, "catalog", "verdict").out
    key = tradewright(folder, "keys", "create", "--json").json["key"]
    with api(folder) as served:
        page = call(served, "/v1/bars?instruments=crypto:ETH-BTC&interval=1m&start=2017-01-01T00:00:00Z", key).json
    assert [bar["close"] for bar in page["data"]] == [float(row[4]) for row in sent]


def test_a_source_that_fails_is_told_and_stores_nothing(shared: Path, tmp_path: Path) -> None:
    limited = recorded(shared, "error_rate_limited__ccxt-weight")
    unknown = recorded(shared, "error_unknown_symbol__-1121")
    cases: dict[str, tuple[Callable[[http.server.BaseHTTPRequestHandler], None] | None, str]] = {
        "limited": (playing(429, limited[1]), "too many requests"),
        "broken": (playing(500, b"oops"), "answered 500: oops"),
        "a page": (playing(200, b"<html>log in</html>"), "page for people"),
        "garbage": (playing(200, b'[[1, "x"]]'), "no list of candles"),
        "bad numbers": (
            playing(200, json.dumps([[1591478520000, "x", "1", "1", "1", "1", 2, "", 0, "", "", "0"]]).encode()),
            "expected a number",
        ),
        "hanging up": (hanging_up, "did not answer"),
        "unknown": (playing(unknown[0], unknown[1]), "does not know 'ETHBTC'"),
        "empty": (playing(200, b"[]"), "has no bars of crypto:ETH-BTC"),
        "absent": (None, "did not answer"),
    }

    def attempt(number: int, answer: Callable[[http.server.BaseHTTPRequestHandler], None] | None) -> tuple[Said, Path]:
        folder = tmp_path / f"data{number}"
        if answer is None:
            said = tradewright(folder, *FETCH, binance_url="http://127.0.0.1:9")
        else:
            with answering(answer) as address:
                said = tradewright(folder, *FETCH, binance_url=address)
        return said, folder

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(attempt, range(len(cases)), [answer for answer, _ in cases.values()]))
    for name, (said, folder), (_, words) in zip(cases, outcomes, cases.values(), strict=True):
        assert said.status == (2 if name == "unknown" else 1), (name, said)
        assert words in said.err, (name, said.err)
        assert rows(folder, series) == rows(folder, quarantine) == [], name


def test_bars_of_another_time_than_was_asked_for_are_told(tmp_path: Path) -> None:
    candle = [1_591_478_520_000, "1", "2", "1", "2", "5", 1_591_478_579_999, "0", 1, "0", "0", "0"]
    later = [1_591_478_580_000, *candle[1:6], 1_591_478_639_999, *candle[7:]]
    with answering(playing(200, json.dumps([candle, later]).encode())) as address:
        said = at_once(
            tmp_path / "data", *FETCH[:5], "--start", "2019-01-01", "--end", "2019-01-02", binance_url=address
        )
    refused(
        said, "has no bars of crypto:ETH-BTC at 1m from 2019-01-01T00:00:00Z to 2019-01-02T00:00:00Z: it answered",
        "from 2020-06-06T21:23:00Z to 2020-06-06T21:24:00Z",
    )  # fmt: skip


def test_how_a_command_about_sources_ends_is_as_documented(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    nobody = {"binance_url": "http://127.0.0.1:9", "fred_url": "http://127.0.0.1:9"}
    coin, fact = ("binance", "crypto:A-B"), ("fred", "macro:GDP")
    cases: list[tuple[tuple[str, ...], str, int]] = [
        (("ingest", *coin, "--interval", "2d"), "usage", 2),
        (("ingest", "nowhere", "crypto:A-B"), "unknown_name", 2),
        (("ingest", "nowhere.csv", "crypto:A-B"), "not_found", 1),
        (("ingest", "ecb", "fx:EUR-USD", "--interval", "1m"), "invalid_input", 2),
        (("ingest", *coin, "--start", "2024-01-02", "--end", "2024-01-01"), "invalid_input", 2),
        (("ingest", *coin), "source_failed", 1),
        (("ingest", *fact), "source_refused", 1),
        (("follow", "nowhere", "crypto:A-B"), "unknown_name", 2),
        (("follow", *fact), "source_refused", 1),
        (("follow", "kucoin", "crypto:BTC-USDT"), "invalid_input", 2),
        (("sources", "check", "nowhere"), "unknown_name", 2),
        (("sources", "credentials", "nowhere", "--forget"), "not_found", 1),
        (("sources", "credentials", "fred", "--forget"), "not_found", 1),
    ]
    for words, code, status in cases:
        said = at_once(folder, *words, "--json", **nobody)
        assert (said.status, json.loads(said.out)["error"]["code"]) == (status, code), (words, said)
        assert said.err.startswith("error: "), words
        assert said.err.count("\n") == 1, words
    said = at_once(folder, "sources", "check", "binance", "fred", "--json", **nobody)
    assert [row["status"] for row in json.loads(said.out)] == ["failed", "refused"]
    assert said.status == 1


def test_an_address_or_span_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for address in ("ftp://x", "http://[::1", "http://127.0.0.1:99999", "http://a b", "x"):
        refused(at_once(folder, *FETCH, binance_url=address), "must begin with http", repr(address), status=2)
    refused(at_once(folder, *FETCH[:5], "--start", "soon"), "'soon' is not a time", status=2)
    refused(at_once(folder, *FETCH[:5], "--start", "2024-01-02", "--end", "2024-01-01"), "swap them", status=2)
    refused(at_once(folder, *FETCH[:5], "--start", "1900-01-01"), "at most 50,000,000 bars at a time", status=2)
    refused(at_once(folder, *FETCH[:3], "ETHBTC"), "crypto:ETH-BTC is named before", status=2)
    refused(at_once(folder, *FETCH[:3], "--interval", "3d"), "'3d' is not one of", status=2)
    refused(at_once(folder, "ingest", "binance", "equity:AAPL"), "is nothing that Binance spot has", status=2)
    refused(at_once(folder, "ingest", "binance"), "at least one instrument", status=2)
    refused(at_once(folder, "ingest", "binanse", "crypto:A-B"), "did you mean binance", status=2)


# --- ingest from a file ---------------------------------------------------------------------------------------------


def test_every_line_of_a_bad_file_is_accounted_for(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "bars.csv"
    bad = [
        "2024-01-12,112,114,111,113,1000",  # written twice: a duplicate
        "2024-01-03,103,105,102,nan,1000",  # no close
        "2024-01-16,-5,117,114,116,1000",  # negative, and after an earlier one
        "2024-01-17,x,117,114,116,1000",  # no number
        "someday,1,2,1,2,1000",  # no time
        "0001-01-01,1,2,1,2,1000",  # a year that cannot be
        "2024-01-18,1,2",  # too short
    ]
    file.write_text(GOOD_CSV + "\n".join(bad) + "\n")
    report = tradewright(folder, "ingest", file, "equity:TEST", "--json").json
    assert report["rows_read"] == 9 + len(bad)
    assert report["accepted"] + report["rejected"] + report["duplicates"] == report["rows_read"]
    assert report["duplicates"] == 1
    assert report["rejected"] == 6
    kept = rows(folder, quarantine)
    assert len(kept) == report["rejected"]
    assert all(row.detail for row in kept)
    said = tradewright(folder, "ingest", file, "equity:TEST")
    assert said.status == 1, "more than a fifth of the rows is bad"
    assert said.err.startswith("error: the data is rejected (equity:TEST ")
    assert "`tradewright catalog verdict` shows why" in said.err
    assert "16 rows read: 9 accepted (0 of them new), 6 to quarantine, 1 identical duplicates" in said.out
    for code in ("unparseable", "duplicate_rows", "unordered_rows"):
        assert code in said.out
    assert len(rows(folder, quarantine)) == report["rejected"]


def test_a_file_that_rewrites_what_is_stored_is_told_in_numbers_and_in_the_verdict(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "bars.csv"
    file.write_text(GOOD_CSV)
    tradewright(folder, "ingest", file, "equity:TEST")
    lines = GOOD_CSV.splitlines()
    day, first, high, low, close, volume = lines[4].split(",")
    lines[4] = ",".join([day, first, high, low, low, volume])
    file.write_text("\n".join(lines) + "\n")
    said = tradewright(folder, "ingest", file, "equity:TEST")
    assert "9 accepted (0 of them new, 1 in the place of other values)" in said.out
    assert "rewritten_rows: 1 of 9 bars came again with other values" in said.out
    assert f"went from {close} to {low}" in said.out
    report = tradewright(folder, "ingest", file, "equity:TEST", "--json").json
    assert (report["stored"], report["revised"]) == (0, 0)
    assert "rewritten_rows" in [finding["code"] for finding in report["findings"]]


def test_files_of_one_instrument_are_told_apart_by_the_name_they_are_given(tmp_path: Path) -> None:
    folder, one, other = tmp_path / "data", tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text(GOOD_CSV)
    other.write_text(GOOD_CSV.replace(",1000", ",2000"))
    tradewright(folder, "ingest", one, "equity:TEST")
    report = tradewright(folder, "ingest", other, "equity:TEST", "--as", "vendor_b", "--json").json
    assert (report["source"], report["stored"], report["revised"]) == ("vendor_b", 9, 0)
    listed = tradewright(folder, "catalog", "--json").json
    assert [(row["source"], row["rows"]) for row in listed] == [("file", 9), ("vendor_b", 9)]
    mixed = tradewright(folder, "ingest", other, "equity:TEST")
    assert "9 in the place of other values" in mixed.out
    assert "of the series of `file`; `--as NAME` keeps another file in a series of its own" in mixed.out
    for name, why in (("binance", "is the name of a source"), ("Vendor B", "small letters"), ("skfolio", "data set")):
        refused = tradewright(folder, "ingest", other, "equity:TEST", "--as", name)
        assert (refused.status, why in refused.err) == (2, True), refused.err
    words = ("backtest", "buy_and_hold", "--instruments", "equity:TEST")
    assert "comes from file, vendor_b; choose one with source=" in tradewright(folder, *words).err
    done = tradewright(folder, *words, "--source", "vendor_b", "--json")
    assert done.status == 0, done.err
    refused = tradewright(folder, "ingest", "us-indices", "--as", "mine")
    assert (refused.status, "only a file is given a name" in refused.err) == (2, True), refused.err


def test_files_without_a_day_in_common_are_not_said_to_be_compared(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "bars.csv"
    for name, months in (("one", ["2024-01"]), ("other", ["2024-03"]), ("third", ["2024-01", "2024-02", "2024-03"])):
        days = [f"{month}-{day:02}" for month in months for day in (4, 5, 11)]
        file.write_text("date,close\n" + "".join(f"{day},1.{n}\n" for n, day in enumerate(days)))
        report = tradewright(folder, "ingest", file, "equity:TEST", "--as", name, "--json").json
        known = [each["sources"] for each in report["compared"]] if "compared" in report else []
        assert known == ([["one", "other", "third"]] if name == "third" else []), name


def test_a_file_of_a_share_of_another_market_is_judged_by_that_market(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "vod.csv"  # 2 May 2022 was a holiday in London and none in New York
    days = ("2022-04-28", "2022-04-29", "2022-05-03", "2022-05-04", "2022-05-05")
    file.write_text("date,close\n" + "".join(f"{day},1.{n}\n" for n, day in enumerate(days)))
    refused(tradewright(folder, "ingest", file, "equity:VOD.XLON"), "name the currency of its prices", status=2)
    report = tradewright(folder, "ingest", file, "equity:VOD.XLON", "--currency", "GBP", "--json").json
    assert (report["stored"], [finding["code"] for finding in report["findings"]]) == (5, ["close_only"])


def test_a_file_that_is_none_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder, file = tmp_path / "data", tmp_path / "bars.csv"

    def ingest(content: bytes, *words: str) -> None:
        file.write_bytes(content)
        refused(at_once(folder, "ingest", file, "equity:TEST"), *words, status=2)

    ingest(b"", "the file is empty")
    ingest(b"time,open,high,low\n2024-01-01,1,1,1\n", "has no column close", "time, open, high, low")
    ingest(b"time,open,high,low,close\n", "no rows below the header")
    ingest(bytes(range(256)) * 20, "is no text file")
    file.write_text(GOOD_CSV)
    refused(at_once(folder, "ingest", tmp_path, "equity:TEST"), "is a folder", status=2)
    refused(at_once(folder, "ingest", tmp_path / "none.csv", "equity:TEST"), "there is no file")
    refused(at_once(folder, "ingest", file, "TEST"), "'TEST' is not an instrument id", "equity:AAPL", status=2)
    refused(at_once(folder, "ingest", file, "stock:TEST"), "is not an instrument id", status=2)
    refused(at_once(folder, "ingest", file, "equity:A", "equity:B"), "one instrument", status=2)
    refused(at_once(folder, "ingest", "us-indices", "equity:A"), "comes whole", status=2)
    refused(at_once(folder, "ingest", "us-indices", "--interval", "1h"), "us-indices has bars of 1d", status=2)
    for words in (["us-indices"], [file, "equity:TEST"]):
        for bound in ("--start", "--end"):
            refused(at_once(folder, "ingest", *words, bound, "2024-01-04"), "comes whole; leave --start", status=2)
    assert at_once(folder, "catalog", "--json").json == []


def test_a_full_disk_is_told_and_works_when_space_is_free(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a disk of its own can only be mounted by root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no disk of its own can be mounted here: {mounted.stderr.strip()}")
    try:
        folder, small, large = disk / "data", tmp_path / "small.csv", tmp_path / "large.csv"
        small.write_text(GOOD_CSV)
        large.write_text(
            "timestamp,open,high,low,close,volume\n"
            + "".join(f"{1_600_000_000 + 60 * n},{n}.5,{n + 1}.25,{n}.125,{n}.75,{n * 7}\n" for n in range(1, 60_000))
        )
        assert tradewright(folder, "ingest", small, "equity:TEST").status == 0
        filler = disk / "filler"
        filler.write_bytes(b"x" * (_free(disk) - 300_000))
        full = tradewright(folder, "ingest", large, "crypto:BIG-USD", "--interval", "1m")
        refused(full, "the disk is full", "free some space, then run it again")
        assert full.err.count("\n") == 1, "what a library says of it is no matter of the user"
        filler.unlink()
        before = tradewright(folder, "catalog", "--json").json
        assert [(s["instrument"], s["rows"]) for s in before if s["rows"]] == [("equity:TEST", 9)]
        assert tradewright(folder, "ingest", large, "crypto:BIG-USD", "--interval", "1m").status == 0
        assert {s["instrument"]: s["rows"] for s in tradewright(folder, "catalog", "--json").json} == {
            "equity:TEST": 9,
            "crypto:BIG-USD": 59_999,
        }
    finally:
        subprocess.run(["umount", disk], check=True)


def _free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize


# --- backtest, train, report ----------------------------------------------------------------------------------------


def test_each_strategy_is_tested_reported_and_counted(tmp_path: Path, data_folder: Path) -> None:
    page = tmp_path / "report.html"
    before = len(rows(data_folder, trials))
    cross = ("backtest", "moving_average_cross", "--data", "us-stocks", "--param", "fast=10", "--report", page)
    with ThreadPoolExecutor(2) as pool:
        crossed = pool.submit(tradewright, data_folder, *cross)
        held = pool.submit(tradewright, data_folder, "backtest", "buy_and_hold", "--data", "us-stocks", "--json")
    assert crossed.result().status == 0, crossed.result()
    assert "annual_return" in crossed.result().out
    assert "Figure(" not in crossed.result().out
    assert page.read_text().startswith("<!doctype html>")
    summary = held.result().json["summary"]
    assert summary["strategy"]["name"] == "buy_and_hold"
    assert summary["statistics"]["fills"]["value"] == 20
    assert len(rows(data_folder, trials)) == before + 2


def test_a_backtest_that_cannot_be_is_refused_with_the_reason(data_folder: Path) -> None:
    cross = ("backtest", "moving_average_cross", "--data", "us-stocks")
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("backtest", "moving_average_cros", "--data", "us-stocks"), 2, "did you mean moving_average_cross?"),
        ((*cross, "--param", "fst=3"), 2, "did you mean fast?"),
        ((*cross, "--param", "fast=x"), 2, "fast must be a"),
        ((*cross, "--param", "fast=99"), 2, "1 <= fast < slow"),
        ((*cross, "--param", "fast"), 2, "takes name=value"),
        ((*cross, "--cash", "-5"), 2, "cash must be"),
        ((*cross, "--fee-rate", "nan"), 2, "fee_rate must be"),
        (("backtest", "fixed_targets", "--data", "us-stocks"), 2, "needs the parameter targets"),
        (("backtest", "buy_and_hold", "--data", "us-stonks"), 2, "did you mean us-stocks?"),
        (("backtest", "buy_and_hold", "--data", "us-indices"), 2, "never traded"),
        (("backtest", "buy_and_hold"), 2, "name --data"),
        (("backtest", "buy_and_hold", "--instruments", "equity:NONE"), 2, "there is no"),
        ((*cross, "--report", "/proc/none/report.html"), 1, "Nothing was run"),
        (("report", "bkt_none"), 1, "there is no finished backtest 'bkt_none'"),
        (("train", "--data", "us-stonks"), 2, "did you mean us-stocks?"),
        (("train", "--horizon", "0"), 2, "must be at least 1"),
    ]
    answers = [at_once(data_folder, *arguments, "--json") for arguments, _, _ in cases]
    for (arguments, status, words), said in zip(cases, answers, strict=True):
        assert (said.status, arguments) == (status, arguments), said
        assert words in said.json["error"]["message"], said
        assert said.json["error"]["message"] in said.err


def test_a_model_is_trained_on_a_folder_that_was_empty(tmp_path: Path) -> None:
    made = tradewright(tmp_path / "data", "train", "--data", "us-stocks", "--splits", "2", "--json").json
    assert made["schedule"].startswith("msc_")
    assert made["evidence"] in ("none", "weak", "supported", "leaking")
    assert made["reason"]


# --- keys, documents, the API ---------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_ends_when_it_is_revoked(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = tradewright(folder, "keys", "create", "--name", "mine", "--json").json
    secret = made["key"].removeprefix("tw_paper_")[8:]
    assert all(secret.encode() not in file.read_bytes() for file in folder.rglob("*") if file.is_file())
    listed = tradewright(folder, "keys", "list", "--json")
    assert secret not in listed.out
    assert [(key["id"], key["name"], key["state"]) for key in listed.json] == [(made["id"], "mine", "valid")]
    with api(folder) as address:
        assert call(address, "/v1/portfolios", made["key"]).status == 200
        assert tradewright(folder, "keys", "revoke", made["id"], "--json").json["state"] == "revoked"
        deadline = time.monotonic() + 5
        while call(address, "/v1/portfolios", made["key"]).status != 401:
            assert time.monotonic() < deadline, "a revoked key is still accepted"
            time.sleep(0.1)
        served = call(address, "/openapi.json").json
    refused(tradewright(folder, "keys", "revoke", made["id"]), "there is no valid key")
    refused(tradewright(folder, "keys", "create", "--environment", "moon"), "sandbox, paper, live", status=2)
    refused(tradewright(folder, "keys", "create", "--scope", "signals:reed"), "did you mean signals:read", status=2)
    nowhere = tmp_path / "nowhere"
    assert tradewright(nowhere, "openapi").json == served
    assert not nowhere.exists()


def test_the_audit_logs_that_no_organization_sees_are_shown_and_checked(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    tradewright(folder, "keys", "create")
    none = tradewright(folder, "audit", "list")
    assert (none.status, none.out.strip()) == (
        0,
        "there are no entries yet; `tradewright audit verify` lists every log",
    )
    assert tradewright(folder, "audit", "list", "--json").json == []
    with api(folder) as address:
        wrong = {"email": "ada@example.com", "password": "no password of hers"}
        assert call(address, "/v1/auth/login", "", "POST", wrong).status == 401
    listed = tradewright(folder, "audit", "list", "--json").json
    assert [(row["action"], row["actor"]) for row in listed] == [("login.failed", "anonymous")]
    checked = tradewright(folder, "audit", "verify", "--json")
    assert checked.status == 0, checked
    chain = next(row for row in checked.json if row["organization"] == "")
    assert (chain["verified"], chain["sealed"]) == (True, 1)
    with sqlite3.connect(folder / "tradewright.db") as database:
        database.execute("UPDATE audit_log SET actor = 'somebody else' WHERE organization = ''")
    broken = tradewright(folder, "audit", "verify")
    assert broken.status == 1
    assert f"BROKEN after 0 entries: {listed[0]['id']} was changed" in broken.out
    assert "what was recorded of no organization was changed afterwards" in broken.err
    refused(tradewright(folder, "audit", "list", "--organization", "org_none"), "there is no audit log of 'org_none'")
    refused(tradewright(folder, "audit", "list", "--limit", "0"), "--limit takes 1 to 10,000", status=2)


def test_a_key_used_just_before_the_end_is_known_as_used(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = tradewright(folder, "keys", "create", "--json").json
    with api(folder) as address:
        assert call(address, "/v1/portfolios", made["key"]).status == 200
    with sqlite3.connect(folder / "tradewright.db") as database:
        used = database.execute("SELECT last_used_at FROM api_keys WHERE id = ?", (made["id"],)).fetchone()
    assert used[0] is not None


def test_commands_that_only_look_make_no_folder(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    for command in (("catalog",), ("signals",), ("keys", "list"), ("keys", "revoke", "x"), ("report", "x")):
        said = at_once(nowhere, *command, "--json")
        refused(said, "nothing in the data folder", "tradewright up")
        assert said.json["error"]["code"] == "not_found"
    assert not nowhere.exists()


def test_misuse_ends_with_2_and_says_how(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    refused(tradewright(folder, "ingets"), "No such command 'ingets'", "--help", status=2)
    refused(at_once(folder, "keys"), "Missing command", "tradewright keys --help", status=2)
    refused(at_once(folder, "catalog", "verdickt"), "catalog verdict", status=2)
    said = at_once(folder, "signals", "--limit", "0", "--json")
    refused(said, "--limit", status=2)
    assert said.json["error"]["code"] == "usage"
    refused(at_once(folder, "catalog", speed="fast"), "TRADEWRIGHT_SPEED", "speed must be", status=2)
    refused(at_once(folder, "up", "--host", "nowhere.invalid"), "cannot listen on nowhere.invalid", status=2)
    refused(tradewright(folder, "api", "--host", "nowhere.invalid"), "cannot listen on nowhere.invalid", status=2)
    helped = tradewright(folder)
    assert helped.status == 0
    assert "backtest" in helped.out


def test_a_backtest_asked_of_the_api_alone_is_done_by_up(data_folder: Path, first_key: str, tmp_path: Path) -> None:
    assert "tradewright up" in tradewright(data_folder, "api", "--help").out
    body = {"strategy": "buy_and_hold", "data_set": "us-stocks"}
    for name in ("one", "other"):
        (tmp_path / f"{name}.csv").write_text(GOOD_CSV)
        tradewright(data_folder, "ingest", tmp_path / f"{name}.csv", "equity:TEST", "--as", name)
    with api(data_folder) as address:
        made = call(address, "/v1/backtests", first_key, "POST", body)
        assert made.status == 202, made.body
        path = f"/v1/backtests/{made.json['id']}"
        of_two = {"strategy": "buy_and_hold", "instruments": ["equity:TEST"]}
        for more, why in (
            ({}, "equity:TEST has bars from one, other; name the one to use"),
            ({"source": "third"}, "there are no 1d bars of 'equity:TEST' from 'third', only from one, other"),
        ):
            refusal = call(address, "/v1/backtests", first_key, "POST", of_two | more).json
            assert refusal["errors"] == [{"pointer": "/source", "detail": why}]
        chosen = call(address, "/v1/backtests", first_key, "POST", of_two | {"source": "other"})
        assert (chosen.status, chosen.json["request"]["source"]) == (202, "other")
        time.sleep(1)
        assert call(address, path, first_key).json["status"] == "queued"
        refused(tradewright(data_folder, "report", made.json["id"]), "no finished backtest")
    with Up(data_folder, speed="0.001") as up:
        assert _finished(up.address(), path, first_key) == "succeeded"
        assert _finished(up.address(), f"/v1/backtests/{chosen.json['id']}", first_key) == "succeeded"
        assert up.stop() == 0
    output = tmp_path / "page.html"
    assert tradewright(data_folder, "report", made.json["id"], "--output", output).status == 0
    assert output.read_text().startswith("<!doctype html>")
    refused(tradewright(data_folder, "report", made.json["id"], "--output", "/proc/none/x"), "cannot write the report")


def test_a_worker_does_what_the_api_was_asked_for(data_folder: Path, first_key: str) -> None:
    body = {"strategy": "buy_and_hold", "data_set": "us-stocks"}
    worker = subprocess.Popen(
        [*COMMAND, "worker", "--json"],
        env=environment(data_folder=str(data_folder)),
        cwd=data_folder.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with api(data_folder) as address:
            made = call(address, "/v1/backtests", first_key, "POST", body)
            path = f"/v1/backtests/{made.json['id']}"
            assert _finished(address, path, first_key) == "succeeded"
            told = waited(lambda: _events_of(address, first_key, "backtest.finished"))
            assert made.json["id"] in {event["subject"] for event in told}
        worker.send_signal(signal.SIGTERM)
        said = worker.communicate(timeout=30)[0]
        assert (worker.returncode, "Traceback" in said) == (0, False), said
    finally:
        worker.kill()
        worker.wait()


def _events_of(address: str, key: str, kind: str) -> list[dict[str, Any]]:
    return list(call(address, f"/v1/events?type={kind}", key).json["data"])


def waited(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (what := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)
    return what


def _finished(address: str, path: str, key: str) -> str:
    deadline = time.monotonic() + 60
    while True:
        answer: Answer = call(address, path, key)
        if answer.json["status"] not in ("queued", "running"):
            return str(answer.json["status"])
        assert time.monotonic() < deadline, answer.json
        time.sleep(0.1)


# --- doctor, interruption -------------------------------------------------------------------------------------------


def test_doctor_finds_a_sound_installation_sound_and_shows_no_secret(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert all(look["ok"] for look in tradewright(folder, "doctor", "--json").json)
    url = "postgresql://me:top-secret@127.0.0.1:9/x"
    shown = tradewright(folder, "doctor", "--settings", database_url=url, port="1234")
    assert "top-secret" not in shown.out
    assert re.search(r"database_url +\*+ +TRADEWRIGHT_DATABASE_URL", shown.out)
    assert re.search(r"port +1234 +TRADEWRIGHT_PORT", shown.out)
    absent = at_once(folder, "doctor", database_url=url)
    assert absent.status == 1
    assert re.search(
        r"MEND database: no connection to the PostgreSQL database \(127.0.0.1:9/x: .*check that it runs", absent.out
    )
    assert "top-secret" not in absent.out + absent.err
    mistyped = at_once(folder, "doctor", sped="3")
    assert mistyped.status == 1
    assert "did you mean TRADEWRIGHT_SPEED?" in mistyped.out


def test_every_command_warns_once_of_a_variable_that_nothing_reads(tmp_path: Path) -> None:
    made = tradewright(
        tmp_path / "data", "keys", "create", "--json", data_dir="/elsewhere", fred_api_key="k", speed="1"
    )
    assert made.json["key"].startswith("tw_paper_")
    warning = "warning: TRADEWRIGHT_DATA_DIR is no setting and is ignored, did you mean TRADEWRIGHT_DATA_FOLDER?\n"
    assert made.err == warning
    assert tradewright(tmp_path / "data", "keys", "list", fred_url="http://x").err == ""


def test_doctor_names_what_is_wrong_with_keys_cache_and_origins(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert tradewright(folder, "keys", "create").status == 0
    key = base64.b64encode(b"k" * 32).decode()
    said = at_once(folder, "doctor", cache_url="redis://127.0.0.1:9/0", cors_origins="app.example.com", main_keys=key)
    assert said.status == 1
    assert "MEND settings: cors_origins must be an origin like https://app.example.com" in said.out
    assert "MEND shared limits: the cache does not answer" in said.out
    assert "ok   main keys: they open all of the 0 sealed secrets" in said.out
    assert "MEND main keys: a main key must be the base64" in at_once(folder, "doctor", main_keys="short").out


def test_a_damaged_database_file_is_told_by_every_command(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "tradewright.db").write_bytes(b"this is no database" * 2_000)
    said = at_once(folder, "doctor")
    assert said.status == 1
    assert re.search("MEND database: .*the file is damaged.*not a database", said.out)
    refused(at_once(folder, "catalog"), "the file is damaged")
    refused(at_once(folder, "up", "--port", "0"), "the file is damaged")


def test_a_missing_openmp_library_is_told_with_its_package(tmp_path: Path) -> None:
    library = tmp_path / "empty"
    library.write_bytes(b"")
    hide = f'for f in $(find / -xdev -name "libgomp*.so*" -type f); do mount --bind {library} $f || exit 9; done'
    run = f"{hide}; exec {sys.executable} -m tradewright doctor --data-folder {tmp_path / 'data'}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", run], env=environment(), capture_output=True, text=True, check=False
    )
    if "Operation not permitted" in done.stderr or done.returncode == 9:
        pytest.skip(f"a library can only be hidden in a mount namespace: {done.stderr.strip()}")
    assert done.returncode == 1
    assert re.search("MEND LightGBM: .*libgomp", done.stdout), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def _has_open(pid: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        return any(name in os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_an_interrupted_command_ends_cleanly_and_leaves_a_folder_that_works(data_folder: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "train", "--data", "us-stocks"],
        env=environment(data_folder=str(data_folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not _has_open(process.pid, "tradewright.db"):  # before that it is still being loaded
        assert time.monotonic() < until
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err
    assert tradewright(data_folder, "catalog").status == 0
    assert tradewright(data_folder, "keys", "create").status == 0


def test_somebody_who_presses_ctrl_c_again_and_again_sees_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [*COMMAND, "sources", "check", "coinbase", "kraken"],
            env=environment(data_folder=str(tmp_path), coinbase_url=address, kraken_url=address, okx_url=address),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            while process.poll() is None:
                process.send_signal(signal.SIGINT)
                time.sleep(0.005)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "error: interrupted; what was stored stays, run it again to go on\n"
