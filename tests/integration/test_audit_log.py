"""The audit log: sealed in one chain, and whatever is done to it behind our back is found and named."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from asgi import Client
from tradewright.storage import audit
from tradewright.storage.audit import Actor, Broken, Chain, Filters, Tail
from tradewright.storage.database import Database, Tx
from tradewright.storage.tables import audit_log, audit_people, audit_seals, audit_waiting

NOW = 1_700_000_000_000_000
WHO = Actor("key_1", "key", request="req_1", user="usr_1", address="203.0.113.7", agent="curl")


def write(tx: Tx, count: int, organization: str = "org_a", start: int = 0) -> None:
    for n in range(start, start + count):
        audit.record(tx, organization, "paper", WHO, "thing.do", f"thing_{n}", {"n": n, "x": [1.5, None, "é"]}, NOW + n)


def sealed(database: Database, count: int = 10) -> None:
    database.write(write, count)
    assert database.write(audit.seal, 1000, NOW) == count


def verified(database: Database, organization: str = "org_a", at_once: int = 3) -> Chain:
    chain = Chain()
    while chain.broken is None and (rows := database.read(audit.sealed, organization, chain.sequence, at_once)):
        chain = audit.follow(chain, rows)
    return chain


def tail(database: Database, named: int = 10, at_once: int = 4) -> Tail:
    found, place = Tail(), (0, "")
    while rows := database.read(audit.entries, "org_a", place, at_once):
        found, place = audit.follow_tail(found, rows, named), rows[-1][:2]
    return found


def entry(database: Database, sequence: int) -> str:
    query = sa.select(audit_seals.c.entry).where(audit_seals.c.sequence == sequence)
    return str(database.read(lambda tx: tx.execute(query).scalar_one()))


def test_what_was_recorded_is_sealed_in_a_chain_for_each_organization(database: Database) -> None:
    database.write(write, 7)
    database.write(write, 4, "org_b")
    assert database.read(audit.waiting)
    assert [database.write(audit.seal, 5, NOW) for _ in range(4)] == [5, 5, 1, 0]
    assert not database.read(audit.waiting)
    assert (verified(database).sequence, verified(database, "org_b").sequence) == (7, 4)
    assert verified(database).hash != verified(database, "org_b").hash
    assert tail(database) == Tail()


def change(tx: Tx) -> None:
    tx.execute(audit_log.update().where(audit_log.c.object == "thing_4").values(actor="key_other"))


def change_detail(tx: Tx) -> None:
    tx.execute(audit_log.update().where(audit_log.c.object == "thing_4").values(detail={"n": 5}))


def delete(tx: Tx) -> None:
    tx.execute(audit_log.delete().where(audit_log.c.object == "thing_4"))


def delete_with_its_seal(tx: Tx) -> None:
    delete(tx)
    tx.execute(audit_seals.delete().where(audit_seals.c.sequence == 5))


def swap_contents(tx: Tx) -> None:
    for old, new in (("thing_4", "x"), ("thing_5", "thing_4"), ("x", "thing_5")):
        tx.execute(audit_log.update().where(audit_log.c.object == old).values(object=new))


def swap_seals(tx: Tx) -> None:
    for old, new in ((5, 99), (6, 5), (99, 6)):
        tx.execute(audit_seals.update().where(audit_seals.c.sequence == old).values(sequence=new))


def close_the_gap(tx: Tx) -> None:
    delete_with_its_seal(tx)
    for n in range(6, 11):
        tx.execute(audit_seals.update().where(audit_seals.c.sequence == n).values(sequence=n - 1))


def forge(tx: Tx) -> None:
    change(tx)
    row = tx.execute(sa.select(audit_log).where(audit_log.c.object == "thing_4")).mappings().one()
    before = tx.execute(sa.select(audit_seals.c.hash).where(audit_seals.c.sequence == 4)).scalar_one()
    own = audit.entry_hash(dict(row), 5, before)
    tx.execute(audit_seals.update().where(audit_seals.c.sequence == 5).values(hash=own))


TAMPERINGS: list[tuple[Callable[[Tx], None], int, str, int | None]] = [
    (change, 5, "changed", 5),
    (change_detail, 5, "changed", 5),
    (delete, 5, "missing", 5),
    (delete_with_its_seal, 5, "missing", None),
    (swap_contents, 5, "changed", 5),
    (swap_seals, 5, "moved", 6),
    (close_the_gap, 5, "moved", 6),
    (forge, 6, "moved", 6),
]


class Undone(Exception):
    """Ends a transaction whose changes are not to stay."""


def test_tampering_is_found_and_named(database: Database) -> None:
    sealed(database)
    assert verified(database).broken is None
    for tampering, place, how, named in TAMPERINGS:
        name = "" if named is None else entry(database, named)
        found = []

        def work(tx: Tx, tampering: Callable[[Tx], None] = tampering, found: list[Chain] = found) -> None:
            tampering(tx)
            found.append(audit.follow(Chain(), audit.sealed(tx, "org_a", 0, 100)))
            raise Undone

        with pytest.raises(Undone):
            database.write(work)
        assert found[0].broken == Broken(name, place, how), tampering.__name__
        assert found[0].sequence == place - 1
    assert verified(database).broken is None


def test_an_entry_that_nobody_recorded_is_named(database: Database) -> None:
    sealed(database)
    database.write(write, 3, start=20)

    def insert(tx: Tx) -> None:
        row = tx.execute(sa.select(audit_log).where(audit_log.c.object == "thing_4")).mappings().one()
        tx.execute(audit_log.insert().values({**row, "id": "aud_inserted", "object": "forged"}))

    database.write(insert)
    found = tail(database, named=2)
    assert found.inserted == "aud_inserted"
    assert (len(found.waiting), found.more) == (2, True)
    database.write(audit.seal, 100, NOW)
    assert tail(database) == Tail(inserted="aud_inserted")


def test_erasing_a_person_changes_no_hash(database: Database) -> None:
    sealed(database)
    before = verified(database)
    database.write(lambda tx: tx.execute(audit_people.delete().where(audit_people.c.user == "usr_1")).rowcount)
    assert verified(database) == before
    rows = database.read(audit.list_page, "org_a", Filters(), 3, True, None)
    assert [row["address"] for row in rows] == [None] * 3


def test_sealers_beside_each_other_make_one_chain(migrated_url: str, database: Database) -> None:
    total, errors = 300, []
    with Database(migrated_url) as other:

        def seal(where: Database) -> None:
            try:
                while where.read(audit.waiting):
                    where.write(audit.seal, 7, NOW)
            except Exception as error:  # noqa: BLE001 - told to the test by the list
                errors.append(error)

        database.write(write, 100)
        threads = [threading.Thread(target=seal, args=(where,)) for where in (database, other)]
        for thread in threads:
            thread.start()
        for start in range(100, total, 20):
            database.write(write, 20, start=start)
        for thread in threads:
            thread.join()
        seal(other)
    assert errors == []
    assert verified(database, at_once=50).sequence == total
    assert verified(database).broken is None
    waiting = database.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(audit_waiting)).scalar_one())
    assert waiting == 0


def test_an_act_that_is_rolled_back_leaves_no_entry(database: Database) -> None:
    def fail(tx: Tx) -> None:
        write(tx, 1)
        raise KeyError

    with pytest.raises(KeyError):
        database.write(fail)
    assert not database.read(audit.waiting)
    assert database.read(audit.list_page, "org_a", Filters(), 3, True, None) == []


def test_the_log_is_read_in_pages_and_by_filters(served: Any) -> None:
    async def work(client: Client) -> None:
        key = (await client.post("/v1/api-keys", {"name": "k", "scopes": ["market:read"]})).json["id"]
        for name in "abcde":
            await client.send("PATCH", f"/v1/api-keys/{key}", {"name": name})
        first = (await client.get(f"/v1/audit-log?object={key}&limit=4")).json
        second = (await client.get(f"/v1/audit-log?object={key}&limit=4&cursor={first['next_cursor']}")).json
        names = [row["action"] for row in first["data"] + second["data"]]
        assert names == ["api_key.update"] * 5 + ["api_key.create"]
        newest = first["data"][0]
        assert (newest["address"], newest["method"], newest["environment"]) == ("127.0.0.1", "key", "paper")
        assert newest["request"].startswith("req_")
        assert (await client.get("/v1/audit-log?action=api_key.create")).json["data"][0]["object"] == key
        assert (await client.get("/v1/audit-log?actor=nobody")).json["data"] == []
        assert (await client.get("/v1/audit-log?start=2100-01-01T00:00:00Z")).json["data"] == []

    served.run(work)


def test_a_key_sees_its_environment_and_what_concerns_all_of_them(served: Any) -> None:
    def add(tx: Tx) -> None:
        for organization, environment in (("org_a", "paper"), ("org_a", "live"), ("org_a", ""), ("org_b", "paper")):
            audit.record(tx, organization, environment, WHO, "probe", f"{organization}/{environment}", {}, NOW)

    served.database.write(add)

    async def work(client: Client) -> None:
        seen = (await client.get("/v1/audit-log?action=probe")).json["data"]
        assert {row["object"] for row in seen} == {"org_a/paper", "org_a/"}

    served.run(work)


def test_the_verification_says_where_the_chain_breaks(served: Any) -> None:
    async def work(client: Client) -> None:
        served.database.write(write, 5)
        fresh = (await client.get("/v1/audit-log/verification")).json
        assert (fresh["verified"], fresh["sealed"], fresh["head"]) == (True, 0, "")
        assert len(fresh["unsealed"]["entries"]) >= 5
        served.database.write(audit.seal, 1000, NOW)
        whole = (await client.get("/v1/audit-log/verification")).json
        assert whole["verified"] is True
        assert whole["sealed"] >= 5
        assert whole["unsealed"] == {"entries": [], "more": False}
        served.database.write(change)
        broken = (await client.get("/v1/audit-log/verification")).json
        assert broken["verified"] is False
        assert broken["broken"]["how"] == "changed"
        assert broken["broken"]["sequence"] == broken["sealed"] + 1

    served.run(work)
