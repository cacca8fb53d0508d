"""Sources over HTTP: their state, and the credentials that an organization keeps, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from asgi import Client
from tradewright.api.app import build
from tradewright.api.rules import Rules
from tradewright.clock import DAY_US, format_us
from tradewright.ids import SYSTEM, Owner
from tradewright.storage import third_parties
from tradewright.storage.tables import audit_log, idempotency, source_credentials

START = 1_600_041_600_000_000
FRED = "/v1/sources/fred/credentials"
SECRET = "planted-and-never-shown"


def test_credentials_of_a_source_are_sealed_and_in_no_answer(served: Any) -> None:
    async def work(client: Client) -> None:
        assert (await client.get("/v1/sources/fred")).json["credentials"] is None
        answers = []
        for value in (f"first {SECRET}", SECRET):
            served.clock.advance(1)
            answers.append(await client.send("PUT", FRED, {"fields": {"api_key": value}}))
            assert answers[-1].status == 200, answers[-1].body
        now = format_us(served.clock.now_us())
        shown = await client.get("/v1/sources/fred")
        assert answers[-1].json == shown.json["credentials"] == {"kept_at": now}
        key, sealed = served.database.read(third_parties.credentials, "org_a", "fred")
        opened = msgspec.json.decode(served.services.vault.open(sealed, f"source_credentials/{key}"))
        assert opened == {"api_key": SECRET}
        assert SECRET.encode() not in sealed
        other = await client.get("/v1/sources/fred", key=served.keys["other organization"])
        assert other.json["credentials"] is None
        assert (await client.get("/v1/sources/fred", key=served.keys["other environment"])).json == shown.json
        answers += [shown, other, await client.get("/v1/sources"), await client.get("/v1/audit-log")]
        assert (await client.send("DELETE", FRED, key=served.keys["other organization"])).status == 404
        assert (await client.send("DELETE", FRED)).status == 204
        assert (await client.send("DELETE", FRED)).status == 404
        assert (await client.get("/v1/sources/fred")).json["credentials"] is None
        assert all(SECRET.encode() not in answer.body for answer in answers)

    served.run(work)
    query = sa.select(audit_log.c.detail).where(audit_log.c.action == "source.credentials").order_by(audit_log.c.id)
    assert [row.detail["kept"] for row in served.database.read(lambda tx: tx.execute(query).all())] == [
        True,
        True,
        False,
    ]
    assert served.database.read(lambda tx: tx.execute(sa.select(idempotency)).all()) == []


@pytest.mark.parametrize(
    ("name", "fields", "status", "pointers"),
    [
        ("fred", {"api_kye": SECRET}, 422, ["/fields/api_kye", "/fields"]),
        ("fred", {"api_key": f"{SECRET}\n"}, 422, ["/fields/api_key"]),
        ("alpaca", {"key_id": f"\x7f{SECRET}"}, 422, ["/fields/key_id", "/fields"]),
        ("fred", {"API KEY": SECRET}, 422, ["/fields"]),
        ("fred", {"api_key": [SECRET]}, 422, ["/fields"]),
        ("fred", {}, 422, ["/fields"]),
        ("fred", SECRET, 422, ["/fields"]),
        ("binance", {"api_key": SECRET}, 422, ["/fields"]),
        ("ccxt_bitmart", {"api_key": SECRET}, 422, ["/fields"]),
        ("ccxt_nowhere", {"api_key": SECRET}, 404, []),
        ("nobody", {"api_key": SECRET}, 404, []),
    ],
)
def test_credentials_that_a_source_does_not_take_are_refused_and_not_repeated(
    served: Any, name: str, fields: Any, status: int, pointers: list[str]
) -> None:
    async def work(client: Client) -> None:
        refused = await client.send("PUT", f"/v1/sources/{name}/credentials", {"fields": fields})
        assert (refused.status, SECRET.encode() in refused.body) == (status, False), refused.body
        told = [error["pointer"] for error in refused.json["errors"]]
        assert [p if p.startswith(("/fields/a", "/fields/k")) else "/fields" for p in told] == pointers

    served.run(work)
    query = sa.select(source_credentials.c.source)
    assert served.database.read(lambda tx: tx.execute(query).scalars().all()) == ["tiingo"]


def test_credentials_handed_in_at_once_leave_one_row_that_opens(served: Any) -> None:
    async def work(client: Client) -> None:
        answers = await asyncio.gather(
            *(client.send("PUT", FRED, {"fields": {"api_key": f"key {n}"}}) for n in range(8))
        )
        assert [answer.status for answer in answers] == [200] * 8

    served.run(work)
    key, sealed = served.database.read(third_parties.credentials, "org_a", "fred")
    assert served.services.vault.open(sealed, f"source_credentials/{key}").startswith(b'{"api_key":"key ')


def test_a_source_says_whether_it_answers_and_how_old_its_newest_bar_is(served: Any) -> None:
    async def work(client: Client) -> None:
        first = await client.get("/v1/sources/binance")
        age_s = (served.clock.now_us() - (START + 29 * DAY_US)) / 1e6
        assert (first.json["age_s"], first.json["health"]) == (age_s, None)
        served.clock.advance(5.0)
        later = await client.get("/v1/sources/binance")
        assert (later.json["age_s"], later.headers["etag"]) == (age_s + 5.0, first.headers["etag"])
        now_us = served.clock.now_us()
        note = served.database.write_async
        await note(third_parties.note, SYSTEM, "binance", "it did not answer", now_us)
        await note(third_parties.note, Owner("org_b"), "binance", None, now_us)
        told = await client.get("/v1/sources/binance")
        now = format_us(now_us)
        said = {"status": "degraded", "since": now, "asked_at": now, "said": "it did not answer"}
        assert told.json["health"] == said
        assert told.headers["etag"] != first.headers["etag"]
        by_name = {source["name"]: source for source in (await client.get("/v1/sources")).json["data"]}
        assert by_name["binance"] == told.json
        other = await client.get("/v1/sources/binance", key=served.keys["other organization"])
        assert other.json["health"]["status"] == "answers"

    served.run(work)


def test_a_source_that_is_asked_elsewhere_says_where(served: Any) -> None:
    async def work(client: Client) -> None:
        services = replace(served.services, rules=Rules(elsewhere={"binance": "api.binance.us"}))
        there = replace(client, app=build(services))
        assert (await there.get("/v1/sources/binance")).json["elsewhere"] == "api.binance.us"
        assert (await there.get("/v1/sources/fred")).json["elsewhere"] is None
        assert (await client.get("/v1/sources/binance")).json["elsewhere"] is None

    served.run(work)


def test_what_a_source_wants_and_what_it_adjusts_is_told(served: Any) -> None:
    async def work(client: Client) -> None:
        declared = {each["name"]: each["declared"] for each in (await client.get("/v1/sources")).json["data"]}
        wants = {name: (each["credentials"], each["optional"]) for name, each in declared.items() if each is not None}
        assert wants["binance"] == ([], False), "where there are none, none are optional"
        assert wants["fred"] == (["api_key"], False)
        assert wants["coingecko"] == (["api_key"], True)
        assert declared["twelve_data"]["adjusted_intervals"] == ["1d"]
        assert declared["yahoo"]["adjusted_intervals"] == declared["yahoo"]["intervals"]
        assert declared["binance"]["adjusted_intervals"] == declared["fred"]["adjusted_intervals"] == []

    served.run(work)


def test_venues_of_ccxt_are_known_without_reading_ccxt_in(served: Any) -> None:
    async def work(client: Client) -> None:
        venue = await client.get("/v1/sources/ccxt_bitmart")
        assert (venue.status, venue.json["declared"]) == (200, None)
        for name in ("ccxt_", "ccxt_nowhere", "ccxt_..", "ccxt___init__", "ccxt"):
            assert (await client.get(f"/v1/sources/{name}")).status == 404, name

    served.run(work)
    program = """
import sys
from tradewright.api.routes import all_operations
from tradewright.sources import asking
all_operations()
assert asking.exists("ccxt_bitmart")
assert "ccxt" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
