"""The commands about sources, as a new user would try them: with and without credentials, with and without network."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from json_server import json_server
from servers import until
from tradewright.clock import parse_us

MINUTE_MS = 60_000
START_MS = parse_us("2024-01-01") // 1_000
SPAN = ("--interval", "1m", "--start", "2024-01-01T00:01:00Z", "--end", "2024-01-01T16:40:00Z")


@dataclass
class World:
    """What the servers of third parties do. pause_s: before each answer."""

    pause_s: float = 0.0
    asked: list[str] = field(default_factory=list)
    key: str = "right"
    quoted: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    limited: bool = False

    def candles(self, query: dict[str, str]) -> tuple[int, Any]:
        first, last = int(query["startTime"]), int(query["endTime"])
        begins = [START_MS + n * MINUTE_MS for n in range(1_000)]
        wanted = [at for at in begins if first <= at <= last][:100]
        rows = [
            [at, "10", "12", "9", str(10 + at % 7 / 10), "5", at + MINUTE_MS - 1, "0", 1, "0", "0", "0"]
            for at in wanted
        ]
        return 200, rows

    def observations(self, query: dict[str, str]) -> tuple[int, Any]:
        if query.get("api_key") != self.key:
            said = "Bad Request. The value for variable api_key is not registered."
            return 400, {"error_code": 400, "error_message": said}
        row = {"realtime_start": "2024-04-25", "realtime_end": "9999-12-31", "date": "2024-01-01", "value": "28269.2"}
        whole = {"count": 1, "offset": 0, "limit": 100_000, "observations": [row]}
        return 200, whole | {"seriess": [{"id": "GDP", "frequency_short": "Q"}]}

    def answer(self, path: str) -> tuple[int, Any]:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(parts.path)
        time.sleep(self.pause_s)
        if self.limited:
            return 429, {"code": -1003, "msg": "Too much request weight used"}
        if parts.path.endswith("bookTicker"):
            return 200, [{"symbol": name, "bidPrice": "9.5", "askPrice": "10.5"} for name in self.quoted]
        if parts.path.endswith("exchangeInfo"):
            return 200, {"symbols": [pair(*words) for words in (("BTC", "USDT"), ("ETH", "USDT"), ("ETH", "BTC"))]}
        return self.candles(query) if parts.path.endswith("klines") else self.observations(query)


def pair(base: str, quote: str) -> dict[str, Any]:
    steps = [{"filterType": "PRICE_FILTER", "tickSize": "0.01"}, {"filterType": "LOT_SIZE", "stepSize": "0.001"}]
    names = {"symbol": base + quote, "baseAsset": base, "quoteAsset": quote}
    return {**names, "status": "BREAK" if base == quote[:3] else "TRADING", "filters": steps}


def started(folder: Path, *words: str, text: str = "", **settings: str) -> subprocess.Popen[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TRADEWRIGHT_")}
    own = {f"TRADEWRIGHT_{name.upper()}": value for name, value in {"data_folder": str(folder), **settings}.items()}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-m", "tradewright", *words],
        env=plain | own, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder.parent, start_new_session=True,
    )  # fmt: skip
    if text:
        assert process.stdin is not None
        process.stdin.write(text)
        process.stdin.close()
        process.stdin = None
    return process


def said(folder: Path, *words: str, text: str = "", **settings: str) -> tuple[int, str, str]:
    process = started(folder, *words, text=text, **settings)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    assert "a fault of Tradewright" not in err, err
    return process.returncode, out, err


def health(folder: Path, source: str) -> tuple[str, str]:
    rows = json.loads(said(folder, "sources", "--json")[1])
    (row,) = [row for row in rows if row["source"] == source]
    return row["status"], row["said"]


def test_the_list_says_what_each_source_has_and_needs(tmp_path: Path) -> None:
    status, out, _ = said(tmp_path / "data", "sources", "--json")
    rows = {row["source"]: row for row in json.loads(out)}
    assert status == 0
    assert len(rows) >= 16
    assert rows["binance"]["needs"] == []
    assert "stream" in rows["binance"]["offers"]
    assert rows["fred"]["needs"] == ["api_key"]
    assert [(rows[name]["needs"], rows[name]["optional"]) for name in ("binance", "fred", "coingecko")] == [
        ([], []), (["api_key"], []), ([], ["api_key"]),
    ]  # fmt: skip
    for settings, words in (
        ({}, {"binance": "none", "fred": "needed", "coingecko": "optional"}),
        ({"fred_api_key": "x", "coingecko_api_key": "x"}, {"binance": "none", "fred": "kept", "coingecko": "kept"}),
    ):
        lines = said(tmp_path / "data", "sources", **settings)[1].splitlines()
        for name, word in words.items():
            assert f" {word} " in next(line for line in lines if line.startswith(f"{name} ")), (name, word)
    assert not (tmp_path / "data").exists(), "a list makes no installation"


def test_a_check_asks_tells_and_remembers(tmp_path: Path) -> None:
    folder, world = tmp_path / "data", World()
    with json_server(world.answer) as address:
        status, out, _ = said(folder, "sources", "check", "fred", fred_url=address)
        assert status == 1
        assert "fred needs api_key" not in out
        assert "tradewright sources credentials fred" in out
        status, out, _ = said(folder, "sources", "credentials", "fred", text="api_key=wrong\n")
        assert (status, out) == (0, "kept those of fred\n")
        status, out, _ = said(folder, "sources", "check", "fred", "--json", fred_url=address)
        assert (status, json.loads(out)[0]["status"]) == (1, "refused")
        assert "wrong" not in out
        assert health(folder, "fred")[0] == "degraded"
        assert "does not accept the key" in health(folder, "fred")[1]
        said(folder, "sources", "credentials", "fred", text="api_key=right\n")
        status, out, _ = said(folder, "sources", "check", "fred", "--json", fred_url=address)
        assert (status, json.loads(out)[0]["status"]) == (0, "answers"), out
        assert health(folder, "fred") == ("answers", "")
        world.limited = True
        status, out, _ = said(folder, "sources", "check", "binance", "--json", binance_url=address)
        assert (status, json.loads(out)[0]["status"]) == (1, "limited"), out
        assert health(folder, "binance")[0] == "degraded"
        assert "too many requests" in health(folder, "binance")[1]
    status, out, _ = said(folder, "sources", "check", "fred", "binance", fred_url=address, binance_url=address)
    assert status == 1
    assert out.count("did not answer") == 2
    status, out, _ = said(folder, "sources", "--json")
    rows = {row["source"]: row for row in json.loads(out)}
    assert (rows["fred"]["status"], rows["fred"]["credentials"]) == ("degraded", True)
    assert "fred is degraded since" in said(folder, "sources")[1]
    assert said(folder, "sources", "credentials", "fred", "--forget")[0] == 0
    assert "no credentials of the source" in said(folder, "sources", "credentials", "fred", "--forget")[2]
    assert not any(b"right" in file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_another_address_than_the_sources_own_is_told_wherever_rows_of_it_are(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with json_server(World().answer) as address:
        host = address.removeprefix("http://")
        url = f"http://planted:secret@{host}"
        shown = [said(folder, "sources", binance_url=url), said(folder, "sources", "check", "binance", binance_url=url)]
        shown.append(said(folder, "ingest", "binance", "BTCUSDT", *SPAN, binance_url=url))
    shown.append(said(folder, "catalog", "verdict"))
    for (_, out, err), words in zip(
        shown,
        (
            f"binance is asked at {host}, which a setting names",
            f"(asked at {host}, which a setting names)",
            f"asked at {host}, which a setting names in the place of the source's own address",
            f"other_address: rows came from {host}, which a setting names",
        ),
        strict=True,
    ):
        assert words in out, (out, err)
        assert "secret" not in out + err
    rows = {row["source"]: row["elsewhere"] for row in json.loads(said(folder, "sources", "--json")[1])}
    assert set(rows.values()) == {""}


def test_facts_come_in_with_a_key_of_the_environment_and_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    words = ("ingest", "fred", "GDP", "--start", "2024-01-01", "--end", "2025-01-01", "--json")
    with json_server(World().answer) as address:
        refused = said(folder, *words, fred_url=address)
        assert (refused[0], "TRADEWRIGHT_FRED_API_KEY" in refused[2]) == (1, True)
        first = said(folder, *words, fred_url=address, fred_api_key="right")
        again = said(folder, *words, fred_url=address, fred_api_key="right")
    assert json.loads(first[1])["stored"] == 1, first
    assert json.loads(again[1])["stored"] == 0
    assert json.loads(again[1])["verdict"] == "usable"
    assert [finding["code"] for finding in json.loads(again[1])["findings"]] == ["other_address"]
    (listed,) = json.loads(said(folder, "catalog", "--json")[1])
    assert (listed["instrument"], listed["interval"], listed["rows"]) == ("macro:GDP", "fact", 1)
    assert (listed["last"], listed["prices"], listed["verdict"]) == ("2024-04-01T00:00:00Z", "", "usable")
    assert "macro:GDP          fact     fred" in said(folder, "catalog")[1]
    status, out, _ = said(folder, "facts", "macro:GDP")
    head, row = out.splitlines()
    assert (status, head.split()) == (0, ["period_end", "value", "unit", "known_at", "source", "name"])
    assert row.split() == ["2024-04-01T00:00:00Z", "28,269.2", "2024-04-26T05:00:00Z", "fred"]
    assert json.loads(said(folder, "facts", "macro:GDP", "--as-of", "2024-04-27", "--json")[1])[0]["value"] == 28269.2
    status, _, err = said(folder, "facts", "macro:GDP", "--as-of", "2024-04-25")
    assert (status, "no fact of macro:GDP is left of that time" in err) == (1, True)
    status, _, err = said(folder, "facts", "macro:GDQ")
    assert (status, "did you mean macro:GDP?" in err) == (2, True)
    status, _, err = said(folder, "facts", "macro:GDP", "--source", "sec_edgar")
    assert (status, "known: fred" in err) == (2, True)


def test_schedules_are_added_listed_paused_resumed_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert "there is no schedule" in said(folder, "schedules", "list")[1]
    assert not folder.exists(), "a list makes no installation"
    add = ("schedules", "add", "binance", "BTCUSDT", "ETHUSDT", "--interval", "1h", "--every")
    status, out, _ = said(folder, *add, "1h", "--json")
    made = json.loads(out)
    assert (status, made["instruments"], made["owner"]) == (0, ["crypto:BTC-USDT", "crypto:ETH-USDT"], "system")
    refused = [
        said(folder, *add, "5m"),
        said(folder, "schedules", "add", "binance", "FOO", "--every", "1h"),
        said(folder, "schedules", "add", "fred", "GDP", "--every", "1d"),
        said(folder, "schedules", "add", "yahoo", "AAPL", "--every", "1d"),
        said(folder, "schedules", "pause", "isc_x"),
    ]
    assert [status for status, _, _ in refused] == [2, 2, 1, 2, 1]
    whys = ("06:30", "crypto:BTC-USDT", "tradewright sources credentials fred", "off here", "schedules list")
    assert all(why in err for why, (_, _, err) in zip(whys, refused, strict=True)), refused
    assert "paused" in said(folder, "schedules", "pause", made["id"])[1]
    assert "paused" in said(folder, "schedules", "list")[1]
    status, out, _ = said(folder, "schedules", "resume", made["id"], "--json")
    assert (status, json.loads(out)["enabled"]) == (0, True)
    assert said(folder, "schedules", "remove", made["id"])[0] == 0
    assert json.loads(said(folder, "schedules", "list", "--json")[1]) == []


def test_without_a_start_a_series_is_gone_on_with_where_it_ends(tmp_path: Path) -> None:
    folder, world = tmp_path / "data", World()
    words = ("ingest", "binance", "BTCUSDT", "--interval", "1m", "--json")
    with json_server(world.answer) as address:
        first = said(folder, *words, "--start", "2024-01-01", "--end", "2024-01-01T14:00:00Z", binance_url=address)
        assert json.loads(first[1])["stored"] == 840, first
        before = len(world.asked)
        second = said(folder, *words, "--end", "2024-01-01T16:40:00Z", binance_url=address)
        assert (json.loads(second[1])["rows_read"], json.loads(second[1])["stored"]) == (166, 160), second
        assert len(world.asked) - before <= 4
        assert json.loads(said(folder, *words, "--end", "2024-01-01T16:40:00Z", binance_url=address)[1])["stored"] == 0


def test_a_quote_is_asked_for_now_and_says_how_old_it_is(tmp_path: Path) -> None:
    folder, world = tmp_path / "data", World()
    words = ("sources", "quote", "binance", "BTCUSDT", "crypto:ETH-USDT")
    with json_server(world.answer) as address:
        status, out, err = said(folder, *words, "--json", binance_url=address)
        assert status == 0, err
        first, second = json.loads(out)
        assert (first["instrument"], second["instrument"]) == ("crypto:BTC-USDT", "crypto:ETH-USDT")
        assert (first["price"], first["bid"], first["ask"], first["said"]) == (10.0, 9.5, 10.5, "")
        assert 0 <= first["age_s"] < 60
        world.quoted = ("BTCUSDT",)
        status, out, _ = said(folder, *words, binance_url=address)
    assert status == 1
    assert "Binance spot has no quote of it now" in out
    status, _, err = said(folder, *words, binance_url="http://127.0.0.1:9")
    assert (status, "did not answer" in err) == (1, True)
    assert "binance is degraded since" in said(folder, "sources")[1]


def test_what_a_source_lists_is_shown_and_searched(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with json_server(World().answer) as address:
        status, out, err = said(folder, "sources", "instruments", "binance", "--json", binance_url=address)
        assert status == 0, err
        found = json.loads(out)
        assert (found["listed"], found["skipped"], found["matching"]) == (3, 0, 3)
        assert found["data"][0] == {
            "symbol": "BTCUSDT",
            "instrument": "crypto:BTC-USDT",
            "name": "BTC/USDT",
            "active": True,
        }
        words = ("sources", "instruments", "binance", "--search", "eth", "--limit", "1")
        status, out, _ = said(folder, *words, binance_url=address)
    assert status == 0
    assert "crypto:ETH-USDT" in out
    assert "3 instruments listed; 2 match; 1 more match" in out


@pytest.mark.parametrize(
    ("words", "says", "exits"),
    [
        (("quote", "fred", "GDP"), "has no quotes; it has facts", 2),
        (("instruments", "yahoo"), "has no listing; it has bars, quotes", 2),
        (("quote", "yahoo", "AAPL"), "is off: .*TRADEWRIGHT_SOURCES_OPT_IN", 2),
        (("quote", "finnhub", "AAPL"), "needs api_key: .*tradewright sources credentials finnhub", 1),
        (("quote", "binance", "equity:AAPL"), "nothing that Binance spot has", 2),
        (("quote", "binanze", "BTCUSDT"), "did you mean binance", 2),
    ],
)
def test_what_a_source_cannot_be_asked_for_is_said_before_anything_is_sent(
    tmp_path: Path, words: tuple[str, ...], says: str, exits: int
) -> None:
    status, _, err = said(tmp_path / "data", "sources", *words)
    assert (status, re.search(says, err) is not None) == (exits, True), err


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ingestion_that_is_ended_goes_on_where_it_was(tmp_path: Path, end: signal.Signals) -> None:
    interrupted = end is not signal.SIGKILL
    folder, world = tmp_path / "data", World(pause_s=0.2 if interrupted else 0.9)
    with json_server(world.answer) as address:
        process = started(folder, "ingest", "binance", "BTCUSDT", *SPAN, "--json", binance_url=address)
        until(lambda: len(world.asked) >= (4 if interrupted else 9))  # what waits is stored every few seconds
        process.send_signal(end)
        _, err = process.communicate(timeout=30)
        assert "Traceback" not in err, err
        if interrupted:
            assert process.returncode == 130
            assert "run it again to go on" in err
        before, world.pause_s = len(world.asked), 0.0
        status, out, err = said(folder, "ingest", "binance", "BTCUSDT", *SPAN, "--json", binance_url=address)
    assert status == 0, err
    assert len(world.asked) - before < 10 - before + (4 if interrupted else 7), "it began anew"
    (series,) = json.loads(said(folder, "catalog", "--json")[1])
    assert (series["rows"], series["verdict"]) == (1_000, json.loads(out)["verdict"])
