"""Requests and results that are large: what is shown of them, and that they are not read again for each page."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import msgspec
import polars as pl
import pytest
import sqlalchemy as sa

from asgi import Client, Person
from tradewright.market.catalog import Catalog
from tradewright.storage import backtests
from tradewright.storage.tables import jobs


def large(rows: int, columns: int = 1) -> dict[str, Any]:
    targets = [[0.5] * columns] * rows
    return {"strategy": "fixed_targets", "params": {"targets": targets}, "instruments": ["crypto:AAA-USD"]}


def test_large_parameters_are_shown_by_shape_and_digest_and_kept_whole_for_the_work(served: Any) -> None:
    async def work(client: Client) -> None:
        made = [await client.post("/v1/backtests", large(5_000)) for _ in range(20)]
        assert {answer.status for answer in made} == {202}, made[0].body
        first = made[0].json
        shown = first["request"]["params"]
        assert {name: shown[name] for name in ("kind", "rows", "columns")} == {
            "kind": "units",
            "rows": 5_000,
            "columns": 1,
        }
        assert len(shown["sha256"]) == 32
        listed = await client.get("/v1/backtests?limit=500")
        assert len(listed.json["data"]) == 22
        assert len(listed.body) < 100_000
        one = await client.get(f"/v1/backtests/{first['id']}")
        cancelled = await client.post(f"/v1/backtests/{first['id']}/cancel", None)
        assert first["request"] == one.json["request"] == cancelled.json["request"]

    served.run(work)
    query = sa.select(jobs.c.payload).where(jobs.c.kind == "backtest")
    kept = served.database.read(lambda tx: list(tx.execute(query).scalars()))
    whole = [p["request"]["params"] for p in kept if p.get("request", {}).get("strategy") == "fixed_targets"]
    assert len(whole) == 20
    assert all(params == large(5_000)["params"] for params in whole)


def test_more_targets_than_a_request_may_hold_are_refused(served: Any) -> None:
    async def work(client: Client) -> None:
        for body in (large(100_001), large(2_001, 50)):
            answer = await client.post("/v1/backtests", body)
            assert answer.status == 422
            (fault,) = answer.json["errors"]
            assert fault["pointer"] == "/params/targets"
            assert "at most 100,000" in fault["detail"]
            assert len(answer.body) < 1_000
        wrong = {**large(0), "strategy": "moving_average_cross", "params": {"fast": [0.5] * 50_000}}
        answer = await client.post("/v1/backtests", wrong)
        assert answer.status == 422
        assert len(answer.body) < 1_000

    served.run(work)


def test_the_pages_of_a_result_are_cut_from_arrays_read_once(served: Any) -> None:
    fill = {"instrument": "crypto:AAA-USD", "decided_time": "2020-01-01T00:00:00Z", "time": "2020-01-02T00:00:00Z"}
    fills = [{**fill, "units": float(n), "price": 1.0, "fee": 0.0} for n in range(25)]
    arrays = msgspec.json.encode({"times": list(range(25)), "equity": [float(n) for n in range(25)], "fills": fills})
    served.database.write(backtests.save_result, "org_a", "paper", "bkt_1", {"evidence": "none"}, arrays, b"")

    async def pages(client: Client, name: str) -> list[Any]:
        seen: list[Any] = []
        cursor = ""
        while True:
            answer = (await client.get(f"/v1/backtests/bkt_1/{name}?limit=10{cursor}")).json
            seen += answer["data"]
            if not answer["has_more"]:
                return seen
            cursor = f"&cursor={answer['next_cursor']}"

    async def work(client: Client) -> None:
        assert [row["units"] for row in await pages(client, "fills")] == [float(n) for n in range(25)]
        none = b'{"times":[],"equity":[],"fills":[]}'  # what stands in the table is not read again
        await served.database.write_async(backtests.save_result, "org_a", "paper", "bkt_1", {}, none, b"")
        assert [row["equity"] for row in await pages(client, "equity")] == [float(n) for n in range(25)]
        other = served.keys["other organization"]
        assert (await client.get("/v1/backtests/bkt_1/fills", key=other)).status == 404

    served.run(work)


def test_a_cursor_of_a_result_is_one_that_a_page_of_it_ended_with(served: Any) -> None:
    arrays = msgspec.json.encode({"times": list(range(25)), "equity": [1.0] * 25, "fills": []})
    for number in (1, 2):
        served.database.write(
            backtests.save_result, "org_a", "paper", f"bkt_{number}", {"evidence": "none"}, arrays, b""
        )

    async def work(client: Client) -> None:
        cursor = (await client.get("/v1/backtests/bkt_1/equity?limit=10")).json["next_cursor"]
        mark, place = json.loads(base64.urlsafe_b64decode(cursor))
        assert place == 10

        async def status(text: str, name: str = "bkt_1/equity") -> int:
            answer = await client.get(f"/v1/backtests/{name}?limit=10&cursor={text}")
            if answer.status == 422:
                assert [error["pointer"] for error in answer.json["errors"]] == ["query:cursor"]
            return answer.status

        def forged(key: Any) -> str:
            return base64.urlsafe_b64encode(json.dumps([mark, key]).encode()).decode()

        assert await status(cursor) == await status(forged(25)) == 200
        for key in (-3, -1, 26, 2**62):
            assert await status(forged(key)) == 422, key
        for text in (cursor + "!!!!", cursor + "====", "!" + cursor, cursor.replace("W", "W.", 1)):
            assert await status(text) == 422, text
        assert await status(cursor, "bkt_2/equity") == 422
        assert await status(cursor, "bkt_1/fills") == 422

    served.run(work)


def test_bars_as_of_a_moment_are_read_of_few_instruments_and_of_the_time_asked_for(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: list[pl.DataFrame] = []
    at_once: list[int] = []
    running = 0
    read = Catalog.read

    def noted(*given: Any, **named: Any) -> pl.DataFrame:
        nonlocal running
        running += 1
        at_once.append(running)
        time.sleep(0.02)
        frames.append(read(*given, **named))
        running -= 1
        return frames[-1]

    async def work(client: Client) -> None:
        bars = "/v1/bars?instruments=crypto:AAA-USD,crypto:BBB-USD"
        every = (await client.get(f"{bars}&limit=100")).json["data"]
        times = sorted({row["time"] for row in every})
        monkeypatch.setattr(Catalog, "read", noted)
        target = f"{bars}&as_of=2031-01-01T00:00:00Z"
        some = await client.get(f"{target}&start={times[3]}&end={times[6]}")
        assert some.json["data"] == [row for row in every if times[3] <= row["time"] < times[6]]
        assert [frame.height for frame in frames] == [3, 3]
        first = (await client.get(f"{target}&limit=31")).json
        frames.clear()
        second = (await client.get(f"{target}&limit=31&cursor={first['next_cursor']}")).json
        assert first["data"] + second["data"] == every
        assert sum(frame.height for frame in frames) < len(every) / 2
        at_once.clear()
        answers = await asyncio.gather(*(client.get(target) for _ in range(6)))
        assert {answer.status for answer in answers} == {200}
        assert max(at_once) <= 2
        names = ",".join(f"crypto:Z{n}-USD" for n in range(6))
        refused = await client.get(f"/v1/bars?instruments={names}&as_of=2031-01-01T00:00:00Z")
        assert refused.status == 422
        assert "at most 5" in refused.json["errors"][0]["detail"]

    served.run(work)


def test_one_archive_of_an_export_is_read_at_a_time(served: Any) -> None:
    target = f"/v1/exports/{served.made['export']}/content"
    owner = Person(served.made["session owner"])

    async def work(client: Client) -> None:
        async with served.services.archives:
            waiting = [asyncio.create_task(client.get(target, person=owner)) for _ in range(2)]
            done, _ = await asyncio.wait(waiting, timeout=0.3)
            assert not done
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}

    served.run(work)
