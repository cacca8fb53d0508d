"""What an Idempotency-Key belongs to, and what is kept of the request that it names."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from asgi import Client, Person
from seeds_people import session_of
from tradewright.api.app import build
from tradewright.storage import people
from tradewright.storage.database import Tx
from tradewright.storage.tables import idempotency
from tradewright.storage.vault import Vault, new_main_key

ONCE = {"Idempotency-Key": "one"}


def test_what_a_person_repeats_as_another_organization_is_done_there(served: Any) -> None:
    now = served.clock.now_us()
    served.database.write(people.add_member, "org_b", "usr_owner", "owner", now)
    there = Person(served.database.write(session_of, "usr_owner", now, stepped_up=True))

    async def work(client: Client) -> None:
        body = {"kind": "organization"}
        first = await client.post("/v1/exports", body, person=there, headers=ONCE)
        again = await client.post("/v1/exports", body, person=there, headers=ONCE)
        other = await client.post("/v1/exports", body, person=replace(there, organization="org_b"), headers=ONCE)
        assert [answer.status for answer in (first, again, other)] == [202, 202, 202]
        assert again.body == first.body
        assert (first.json["organization"], other.json["organization"]) == ("org_a", "org_b")

    served.run(work)


def test_what_is_kept_of_a_request_cannot_be_guessed_without_the_main_key(served: Any) -> None:
    body = json.dumps({"broker": "paper", "name": "short", "credentials": {"api_key": "hunter22"}}).encode()

    async def work(client: Client) -> None:
        for _ in range(2):
            assert (await client.post("/v1/broker-accounts", body, headers=ONCE)).status == 201
        other = body.replace(b"hunter22", b"hunter23")
        assert (await client.post("/v1/broker-accounts", other, headers=ONCE)).json["code"] == "idempotency_mismatch"

    served.run(work)
    kept = served.database.read(lambda tx: tx.execute(sa.select(idempotency.c.fingerprint)).scalar_one())
    request = b"/v1/broker-accounts\0" + body
    assert kept != hashlib.sha256(request).digest()
    assert kept not in Vault([new_main_key()]).marks(request)
    assert kept == served.services.vault.marks(request)[0]


def test_a_request_is_known_again_after_the_main_key_was_replaced(served: Any) -> None:
    body = {"strategy": "buy_and_hold", "instruments": ["crypto:AAA-USD"]}
    old, new = new_main_key(), new_main_key()
    given = [old]
    running = Vault(given, lambda: given)

    async def work(client: Client) -> None:
        async def asked(vault: Vault, key: str) -> bytes:
            behind = Client(build(replace(served.services, vault=vault)), client.key)
            answer = await behind.post("/v1/backtests", body, headers={"Idempotency-Key": key})
            assert answer.status == 202, answer.body
            return answer.body

        before = await asked(running, "before")
        given.insert(0, new)
        assert await asked(Vault([new, old]), "before") == before
        assert await asked(running, "before") == before
        after = await asked(Vault([new, old]), "after")
        assert await asked(running, "after") == after

    served.run(work)


def test_a_request_with_a_key_waits_for_rows_as_long_as_any_other(served: Any) -> None:
    if served.database.dialect != "postgresql":
        return  # the embedded database has one writer
    held = threading.Event()

    def hold(tx: Tx) -> None:
        tx.exec_driver_sql("SELECT id FROM api_keys FOR UPDATE")
        held.set()
        tx.exec_driver_sql("SELECT pg_sleep(4.5)")

    async def work(client: Client) -> None:
        target = f"/v1/api-keys/{served.key_ids['nothing']}/roll"
        answer = await client.post(target, {"overlap_s": 60}, headers=ONCE)
        assert answer.status == 201, answer.body

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(served.database.write, hold)
        assert held.wait(5)
        served.run(work)
        holding.result()
