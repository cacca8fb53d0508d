"""What is left of who is erased, and what a copy of all that is known holds."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from asgi import Client, Person
from logging_in import login, token_of
from seeds_people import PASSWORD, session_of
from tradewright import ids
from tradewright.accounts import keys
from tradewright.accounts.authentication import Authenticator
from tradewright.accounts.keys import Terms
from tradewright.api.app import build
from tradewright.app.house import open_database
from tradewright.app.work import build_hands
from tradewright.errors import InvalidInput, NotFound
from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.frames import canonical
from tradewright.research.trials import Trial, TrialLedger
from tradewright.settings import Settings
from tradewright.storage import accounts, erasure, exports, jobs, people, runs, sessions
from tradewright.storage.tables import audit_log, audit_seals, feed_sessions, metadata, positions, users

EMAIL, NAME, ADDRESS, AGENT = "planted.person@example.com", "Zebedee Planted", "203.0.113.99", "planted-browser/1"
NEW = "another sentence, never said"


def everything(served: Any) -> dict[str, str]:
    """The text of every table, bytes included."""

    def read(tx: Any) -> dict[str, str]:
        found = {}
        for table in metadata.sorted_tables:
            rows = [
                tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in tx.execute(table.select())
            ]
            found[table.name] = repr(rows)
        return found

    return dict(served.database.read(read))


def asked_again(served: Any, user: str) -> Person:
    return Person(served.database.write(session_of, user, served.clock.now_us(), stepped_up=True))


def finished(served: Any) -> None:
    """Let a worker run until the exports have ended."""
    with tempfile.TemporaryDirectory() as folder:
        _work_until_exported(served, Settings(data_folder=Path(folder)))


def _work_until(served: Any, settings: Settings, done: Callable[[], bool]) -> None:
    hands = build_hands(served.database, served.clock, settings)
    hands.start()
    try:
        deadline = time.monotonic() + 90  # processes are started for it, however busy the machine is
        while time.monotonic() < deadline:
            if done():
                return
            threading.Event().wait(0.05)
        raise AssertionError("it did not end")
    finally:
        hands.stop()
        hands.join()


def _work_until_exported(served: Any, settings: Settings) -> None:
    _work_until(served, settings, lambda: served.database.read(exports.count_unfinished, "usr_owner") == 0)


async def planted(served: Any, client: Client) -> str:
    """A person with traces everywhere; return the id."""
    owner = asked_again(served, "usr_owner")
    invited = {"email": EMAIL, "role": "admin"}
    once = {"Idempotency-Key": ids.new("key")}
    target = "/v1/organizations/org_a/invitations"
    invitation = await client.post(target, invited, person=owner, headers=once)
    seen = {"User-Agent": AGENT}
    client.address = ADDRESS
    body = {"email": EMAIL, "password": NEW, "name": NAME, "invitation": invitation.json["token"]}
    assert (await client.post("/v1/auth/register", body, key=None, headers=seen)).status == 202
    assert (await login(client, EMAIL, "not the right one")).status == 401
    answer = await client.post("/v1/auth/login", {"email": EMAIL, "password": NEW}, key=None, headers=seen)
    person = Person(token_of(answer))
    for target in ("/v1/auth/totp", "/v1/exports"):
        body = {"kind": "person"} if target == "/v1/exports" else None
        await client.post(target, body, person=person, headers={**seen, "Idempotency-Key": "planted-1"})
    again = asked_again(served, answer.json["user"])
    await client.post("/v1/auth/passkeys/options", None, person=again, headers={"Idempotency-Key": "planted-2"})
    await client.send("PATCH", "/v1/me", {"name": NAME}, person=person, headers=seen)
    await plant_a_key(client, again)
    opened = replace(served.services, rules=replace(served.services.rules, open_registration=True))
    known = {"email": EMAIL, "password": NEW, "name": NAME}
    refused = await Client(build(opened), None, ADDRESS).post("/v1/auth/register", known, headers=seen)
    assert refused.status == 202
    return str(answer.json["user"])


async def plant_a_key(client: Client, person: Person) -> None:
    """A key with the name of its maker, and one that replaces it, both with an answer kept for replays."""
    once = {"Idempotency-Key": "planted-3"}
    body = {"name": f"laptop of {NAME}", "scopes": ["market:read"]}
    made = await client.post("/v1/api-keys", body, person=person, headers=once)
    assert made.status == 201
    rolled = await client.post(f"/v1/api-keys/{made.json['id']}/roll", {}, person=person, headers=once)
    assert (rolled.status, rolled.json["name"]) == (201, body["name"])


def test_a_key_that_somebody_else_made_is_told_again_after_an_erasure(served: Any) -> None:
    async def work(client: Client) -> None:
        user = await planted(served, client)
        client.address = "127.0.0.1"
        owner, once = asked_again(served, "usr_owner"), {"Idempotency-Key": "of-the-owner"}
        body = {"name": "of the owner", "scopes": ["market:read"]}
        made = await client.post("/v1/api-keys", body, person=owner, headers=once)
        assert (await client.send("DELETE", "/v1/me", person=asked_again(served, user))).status == 204
        again = await client.post("/v1/api-keys", body, person=owner, headers=once)
        assert (again.status, again.json["id"]) == (201, made.json["id"])
        listed = (await client.get("/v1/api-keys?limit=500", person=owner)).json["data"]
        assert sorted(one["name"] for one in listed if one["created_by"] == user) == ["", ""]

    served.run(work)


def test_nothing_that_names_an_erased_person_is_left(served: Any) -> None:
    async def work(client: Client) -> str:
        user = await planted(served, client)
        before = "".join(everything(served).values())
        assert all(trace in before for trace in (EMAIL, NAME, ADDRESS, AGENT))
        client.address = "127.0.0.1"
        assert (await client.send("DELETE", "/v1/me", person=asked_again(served, user))).status == 204
        assert (await login(client, EMAIL, NEW)).status == 401
        return user

    user = served.run(work)
    for table, text in everything(served).items():
        for trace in (EMAIL, NAME, AGENT):
            assert trace not in text, table
        if table != "throttles":  # how often an address tried: not who
            assert ADDRESS not in text, table
    find = users.select().where(users.c.id == user)
    row = served.database.read(lambda tx: tx.execute(find).mappings().one())
    assert (row["email"], row["name"], row["password_hash"]) == (None, "", None)
    mine = audit_log.select().where(audit_log.c.actor == user)
    assert len(served.database.read(lambda tx: tx.execute(mine).all())) >= 4  # what they did stays, by id


@pytest.mark.parametrize("how", ["left", "invited"])
def test_what_was_exported_while_it_named_a_person_goes_with_the_person(served: Any, how: str) -> None:
    async def work(client: Client) -> int:
        owner, home = asked_again(served, "usr_owner"), "/v1/organizations/org_a"
        body = {"email": "stranger@example.com", "role": "viewer"}
        if how == "invited":
            assert (await client.post(f"{home}/invitations", body, person=owner)).status == 201
        made = await client.post("/v1/exports", {"kind": "organization"}, person=owner)
        user = "usr_stranger" if how == "invited" else "usr_trader"
        if how == "left":
            assert (await client.send("DELETE", f"{home}/members/{user}", person=owner)).status == 204
        target = f"/v1/exports/{made.json['id']}"
        assert (await client.get(target, person=owner)).status == 200
        person = Person(asked_again(served, user).token, "", "")
        assert (await client.send("DELETE", "/v1/me", person=person)).status == 204
        return int((await client.get(target, person=owner)).status)

    assert served.run(work) == 404


def test_a_use_that_is_stored_late_names_nobody_who_was_erased(served: Any) -> None:
    now_us = served.clock.now_us()
    key, text = served.database.write(keys.create, "org_a", "paper", "k", ["market:read"], now_us)
    served.database.write(accounts.change_api_key, "org_a", "paper", key, {"created_by": "usr_trader"})

    async def work(client: Client) -> None:
        client.address = ADDRESS
        assert (await client.get("/v1/instruments", key=text, headers={"User-Agent": AGENT})).status == 200
        client.address = "127.0.0.1"
        assert (await client.send("DELETE", "/v1/me", person=asked_again(served, "usr_trader"))).status == 204

    served.run(work)
    uses = served.services.authenticator.take_uses()
    assert (key, ADDRESS, AGENT) in [(use[0], *use[2:]) for use in uses]
    served.database.write(accounts.note_uses, uses, 0)
    assert AGENT not in everything(served)["api_keys"]


def test_an_address_is_free_again_after_erasure(served: Any) -> None:
    async def work(client: Client) -> None:
        user = await planted(served, client)
        assert (await client.send("DELETE", "/v1/me", person=asked_again(served, user))).status == 204
        assert await planted(served, client) != user

    served.run(work)


def test_an_organization_is_erased_whole_and_nothing_of_another(served: Any) -> None:
    before = {table.name: _count(served, table, "org_b") for table in erasure.tables_of_organizations()}

    async def work(client: Client) -> None:
        owner = asked_again(served, "usr_owner")
        assert (await client.get("/v1/status")).status == 200
        assert (await client.send("DELETE", "/v1/organizations/org_a", person=owner)).status == 204
        assert (await client.get("/v1/organizations/org_a", person=owner)).status == 404
        assert (await client.get("/v1/me", person=Person(owner.token, "", ""))).status == 200
        assert (await client.get("/v1/status")).status == 401  # its keys at once

    served.run(work)
    for table in erasure.tables_of_organizations():
        if table.name != "audit_people":  # of the deletion itself nobody is named
            assert _count(served, table, "org_a") == 0, table.name
        assert _count(served, table, "org_b") == before[table.name], table.name
    kept = audit_log.select().where(audit_log.c.organization == "org_a", audit_log.c.action == "organization.erase")
    assert len(served.database.read(lambda tx: tx.execute(kept).all())) == 1


def test_another_process_writes_nothing_into_an_organization_that_was_erased(served: Any) -> None:
    elsewhere = Client(
        build(replace(served.services, authenticator=Authenticator(served.database, served.clock))),
        served.keys["whole"],
    )

    async def work(client: Client) -> None:
        wanted = {"name": "late", "broker": "paper"}
        assert (await elsewhere.post("/v1/broker-accounts", wanted)).status == 201
        owner = asked_again(served, "usr_owner")
        assert (await client.send("DELETE", "/v1/organizations/org_a", person=owner)).status == 204
        assert (await elsewhere.get("/v1/broker-accounts")).json["data"] == []  # its key is still remembered there
        refused = await elsewhere.post("/v1/broker-accounts", wanted, headers={"Idempotency-Key": "late"})
        assert (refused.status, refused.json["code"]) == (401, "unauthenticated")

    served.run(work)
    for table in erasure.tables_of_organizations():
        if table.name != "audit_people":
            assert _count(served, table, "org_a") == 0, table.name


def test_a_job_writes_nothing_into_an_organization_that_was_deleted(served: Any, tmp_path: Path) -> None:
    trial = Trial(("crypto:AAA-USD",), "1d", 1, 2, {"strategy": "cash"}, status="crashed")
    settings = Settings(data_folder=tmp_path / "data", database_url=served.database.url)
    owner = asked_again(served, "usr_owner")
    with open_database(settings, "org_a") as database:
        TrialLedger(database, "org_a", "paper").record(trial)
        served.run(lambda client: client.send("DELETE", "/v1/organizations/org_a", person=owner))
        with pytest.raises(NotFound, match="org_a was deleted"):
            TrialLedger(database, "org_a", "paper").record(trial)
    for table in erasure.tables_of_organizations():
        if table.name != "audit_people":
            assert _count(served, table, "org_a") == 0, table.name


def test_bars_of_an_organization_that_was_deleted_during_a_job_go_when_it_ends(served: Any, tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "data", database_url=served.database.url)
    catalog = Catalog(settings.data_folder, served.database)
    for owner in ("org_a", "org_gone"):
        catalog.append(Owner(owner), _bars(86_400_000_000), f"of {owner}")
    place = {"owner": "org_gone", "source": "binance", "instrument": "crypto:AAA-USD", "interval": "1d"}
    job = served.database.write(jobs.enqueue, "org_gone", "paper", "release", place, served.clock.now_us())
    _work_until(
        served, settings, lambda: served.database.read(jobs.get, "org_gone", "paper", job)["status"] in jobs.ENDED
    )
    assert not list(settings.data_folder.rglob("*org_gone*"))
    assert list(settings.data_folder.rglob("*org_a*"))


@pytest.mark.parametrize("act", ["leave", "remove", "demote", "erase"])
def test_the_keys_of_who_may_no_more_are_refused_at_once(served: Any, act: str) -> None:
    given = Terms("k", ("portfolios:write",), created_by="usr_leaver")
    issued = served.database.write(keys.issue, served.services.vault, "org_a", "paper", given, served.clock.now_us())

    async def work(client: Client) -> None:
        wanted = {"key": issued.text, "headers": {"Content-Type": "application/json"}}
        before = await client.post("/v1/portfolios", {}, **wanted)
        assert before.status == 422  # it may, and what it says is wrong
        member, owner = asked_again(served, "usr_leaver"), asked_again(served, "usr_owner")
        if act == "leave":
            done = await client.post("/v1/organizations/org_a/leave", None, person=member)
        elif act == "remove":
            done = await client.send("DELETE", "/v1/organizations/org_a/members/usr_leaver", person=owner)
        elif act == "erase":
            done = await client.send("DELETE", "/v1/me", person=member)
        else:
            done = await client.send(
                "PATCH", "/v1/organizations/org_a/members/usr_leaver", {"role": "viewer"}, person=owner
            )
        assert done.status in (200, 204), done.json
        assert (await client.post("/v1/portfolios", {}, **wanted)).status in (401, 403)

    served.run(work)


def _count(served: Any, table: Any, organization: str) -> int:
    query = table.select().where(erasure.column_of(table) == organization)
    return len(served.database.read(lambda tx: tx.execute(query).all()))


def test_the_bars_of_an_organization_leave_the_disk_and_those_of_others_stay(database: Any, tmp_path: Path) -> None:
    catalog, day = Catalog(tmp_path, database), 86_400_000_000
    owners = (SYSTEM, Owner("org_a"), Owner("org_b"))
    for owner in owners:
        catalog.append(owner, _bars(day), f"first {owner}")
    for owner in owners[1:]:
        catalog.append(owner, _bars(2 * day), f"second {owner}")
    catalog.compact("1d")  # leaves replaced files behind
    assert catalog.forget(Owner("org_a")) == 1
    assert catalog.forget(Owner("org_a")) == 0
    assert not list(tmp_path.rglob("*org_a*"))
    for opened in (catalog, Catalog(tmp_path, database)):
        found = [opened.read(owner, "binance", None, "1d").height for owner in owners]
        assert found == [1, 1, 2]  # org_a sees what is shared, and nothing else
    assert catalog.append(Owner("org_b"), _bars(3 * day), "third") == 1
    with pytest.raises(InvalidInput):
        catalog.forget(SYSTEM)


def _bars(time: int) -> pl.DataFrame:
    row = {"source": "binance", "instrument": "crypto:AAA-USD", "interval": "1d"}
    row |= dict.fromkeys(("time", "known_at", "observed_at"), time)
    row |= dict.fromkeys(("open", "high", "low", "close"), 1.0)
    return canonical(pl.DataFrame([{**row, "volume": 1.0}]))


def test_every_table_of_an_organization_is_known_to_erasure() -> None:
    known = {table.name for table in erasure.tables_of_organizations()}
    with_tenant = {table.name for table in metadata.sorted_tables if {"organization", "owner"} & set(table.c.keys())}
    assert with_tenant - known == {audit_log.name, audit_seals.name}
    assert {"orders", "api_keys", "series", "outbox", "exports", "members", "invitations"} <= known


def test_an_organization_that_trades_is_not_deleted(served: Any) -> None:
    def trade(tx: Any) -> None:
        now_us = served.clock.now_us()
        tx.execute(feed_sessions.update().where(feed_sessions.c.id == "fds_1").values(updated_at=now_us))
        assert runs.latest_feed_session(tx, "org_a", "paper") is not None

    served.database.write(trade)

    async def work(client: Client) -> None:
        refused = await client.send("DELETE", "/v1/organizations/org_a", person=asked_again(served, "usr_owner"))
        assert (refused.status, refused.json["code"]) == (409, "conflict")
        assert "trade" in refused.json["detail"]

    served.run(work)


@pytest.mark.parametrize("kind", ["person", "organization"])
def test_an_export_holds_what_is_known_and_no_secret(served: Any, kind: str) -> None:
    async def ask(client: Client) -> str:
        owner = asked_again(served, "usr_owner")
        made = await client.post("/v1/exports", {"kind": kind}, person=owner)
        assert (made.status, made.json["status"]) == (202, "queued")
        early = await client.get(f"/v1/exports/{made.json['id']}/content", person=owner)
        assert (early.status, early.json["code"]) == (409, "conflict")
        return str(made.json["id"])

    export = served.run(ask)
    finished(served)

    async def fetch(client: Client) -> bytes:
        owner = asked_again(served, "usr_owner")
        row = (await client.get(f"/v1/exports/{export}", person=owner)).json
        assert (row["status"], row["progress"], row["error"]) == ("succeeded", 1.0, None)
        answer = await client.get(f"/v1/exports/{export}/content", person=owner)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
        for other in (asked_again(served, "usr_partner"), Person(served.made["session stranger stepped up"], "org_b")):
            assert (await client.get(f"/v1/exports/{export}", person=other)).status == 404
            assert (await client.get(f"/v1/exports/{export}/content", person=other)).status == 404
        served.clock.advance(7 * 86_400)
        late = asked_again(served, "usr_owner")
        assert (await client.get(f"/v1/exports/{export}/content", person=late)).status == 404
        return answer.body

    archive = zipfile.ZipFile(io.BytesIO(served.run(fetch)))
    texts = {name: archive.read(name).decode() for name in archive.namelist()}
    manifest = json.loads(texts["manifest.json"])
    assert manifest["kind"] == kind
    for name, count in manifest["rows"].items():
        lines = [json.loads(line) for line in texts[f"{name}.jsonl"].splitlines()]
        assert len(lines) == count
    whole = "".join(texts.values())
    assert "owner@example.com" in whole
    assert all(word not in whole for word in ("argon2", "secret_hash", "token_hash", "code_hash", "password_hash"))
    if kind == "organization":
        assert manifest["rows"]["orders"] >= 1
        assert "stranger@example.com" not in whole
        assert '"org_b"' not in whole
    else:
        assert "trader@example.com" not in whole
        assert manifest["rows"]["sessions"] >= 2


def test_a_long_table_is_exported_whole_page_by_page(database: Any) -> None:
    names = [(f"prt_{n % 7}", f"crypto:X{n}-USD") for n in range(2_003)]

    def fill(tx: Any) -> None:
        same = {"environment": "paper", "units": Decimal(1), "cost": Decimal(1), "time": 1}
        rows = [{"portfolio": p, "instrument": i, "organization": "org_a", **same} for p, i in names]
        rows.append({**rows[0], "portfolio": "prt_other", "organization": "org_b"})
        tx.execute(positions.insert(), rows)

    database.write(fill)
    seen: list[tuple[str, str]] = []
    pages, after = 0, None
    while pages == 0 or after is not None:
        found, after = database.read(exports.rows, "organization", "org_a", "positions", after)
        seen += [(row["portfolio"], row["instrument"]) for row in found]
        pages += 1
    assert (seen, pages) == (sorted(names), 3)


def test_an_export_of_an_organization_needs_rights_and_a_proof(served: Any) -> None:
    async def work(client: Client) -> None:
        body = {"kind": "organization"}
        plain = await client.post("/v1/exports", body, person=Person(served.made["session owner"]))
        assert (plain.status, plain.json["code"]) == (403, "step_up_required")
        trader = await client.post("/v1/exports", body, person=asked_again(served, "usr_trader"))
        assert (trader.status, trader.json["code"]) == (403, "forbidden")
        nowhere = asked_again(served, "usr_owner")
        answer = await client.post("/v1/exports", body, person=Person(nowhere.token, "", ""))
        assert (answer.status, answer.json["code"]) == (400, "malformed_header")
        for _ in range(2):
            assert (await client.post("/v1/exports", {"kind": "person"}, person=nowhere)).status == 202
        assert (await client.post("/v1/exports", {"kind": "person"}, person=nowhere)).status == 409

    served.run(work)
    assert PASSWORD not in "".join(everything(served).values())


@pytest.mark.parametrize(
    ("kind", "lose", "told"),
    [
        ("organization", lambda tx, now: people.set_role(tx, "org_a", "usr_owner", "trader"), (403, "forbidden")),
        ("person", lambda tx, now: sessions.end_all(tx, "usr_owner", now), (401, "unauthenticated")),
    ],
)
def test_an_archive_is_not_handed_to_who_lost_the_right_while_it_waited(
    served: Any, kind: str, lose: Callable[..., object], told: tuple[int, str]
) -> None:
    now = served.clock.now_us()

    def made(tx: Any) -> None:
        job = jobs.enqueue(tx, "org_a", "paper", "export", {}, now)
        exports.add(tx, "org_a", "paper", "exp_waits", "usr_owner", kind, job, now)
        jobs.finish(tx, job, "succeeded", now)
        exports.save_content(tx, "exp_waits", b"PK whole")

    async def work() -> None:
        archives = asyncio.Lock()
        client = Client(build(replace(served.services, archives=archives)))
        owner = asked_again(served, "usr_owner")
        assert (await client.get("/v1/exports/exp_waits/content", person=owner)).status == 200
        async with archives:
            asked = asyncio.create_task(client.get("/v1/exports/exp_waits/content", person=owner))
            await asyncio.sleep(0.3)
            await served.database.write_async(lose, now)
        answer = await asked
        assert (answer.status, answer.json["code"]) == told, answer.body

    served.database.write(made)
    asyncio.run(work())


def test_rows_that_may_be_large_are_read_a_few_at_a_time(database: Any) -> None:
    for number in range(45):
        database.write(jobs.enqueue, "org_a", "paper", "backtest", {"targets": [number]}, number)
    sizes, after = [], None
    while not sizes or after is not None:
        found, after = database.read(exports.rows, "organization", "org_a", "jobs", after)
        sizes.append(len(found))
    assert sizes == [20, 20, 5]


def test_an_organization_of_many_trials_is_erased_in_no_more_time_than_they_took(database: Any) -> None:
    table, returns = metadata.tables["trials"], metadata.tables["trial_returns"]

    def fill(tx: Any) -> None:
        rows = []
        for n in range(12_000):
            texts = {c.name: f"{c.name}-{n}" for c in table.c if isinstance(c.type, sa.Text)}
            numbers = {c.name: n for c in table.c if isinstance(c.type, sa.BigInteger)}
            whose = {"organization": "org_a" if n % 3 else "org_b", "environment": "paper", "returns_hash": f"h{n}"}
            rows.append({**texts, **numbers, **whose, "same_as": f"h{n - n % 2}", "detail": {}})
        tx.execute(table.insert(), rows)
        tx.execute(returns.insert(), [{"hash": f"h{n}", "sketch": b"s", "returns": b"r"} for n in range(12_000)])

    began = time.monotonic()
    database.write(fill)
    filled_s, began = time.monotonic() - began, time.monotonic()
    database.write(erasure.erase_organization, "org_a")
    assert time.monotonic() - began < 3 * filled_s
    left = database.read(lambda tx: {row.hash for row in tx.execute(returns.select())})
    theirs = set(range(0, 12_000, 3))
    assert left == {f"h{n}" for n in theirs | {n - n % 2 for n in theirs}}
