"""Rows leave quarantine when somebody says so, on the record, on SQLite and PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from asgi import Client
from tradewright.app.house import settings_to
from tradewright.app.release_task import run_release
from tradewright.app.work import build_hands
from tradewright.clock import DAY_US, FixedClock
from tradewright.ids import Owner
from tradewright.market.catalog import Catalog
from tradewright.market.ingest import ingest_frame
from tradewright.market.instruments import Instrument
from tradewright.market.release import hindrance, overtaken, release
from tradewright.settings import Settings
from tradewright.storage import accounts, jobs, quarantine
from tradewright.storage import series as store
from tradewright.storage.database import Database
from tradewright.storage.tables import audit_log
from tradewright.storage.tables import jobs as jobs_table

START = 1_600_041_600_000_000
OWNER, KEY = Owner("org_a"), ("s", "crypto:DDD-USD", "1d")
COIN = Instrument("crypto:DDD-USD")
RELEASE, DISCARD = "/v1/quarantine/qua_release/release", "/v1/quarantine/qua_discard/discard"


def test_a_decision_counts_once_and_stands_in_the_audit_log(served: Any) -> None:
    async def work(client: Client) -> None:
        for target, status, code in ((RELEASE, "releasing", 202), (DISCARD, "discarded", 200)):
            for _ in range(2):
                answer = await client.post(target, None)
                assert (answer.status, answer.json["status"]) == (code, status), answer.body
        assert (await client.get("/v1/quarantine/qua_release")).json["status"] == "releasing"
        assert (await client.post("/v1/quarantine/qua_release/discard", None)).status == 409
        second_thoughts = await client.post("/v1/quarantine/qua_discard/release", None)
        assert (second_thoughts.status, second_thoughts.json["status"]) == (202, "releasing")
        for verb in ("release", "discard"):
            shared = await client.post(f"/v1/quarantine/qua_1/{verb}", None)
            assert (shared.status, shared.json["code"]) == (409, "conflict")
            assert "everybody" in shared.json["detail"]
            assert (await client.post(f"/v1/quarantine/qua_2/{verb}", None)).status == 404
        unusable = await client.post("/v1/quarantine/qua_0/release", None)  # high and low, no close
        assert (unusable.status, "needs a close" in unusable.json["detail"]) == (409, True)

    served.run(work)
    query = sa.select(audit_log.c.action, audit_log.c.object).where(audit_log.c.action.startswith("quarantine."))
    told = served.database.read(lambda tx: tx.execute(query.order_by(audit_log.c.id)).all())
    assert [tuple(row) for row in told] == [
        ("quarantine.release", "qua_release"),
        ("quarantine.discard", "qua_discard"),
        ("quarantine.release", "qua_discard"),
    ]
    kinds = sa.select(jobs_table.c.payload).where(jobs_table.c.kind == "release")
    place = {"owner": "org_a", "source": "kraken", "instrument": "crypto:CCC-USD", "interval": "1d"}
    assert served.database.read(lambda tx: tx.execute(kinds).scalars().all()) == [place] * 2


@pytest.fixture
def catalog(database: Database, tmp_path: Path) -> Catalog:
    """A series of forty bars, of which one was rejected."""
    found = Catalog(tmp_path / "data", database)
    (tmp_path / "data").mkdir()
    closes = [100.0 + n % 7 for n in range(40)]
    high, low = [close * 1.02 for close in closes], [close * 0.97 for close in closes]
    high[20] = 1.0
    rows = {"time": [START + n * DAY_US for n in range(40)], "open": closes, "high": high, "low": low}
    frame = pl.DataFrame({**rows, "close": closes, "volume": closes, "instrument": COIN.id})
    ingest_frame(
        found, database, OWNER, frame, [COIN], interval="1d", source="s", now_us=START + 99 * DAY_US, ingestion_id="i"
    )
    return found


def held(database: Database) -> list[dict[str, Any]]:
    return database.read(store.list_quarantine, OWNER, instrument=COIN.id)


def codes(database: Database) -> dict[str, str]:
    row = database.read(store.get_series, OWNER, *KEY)
    assert row is not None
    return {finding["code"]: finding["detail"] for finding in row["findings"]}


def test_a_released_row_is_a_bar_and_the_verdict_says_so(catalog: Catalog) -> None:
    database = catalog.database
    (row,) = held(database)
    assert {"high_below_low", "missing_rows"} <= set(codes(database))
    now_us = START + 200 * DAY_US
    assert hindrance(row, now_us) == ""
    database.write(quarantine.mark, [row["id"]], "releasing", "held")
    for _ in range(2):  # a job that is begun again changes nothing
        release(catalog, OWNER, *KEY, now_us)
    bar = catalog.read(OWNER, "s", [COIN.id], "1d", row["time"], row["time"])
    assert bar.select("high", "known_at", "observed_at").row(0) == (1.0, row["time"], now_us)
    assert catalog.revisions(OWNER, "s", COIN.id, "1d", row["time"]).height == 1
    assert held(database)[0]["status"] == "released"
    said = codes(database)
    assert "1 of high_below_low" in said["released_rows"]
    assert not {"high_below_low", "missing_rows"} & set(said)
    before = catalog.read(OWNER, "s", [COIN.id], "1d", recorded_before_us=now_us)
    assert before.height == 39, "what was recorded before is read as it was"


def corrected(catalog: Catalog, at_us: int, **values: float) -> None:
    """Bring the rejected bar in again as it should be."""
    (row,) = held(catalog.database)
    bar = {"time": row["time"], **row["row"], "high": 120.0, "instrument": COIN.id} | values
    frame = pl.DataFrame([bar]).drop("known_at", "observed_at")
    what = {"interval": "1d", "source": "s", "now_us": at_us, "ingestion_id": f"again_{at_us}"}
    ingest_frame(catalog, catalog.database, OWNER, frame, [COIN], **what)


def test_a_row_in_whose_place_another_bar_came_is_not_released(catalog: Catalog) -> None:
    database = catalog.database
    (row,) = held(database)
    assert overtaken(row, catalog.read(OWNER, "s", [COIN.id], "1d")) == ""
    corrected(catalog, START + 150 * DAY_US)
    why = overtaken(row, catalog.read(OWNER, "s", [COIN.id], "1d"))
    assert "came later, on 2021-02-11T00:00:00Z" in why, why
    assert "discard the row" in why
    database.write(quarantine.mark, [row["id"]], "releasing", "held")
    assert release(catalog, OWNER, *KEY, START + 200 * DAY_US) == 0
    bar = catalog.read(OWNER, "s", [COIN.id], "1d", row["time"], row["time"])
    assert bar["high"].to_list() == [120.0]
    assert held(database)[0]["status"] == "held"
    assert "released_rows" not in codes(database)


def test_a_released_row_counts_as_one_until_another_bar_takes_its_place(catalog: Catalog) -> None:
    database = catalog.database
    (row,) = held(database)
    database.write(quarantine.mark, [row["id"]], "releasing", "held")
    release(catalog, OWNER, *KEY, START + 200 * DAY_US)
    assert "1 of high_below_low" in codes(database)["released_rows"]
    corrected(catalog, START + 201 * DAY_US)
    assert "released_rows" not in codes(database)


def test_the_release_of_a_row_that_was_overtaken_is_a_conflict(served: Any) -> None:
    coin, data = Instrument("crypto:CCC-USD"), served.services.market_data
    prices = {"open": 6.0, "high": 7.0, "low": 5.0, "close": 6.5, "volume": 2.0}
    bar = pl.DataFrame([{"time": START, **prices, "instrument": coin.id}])
    what = {"interval": "1d", "source": "kraken", "now_us": served.clock.now_us() + DAY_US, "ingestion_id": "later"}
    ingest_frame(data._catalog, served.database, OWNER, bar, [coin], **what)

    async def work(client: Client) -> None:
        answer = await client.post(RELEASE, None)
        assert (answer.status, answer.json["code"]) == (409, "conflict"), answer.body
        assert "closing at 6.5, came later" in answer.json["detail"]
        assert (await client.get("/v1/quarantine/qua_release")).json["status"] == "held"
        assert (await client.post(RELEASE.replace("/release", "/discard"), None)).status == 200

    served.run(work)


def test_a_job_releases_and_one_that_fails_puts_the_row_back(
    catalog: Catalog, database_settings: Settings, tmp_path: Path
) -> None:
    database, clock = catalog.database, FixedClock()
    (row,) = held(database)
    place = dict(zip(("source", "instrument", "interval"), KEY, strict=True)) | {"owner": str(OWNER)}
    finished = build_hands(database, clock, database_settings)._workers[0]._finished
    assert finished is not None
    database.write(quarantine.mark, [row["id"]], "releasing", "held")
    job = {"id": "job_1", "kind": "release", "organization": "org_a", "environment": "paper", "payload": place}
    database.write(finished, job, "failed", 1)
    assert held(database)[0]["status"] == "held"
    database.write(quarantine.mark, [row["id"]], "releasing", "held")
    database.write(accounts.add_organization, "org_a", "a", 1)
    payload = {**place, "settings": settings_to(database_settings), "organization": "org_a"}
    assert run_release(payload, lambda fraction, message: None) == {"rows": 1}
    database.write(finished, job, "succeeded", 1)
    assert held(database)[0]["status"] == "released"


@pytest.fixture
def database_settings(migrated_url: str, tmp_path: Path) -> Settings:
    """Settings that lead to the database of the test."""
    return Settings(data_folder=tmp_path / "data", database_url=migrated_url)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"interval": "fact"}, "only bars"),
        ({"time": None}, "no time"),
        ({"time": START + 999 * DAY_US}, "future"),
        ({"row": {"close": None, "high": 1.0}}, "close"),
        ({"row": {"close": 1.0, "high": "inf"}}, "finite"),
        ({"row": {"close": -1.0}}, "above 0"),
        ({"row": {"close": 1.0, "volume": -1.0}}, "volume"),
        ({"row": {"text": "12;13"}}, "close"),
        ({"row": {"close": 1.0}}, ""),
    ],
)
def test_only_what_can_be_a_bar_is_released(change: dict[str, Any], why: str) -> None:
    row = {"interval": "1d", "time": START, "row": {}} | change
    told = hindrance(row, START + DAY_US)
    assert why in told
    assert bool(why) == bool(told)


def test_a_release_is_claimed_by_the_worker_that_computes(database: Database, tmp_path: Path) -> None:
    database.write(jobs.enqueue, "org_a", "paper", "release", {}, 1)
    computing = build_hands(database, FixedClock(), Settings(data_folder=tmp_path))._workers[0]
    assert database.write(jobs.claim, "one", 1, 10, computing._kinds) is not None
