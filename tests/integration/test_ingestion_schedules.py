"""Schedules of ingestions over HTTP, and their turns, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from asgi import Client
from tradewright import ids
from tradewright.app.scheduling import MAX_WAITING, Scheduler, told
from tradewright.clock import DAY_US, FixedClock, format_us
from tradewright.ids import SYSTEM
from tradewright.sources.turns import MAX_SCHEDULES
from tradewright.storage import accounts, ingestion_schedules, ingestions, jobs, retention, third_parties
from tradewright.storage.database import Database, Tx

HOUR_US = DAY_US // 24
HOURLY = {"source": "binance", "instruments": ["BTCUSDT"], "interval": "1h", "every": "1h"}
PLACE = "/v1/ingestion-schedules"


# --- over HTTP --------------------------------------------------------------------------------------------------------


def test_a_schedule_is_made_shown_changed_paused_and_removed(served: Any) -> None:
    async def work(client: Client) -> None:
        now_us = served.clock.now_us()
        made = await client.post(PLACE, HOURLY, headers={"Idempotency-Key": "once"})
        assert made.status == 201, made.body
        assert (await client.post(PLACE, HOURLY, headers={"Idempotency-Key": "once"})).body == made.body
        shown = made.json
        key = shown.pop("id")
        assert shown == {
            "source": "binance",
            "owner": "system",
            "instruments": ["crypto:BTC-USDT"],
            "interval": "1h",
            "every": "1h",
            "enabled": True,
            "next_at": format_us(now_us),
            "failures": 0,
            "last": None,
            "created_at": format_us(now_us),
        }
        target = f"{PLACE}/{key}"
        read = await client.get(target)
        assert read.json == made.json | {"id": key}
        assert read.json in (await client.get(PLACE)).json["data"]
        at_six = {"every": "06:00", "instruments": ["crypto:ETH-USDT", "BTCUSDT"]}
        changed = await client.send("PATCH", target, at_six, {"If-Match": read.headers["etag"]})
        assert (changed.status, changed.json["next_at"][10:]) == (200, "T06:00:00Z")
        assert changed.json["instruments"] == ["crypto:ETH-USDT", "crypto:BTC-USDT"]
        lost = await client.send("PATCH", target, {"enabled": False}, {"If-Match": read.headers["etag"]})
        assert (lost.status, lost.json["code"]) == (412, "precondition_failed")
        paused = await client.send("PATCH", target, {"enabled": False})
        assert (paused.json["enabled"], paused.json["next_at"]) == (False, None)
        assert (await client.send("PATCH", target, {"every": "4h"})).json["next_at"] is None
        resumed = await client.send("PATCH", target, {"enabled": True})
        assert resumed.json["next_at"] == format_us(now_us)
        assert (await client.send("PATCH", target, {"interval": "1d"})).json["next_at"] == format_us(now_us)
        assert (await client.send("DELETE", target)).status == 204
        assert (await client.send("DELETE", target)).status == 404
        assert (await client.get(target)).status == 404
        entries = (await client.get("/v1/audit-log?limit=50")).json["data"]
        actions = [entry["action"] for entry in entries if entry["object"] == key]
        assert actions == ["ingestion_schedule.delete", *["ingestion_schedule.update"] * 5, "ingestion_schedule.create"]

    served.run(work)


def test_the_etag_does_not_change_with_a_turn(served: Any) -> None:
    async def work(client: Client) -> None:
        target = f"{PLACE}/isc_1"
        before = await client.get(target)
        Scheduler(served.database, served.clock, lambda: None).run()
        served.clock.advance(1)
        Scheduler(served.database, served.clock, lambda: None).run()
        after = await client.get(target)
        assert before.json["last"] != after.json["last"]
        assert before.headers["etag"] == after.headers["etag"]

    served.run(work)


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"every": "5m"}, ["/every"]),
        ({"every": "24:00"}, ["/every"]),
        ({"instruments": []}, ["/instruments"]),
        ({"source": "binanze"}, ["/source"]),
        ({"instruments": ["equity:AAPL", "BTCUSDT", "BTCUSDT"]}, ["/instruments/0", "/instruments/2"]),
        ({"source": "coingecko", "instruments": ["BTC-USD"], "interval": "1m"}, ["/interval"]),
        ({"start": "2024-01-01T00:00:00Z"}, ["/start"]),
        ({"source": "yahoo", "instruments": ["AAPL"], "interval": "1d"}, ["/source"]),
        ({"interval": "1m", "instruments": [f"crypto:C{n}-USDT" for n in range(100)]}, ["/start"]),
    ],
)
def test_what_no_turn_could_ask_for_is_refused_at_once(served: Any, change: Any, pointers: list[str]) -> None:
    async def work(client: Client) -> None:
        answer = await client.post(PLACE, HOURLY | change)
        assert (answer.status, answer.json["code"]) == (422, "invalid_input"), answer.body
        assert [error["pointer"] for error in answer.json["errors"]] == pointers
        if set(change) <= {"every", "instruments", "interval"}:
            target = f"{PLACE}/isc_1"
            assert (await client.send("PATCH", target, change)).status == 422

    served.run(work)


def test_an_organization_has_so_many_schedules_and_no_more(served: Any) -> None:
    def fill(tx: Tx) -> None:
        for _ in range(MAX_SCHEDULES - 3):  # two are seeded
            add(tx, "org_a")

    served.database.write(fill)

    async def work(client: Client) -> None:
        assert (await client.post(PLACE, HOURLY)).status == 201
        refused = await client.post(PLACE, HOURLY)
        assert (refused.status, refused.json["code"]) == (409, "conflict")
        assert (await client.post(PLACE, HOURLY, key=served.keys["other environment"])).status == 409
        assert (await client.post(PLACE, HOURLY, key=served.keys["other organization"])).status == 201
        bounds = (await client.get("/v1/limits")).json["bounds"]
        assert bounds["ingestion_schedules_per_organization"] == MAX_SCHEDULES

    served.run(work)


def test_whose_the_data_is_stays_as_it_was_when_the_schedule_was_made(served: Any) -> None:
    gecko = {"source": "coingecko", "instruments": ["crypto:BTC-USD"], "every": "1d"}
    sealed = served.services.vault.seal(msgspec.json.encode({"api_key": "x"}), "source_credentials/scr_9")

    async def work(client: Client) -> None:
        open_one = (await client.post(PLACE, gecko)).json
        served.database.write(third_parties.keep_credentials, "org_a", "coingecko", "scr_9", sealed, 1)
        own = (await client.post(PLACE, gecko)).json
        assert (open_one["owner"], own["owner"]) == ("system", "org_a")
        Scheduler(served.database, served.clock, lambda: None).run()
        for schedule in (open_one, own):
            shown = (await client.get(f"/v1/ingestions?schedule={schedule['id']}")).json["data"]
            assert [(one["owner"], one["schedule"]) for one in shown] == [(schedule["owner"], schedule["id"])]
        assert (await client.get("/v1/ingestions?schedule=isc_nothing")).json["data"] == []

    served.run(work)


# --- turns ------------------------------------------------------------------------------------------------------------


def add(tx: Tx, organization: str = "org_a", **change: Any) -> str:
    key = ids.new("isc")
    row = {
        "id": key, "organization": organization, "environment": "paper", "owner": SYSTEM, "source": "binance",
        "instruments": ["crypto:BTC-USDT"], "interval": "1h", "every": "1h", "next_at": 1, "created_at": 1,
    }  # fmt: skip
    ingestion_schedules.add(tx, row | change)
    return key


@pytest.fixture
def house(database: Database) -> Database:
    for organization in ("org_a", "org_b"):
        database.write(accounts.add_organization, organization, organization, 1)
    return database


def state(database: Database, key: str, organization: str = "org_a") -> dict[str, Any]:
    row = database.read(ingestion_schedules.get, organization, "paper", key)
    assert row is not None
    return row


def made(database: Database, organization: str = "org_a") -> list[dict[str, Any]]:
    return database.read(ingestions.list_page, organization, "paper", 500, False, None)


def end(database: Database, ingestion: str, status: str, now_us: int, error: str = "") -> None:
    """As a worker ends a job."""

    def finish(tx: Tx) -> None:
        job = ingestions.job_of(tx, ingestion)
        said = {"code": "source_failed", "message": error} if error else None
        assert jobs.finish(tx, job, status, now_us, error=said)
        told(tx, ingestion, status, now_us)

    database.write(finish)


def test_a_turn_asks_for_what_is_new_until_now(house: Database) -> None:
    clock, woken = FixedClock(), []
    key = house.write(add)
    scheduler = Scheduler(house, clock, lambda: woken.append(1))
    scheduler.run()
    scheduler.run()
    (ingestion,) = made(house)
    assert (ingestion["schedule"], ingestion["owner"], ingestion["status"]) == (key, "system", "queued")
    request, now_us = ingestion["request"], clock.now_us()
    assert (request["end_us"], request["begins"]) == (now_us, {"crypto:BTC-USDT": now_us - 500 * DAY_US})
    row = state(house, key)
    assert (row["ingestion"], row["turn_at"], row["next_at"] - now_us) == (ingestion["id"], now_us, 2_800_000_001)
    assert woken == [1]
    assert ingestion_schedules.outcome(row) == ("queued", "")


def test_turns_never_pile_up_and_those_missed_are_had_once(house: Database) -> None:
    clock = FixedClock()
    scheduler = Scheduler(house, clock, lambda: None)
    key = house.write(add, next_at=clock.now_us())
    scheduler.run()
    for left_out in (1, 2, 3):
        clock.advance(3600)
        scheduler.run()
        row = state(house, key)
        assert ingestion_schedules.outcome(row) == ("queued", f"{left_out} turn(s) left out: it has not ended")
        assert row["next_at"] == clock.now_us() + HOUR_US
    first = made(house)
    assert len(first) == 1
    end(house, first[0]["id"], "succeeded", clock.now_us())
    clock.advance(90 * 86_400)
    scheduler.run()
    scheduler.run()
    assert len(made(house)) == 2
    row = state(house, key)
    assert (row["left_out"], row["next_at"]) == (0, clock.now_us() + HOUR_US)


def test_failures_put_the_next_turn_off_and_a_success_brings_the_usual_back(house: Database) -> None:
    clock = FixedClock()
    scheduler = Scheduler(house, clock, lambda: None)
    key = house.write(add, every="06:30", next_at=clock.now_us())
    for failures, minutes in ((1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 240)):
        scheduler.run()
        end(house, made(house)[-1]["id"], "failed", clock.now_us(), "Binance answered 503")
        row = state(house, key)
        assert (row["failures"], row["next_at"] - clock.now_us()) == (failures, minutes * 60_000_000)
        assert ingestion_schedules.outcome(row) == ("failed", "Binance answered 503")
        clock.advance(minutes * 60)
    scheduler.run()
    end(house, made(house)[-1]["id"], "succeeded", clock.now_us())
    row = state(house, key)
    assert (row["failures"], format_us(row["next_at"])[10:]) == (0, "T06:30:00Z")


def test_a_failure_does_not_resume_what_was_paused_and_a_cancellation_is_no_failure(house: Database) -> None:
    clock = FixedClock()
    scheduler = Scheduler(house, clock, lambda: None)
    key = house.write(add)
    scheduler.run()
    house.write(lambda tx: ingestion_schedules.change(tx, key, next_at=None))
    end(house, made(house)[-1]["id"], "failed", clock.now_us(), "no")
    assert (state(house, key)["failures"], state(house, key)["next_at"]) == (1, None)
    house.write(lambda tx: ingestion_schedules.change(tx, key, next_at=clock.now_us(), failures=0))
    scheduler.run()
    before = state(house, key)["next_at"]
    end(house, made(house)[-1]["id"], "cancelled", clock.now_us())
    assert (state(house, key)["failures"], state(house, key)["next_at"]) == (0, before)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"source": "fred", "instruments": ["macro:GDP"], "owner": "org_a"}, "FRED"),
        ({"source": "gone"}, "no source named 'gone'"),
        ({"source": "yahoo", "instruments": ["equity:AAPL"], "interval": "1d"}, "is off here"),
        ({"instruments": 7}, "it failed: TypeError"),
    ],
)
def test_a_turn_that_is_refused_says_why_and_does_not_hold_up_others(
    house: Database, change: dict[str, Any], why: str
) -> None:
    clock = FixedClock()
    key, other = house.write(add, **change), house.write(add, next_at=2)
    Scheduler(house, clock, lambda: None).run()
    row = state(house, key)
    status, said = ingestion_schedules.outcome(row)
    assert (status, row["failures"], row["ingestion"]) == ("refused", 1, None)
    assert why in said
    assert row["next_at"] == clock.now_us() + 15 * 60_000_000
    assert state(house, other)["ingestion"] is not None
    house.write(lambda tx: ingestion_schedules.change(tx, key, instruments=["crypto:BTC-USDT"], source="binance"))
    clock.advance(3600)
    Scheduler(house, clock, lambda: None).run()
    assert state(house, key)["said"] == ""


def test_schedules_leave_room_for_those_who_ask_themselves(house: Database) -> None:
    clock = FixedClock()
    keys = [house.write(add, next_at=n) for n in range(MAX_WAITING + 2)]
    other = house.write(add, "org_b", next_at=10_000)
    scheduler = Scheduler(house, clock, lambda: None)
    scheduler.run()
    assert len(made(house)) == MAX_WAITING
    assert state(house, other, "org_b")["ingestion"] is not None
    row = state(house, keys[-1])
    assert (row["failures"], row["ingestion"]) == (0, None)
    assert ingestion_schedules.outcome(row)[0] == "waiting"
    end(house, made(house)[0]["id"], "succeeded", clock.now_us())
    clock.advance(60)
    scheduler.run()
    assert len(made(house)) == MAX_WAITING + 1


def test_a_clock_that_was_ahead_stops_no_schedule(house: Database) -> None:
    clock = FixedClock()
    key = house.write(add, next_at=clock.now_us() + 400 * DAY_US)
    Scheduler(house, clock, lambda: None).run()
    assert state(house, key)["next_at"] == clock.now_us() + HOUR_US


def test_of_two_processes_at_one_database_one_has_the_turn(migrated_url: str) -> None:
    turns, processes = 12, 4
    clock = FixedClock()
    with Database(migrated_url) as first:
        for n in range(8):
            first.write(accounts.add_organization, f"org_{n}", "o", 1)
            first.write(add, f"org_{n}", next_at=clock.now_us())
    barrier = threading.Barrier(processes)
    failed: list[Exception] = []

    def process() -> None:
        try:
            with Database(migrated_url) as database:
                scheduler = Scheduler(database, clock, lambda: None)
                for _ in range(turns):
                    barrier.wait(60)
                    scheduler.run()
                    if barrier.wait(60) == 0:  # one of them ends what was asked for
                        for n in range(8):
                            for row in made(database, f"org_{n}"):
                                if row["status"] == "queued":
                                    end(database, row["id"], "succeeded", clock.now_us())
                        clock.advance(3600)
        except Exception as error:  # noqa: BLE001 - of a thread: told below
            failed.append(error)
            barrier.abort()

    threads = [threading.Thread(target=process) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    with Database(migrated_url) as database:
        counts = [len(made(database, f"org_{n}")) for n in range(8)]
    assert counts == [turns] * 8


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_ingestions_of_schedules_go_after_a_while_but_for_the_last_and_those_that_run(house: Database) -> None:
    clock = FixedClock()
    key = house.write(add)
    scheduler = Scheduler(house, clock, lambda: None)
    for _ in range(3):
        scheduler.run()
        end(house, made(house)[-1]["id"], "succeeded", clock.now_us())
        clock.advance(3600)
    asked = house.write(ingestions.order, "org_a", "paper", "system", "binance", {"end_us": 1}, clock.now_us())
    running = house.write(ingestions.order, "org_a", "paper", "system", "binance", {"end_us": 1}, 1, key)
    last = state(house, key)["ingestion"]
    rule = next(rule for rule in retention.RULES if rule.table == "ingestions")
    assert house.write(retention.delete_batch, rule, clock.now_us() + 91 * DAY_US, 100) == 2
    assert {row["id"] for row in made(house)} == {asked, running, last}
