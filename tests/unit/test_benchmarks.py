"""The table of the benchmarks says what was measured and whether the budget was kept."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import __main__ as harness
from benchmarks import mix
from benchmarks.load import Load
from benchmarks.table import Row, figure, markdown, row_of


@pytest.mark.parametrize(
    ("row", "within", "budget"),
    [
        (Row("a, ms", "", 1.0), None, ""),
        (Row("a, ms", "", 1.0, limit=1.0), True, "<= 1"),
        (Row("a, ms", "", 1.1, limit=1.0), False, "<= 1"),
        (Row("a, rows/s", "", 9.0, limit=10.0, rate=True), False, ">= 10"),
        (Row("a, rows/s", "", 11.0, limit=10.0, rate=True), True, ">= 10"),
        (Row("a, ms", "peer", 1.0, 2.0, 2.0, least=2.0), True, ">= 2 x"),
        (Row("a, ms", "peer", 1.0, 2.0, 2.0, limit=0.5, least=2.0), False, "<= 0.5, >= 2 x"),
    ],
)
def test_a_budget_is_kept_or_not(row: Row, within: bool | None, budget: str) -> None:
    assert row.within is within
    assert row.budget == budget


def test_a_plain_row_gets_the_budget_that_belongs_to_it() -> None:
    row = row_of(("one prediction, 200 trees, p50, us", "LightGBM Booster.predict", 3.0, 40.0, 13.3))
    assert (row.limit, row.least, row.within) == (5.0, 10.0, True)
    live = row_of(("live bar, 1000 instruments, ms", "budget", 300.0, 250.0, 0.83))
    assert (live.peer, live.theirs, live.ratio, live.limit, live.within) == ("", None, None, 250.0, False)


def test_the_table_names_what_missed_its_budget() -> None:
    text = markdown([Row("quick, ms", "peer", 1.0, 20.0, 20.0, least=2.0), Row("slow, ms", "", 1234.5, limit=3.0)])
    assert "| quick, ms | 1 | peer | 20 | 20 x | >= 2 x | yes |" in text
    assert "| slow, ms | 1,234 |  |  |  | <= 3 | **NO** |" in text
    assert figure(0.01234) == "0.0123"


def test_one_benchmark_that_fails_hides_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bench_good.py").write_text("def run(folder): return [('a, ms', 'peer', 1.0, 2.0, 2.0)]\n")
    (tmp_path / "bench_bad.py").write_text("def run(folder): raise ValueError('no')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TRADEWRIGHT_BENCH_FOLDER", str(tmp_path / "cache"))
    places = {"bad": "bench_bad", "good": "bench_good"}
    assert harness.main([], places, tmp_path) == 1
    page = (tmp_path / "RESULTS.md").read_text()
    assert "| a, ms | 1 | peer | 2 | 2 x |  |  |" in page
    assert "failed in this run: `python -m benchmarks bad`" in page
    assert list(json.loads((tmp_path / "results.json").read_text())) == ["good"]
    assert harness.main(["good"], places, tmp_path) == 0
    assert harness.main(["nothing"], places, tmp_path) == 2
    assert "there is no benchmark nothing" in capsys.readouterr().err


TIMES = {f"equity:A{n}": [1_600_000_000_000_000 + day * 86_400_000_000 for day in range(8_000)] for n in range(20)}


def test_the_mix_has_the_shares_of_the_budget() -> None:
    asked = mix.drawn(TIMES, "prt_1", ["k1", "k2"], count=20_000)
    unchanged = sum(one.unchanged for one in asked)
    paths = Counter(one.target.partition("?")[0].split("/")[2] for one in asked if not one.unchanged)
    shares = {name: 100 * count / len(asked) for name, count in paths.items()}
    wanted = {"bars": 35, "quotes": 20, "signals": 15}
    assert all(abs(shares[name] - share) < 1.5 for name, share in wanted.items())
    assert abs(shares["orders"] + shares["fills"] + shares["portfolios"] - 20) < 1.5
    assert abs(100 * unchanged / len(asked) - 10) < 1
    assert len(set(mix.targets(TIMES, "prt_1")["bars"])) == 10_000
    numbers = {one.target.count(",") + 1 for one in asked if one.target.startswith("/v1/quotes")}
    assert numbers == {1, 2, 3, 4, 5}


def test_only_a_request_for_what_was_seen_before_carries_its_etag() -> None:
    etags = {"/v1/signals": 'W/"a"'}
    first, again = (mix.text_of(mix.Asked("/v1/signals", "k", unchanged), etags) for unchanged in (False, True))
    assert first == "GET /v1/signals HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer k\r\n\r\n"
    assert again == first[:-2] + 'if-none-match: W/"a"\r\n\r\n'


@pytest.mark.parametrize("rate", [0, 200])
def test_the_load_counts_every_answer_and_every_refusal(rate: int) -> None:
    connections: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())
        with suppress(ConnectionResetError):  # a load that ends leaves answers unread
            while (line := await reader.readline()) != b"":
                while await reader.readline() != b"\r\n":
                    pass
                if b"unchanged" in line:
                    writer.write(b"HTTP/1.1 304 not modified\r\nETag: x\r\n\r\n")
                    continue
                status = b"404 no" if b"missing" in line else b"200 ok"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n")
                writer.write(b"{}")
            writer.close()
            await writer.wait_closed()

    async def measured() -> dict[str, float]:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            names = ("found", "missing", "unchanged")
            load = Load([f"GET /{name} HTTP/1.1\r\nhost: x\r\n\r\n".encode() for name in names], rate, 0.2, first=3)
            told = await load.run(server.sockets[0].getsockname()[1], 2)
            load.close()
            await asyncio.gather(*(task for task in connections if task is not None))
        return told

    told = asyncio.run(measured())
    assert told["sent"] >= told["answered"] >= told["sent"] - 2
    assert abs(told["failed"] - told["answered"] / 3) <= 2
    assert abs(told["unchanged"] - told["answered"] / 3) <= 2
    if rate:
        assert told["answered"] == 40
