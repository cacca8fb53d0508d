"""Who waits for rows in the database: in one order, so that no two wait for each other, and not for ever."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from asgi import Client
from line import Line
from tradewright.accounts import erasing
from tradewright.accounts import people as persons
from tradewright.app import scheduling
from tradewright.app import upkeep as upkeep_module
from tradewright.app.upkeep import Upkeep
from tradewright.errors import Forbidden, StorageFailed
from tradewright.storage import (
    idempotency,
    ingestion_schedules,
    ingestions,
    jobs,
    outbox,
    people,
    postgres_backend,
    sessions,
)
from tradewright.storage.audit import Actor
from tradewright.storage.database import Database, Tx
from tradewright.storage.postgres_backend import Longest
from tradewright.storage.tables import ingestions as ingestion_rows

pytestmark = pytest.mark.parametrize(  # the embedded database has one writer at a time
    "migrated_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
OWNER = Actor("usr_owner", "session", user="usr_owner")
Step = Callable[[Tx], Any]


def crossed(url: str, first: Step, other: Step, then: Step) -> Any:
    """Do `other` in a transaction of its own between two steps of one; return what it returns. Each must be kept."""
    with Database(url) as one, Database(url) as two, ThreadPoolExecutor(1) as pool:

        def work(tx: Tx) -> Future[Any]:
            first(tx)
            begun = pool.submit(two.write, other)
            tx.execute(sa.text("SELECT pg_sleep(0.5)"))
            then(tx)
            return begun

        return one.write(work).result(30)


def test_a_turn_of_a_schedule_and_a_change_of_it(served: Any) -> None:
    served.clock.advance(1)
    now_us = served.clock.now_us()
    made = crossed(
        served.database.url,
        lambda tx: people.lock_whole_organization(tx, "org_a"),
        lambda tx: scheduling.take_turn(tx, "isc_2", now_us),
        lambda tx: ingestion_schedules.get(tx, "org_a", "paper", "isc_2", lock=True),
    )
    assert made


def test_a_turn_of_a_schedule_whose_organization_is_being_deleted(served: Any) -> None:
    served.clock.advance(1)
    now_us = served.clock.now_us()
    made = crossed(
        served.database.url,
        lambda tx: people.lock_whole_organization(tx, "org_a"),
        lambda tx: scheduling.take_turn(tx, "isc_2", now_us),
        lambda tx: erasing.erase_organization(tx, "org_a", OWNER, now_us),
    )
    assert not made
    theirs = sa.select(ingestion_rows.c.id).where(ingestion_rows.c.organization == "org_a")
    assert served.database.read(lambda tx: tx.execute(theirs).all()) == []


def test_a_new_password_and_the_erasure_of_the_same_person(served: Any) -> None:
    now_us, user = served.clock.now_us(), "usr_forgetful"

    def other(tx: Tx) -> None:
        with pytest.raises(Forbidden):
            persons.finish_reset(tx, served.made["reset token"], "hash", OWNER, now_us)

    def then(tx: Tx) -> None:
        sessions.drop_challenges(tx, user)
        erasing.erase_person(tx, user, OWNER, now_us)

    crossed(served.database.url, lambda tx: people.get_user(tx, user, lock=True), other, then)


def test_an_ingestion_that_ends_and_the_erasure_of_its_organization(served: Any) -> None:
    now_us = served.clock.now_us()
    row = served.database.read(ingestions.get, "org_a", "paper", "ing_1")
    crossed(
        served.database.url,
        lambda tx: jobs.finish(tx, row["job"], "failed", now_us, error={"code": "x", "message": "x"}),
        lambda tx: erasing.erase_organization(tx, "org_a", OWNER, now_us),
        lambda tx: scheduling.told(tx, "ing_1", "failed", now_us),
    )
    assert served.database.read(people.get_organization, "org_a") is None


def test_events_are_numbered_by_one_process_at_a_time(served: Any) -> None:
    def tell(tx: Tx, subject: str, now_us: int) -> None:
        outbox.append(tx, "org_a", "paper", [("a.b", subject, None, {})], now_us)

    with Database(served.database.url) as one, Database(served.database.url) as two, ThreadPoolExecutor(1) as pool:
        while one.write(outbox.sequence):
            continue
        one.write(tell, "first", 1)

        def slowly(tx: Tx) -> int:
            numbered = outbox.sequence(tx)
            tx.execute(sa.text("SELECT pg_sleep(1)"))
            return numbered

        slow = pool.submit(one.write, slowly)
        time.sleep(0.3)
        two.write(tell, "second", 2)
        assert two.write(outbox.sequence) == 0
        assert not slow.done()
        assert slow.result(30) == 1
        assert two.write(outbox.sequence) == 1
        told = two.read(outbox.list_events, "org_a", "paper")
        assert [event["subject"] for event in told][-2:] == ["first", "second"]


def test_an_old_idempotency_key_and_the_erasure_of_its_organization(served: Any) -> None:
    scope, now_us = idempotency.Scope("org_a", "paper", "create_broker_account", "again"), served.clock.now_us()

    async def post(client: Client) -> int:
        wanted = {"name": "mine", "broker": "paper"}
        return (await client.post("/v1/broker-accounts", wanted, headers={"Idempotency-Key": "again"})).status

    def erase(tx: Tx) -> Future[int]:
        people.lock_whole_organization(tx, "org_a")
        begun = pool.submit(served.run, post)
        tx.execute(sa.text("SELECT pg_sleep(0.5)"))
        erasing.erase_organization(tx, "org_a", OWNER, now_us)
        return begun

    with Database(served.database.url) as other, ThreadPoolExecutor(1) as pool:
        other.write(idempotency.claim, scope, b"long ago", now_us - 2 * idempotency.KEPT_US)
        assert other.write(erase).result(30) == 401
    assert served.database.read(people.get_organization, "org_a") is None


def test_who_waits_too_long_for_a_row_is_refused(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres_backend._PATIENCE, "lock_timeout", "300ms")

    def hold(tx: Tx) -> None:
        people.lock_whole_organization(tx, "org_a")
        tx.execute(sa.text("SELECT pg_sleep(2)"))

    with Database(served.database.url) as one, Database(served.database.url) as two, ThreadPoolExecutor(1) as pool:
        holding = pool.submit(one.write, hold)
        time.sleep(0.3)
        with pytest.raises(StorageFailed, match="held the same rows for too long"):
            two.write(people.lock_whole_organization, "org_a")
        assert not holding.done()
        holding.result(30)
        two.write(people.lock_whole_organization, "org_a")


def test_a_process_that_stands_still_holds_nobody_up_for_ever(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres_backend._PATIENCE, "idle_in_transaction_session_timeout", "500ms")

    def stand_still(tx: Tx) -> None:
        people.rename_organization(tx, "org_a", "of one that stood still")
        time.sleep(2)

    with Database(served.database.url) as one, Database(served.database.url) as two, ThreadPoolExecutor(1) as pool:
        standing = pool.submit(one.write, stand_still)
        time.sleep(0.3)
        two.write(people.rename_organization, "org_a", "another")
        assert not standing.done()
        with pytest.raises(StorageFailed):
            standing.result(30)
        row = two.read(people.get_organization, "org_a")
        assert row is not None
        assert row["name"] == "another"
        one.write(people.rename_organization, "org_a", "goes on")


class Through:
    """A database behind a line that can stand still."""

    def __init__(self, url: str) -> None:
        given = sa.make_url(url)
        self.line = Line(given.port or 5432)
        self.url = given.set(port=self.line.port, host="127.0.0.1").render_as_string(hide_password=False)


def test_a_server_that_stands_still_is_not_waited_for_for_ever(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_backend, "_LONGEST", Longest(short_s=0.3, read_s=0.4, write_s=0.5))
    monkeypatch.setattr(postgres_backend, "_CONNECTED_S", 0.6)

    async def timed(work: Coroutine[Any, Any, Any]) -> tuple[str, float]:
        began = time.monotonic()
        with pytest.raises(StorageFailed) as told:
            await work
        return told.value.message, time.monotonic() - began

    async def work(database: Database, line: Line) -> list[tuple[str, float]]:
        await asyncio.gather(*(database.read_async(people.get_organization, "org_a") for _ in range(3)))
        line.stand_still()
        told = await asyncio.gather(
            timed(database.read_short_async(people.get_organization, "org_a")),
            timed(database.read_async(people.get_organization, "org_a")),
            timed(database.write_async(people.rename_organization, "org_a", "never")),
        )
        told.append(await timed(database.read_short_async(people.get_organization, "org_a")))  # no connection is left
        line.go_on()
        assert await database.read_async(people.get_organization, "org_a") is not None
        await database.write_async(people.rename_organization, "org_a", "goes on")
        return told

    through = Through(served.database.url)
    with Database(through.url) as database:
        told = asyncio.run(work(database, through.line))
    through.line.close()
    assert all(waited < 10 for _, waited in told), told  # without an end: for ever
    assert [("is not known" in message, "no connection" in message) for message, _ in told] == [
        (False, False), (False, False), (True, False), (False, True),
    ]  # fmt: skip


def test_errors_that_only_the_driver_knows_are_said(served: Any) -> None:
    def lost(*_: Any) -> None:
        raise asyncpg.InterfaceError("connection is closed")

    def confused(*_: Any) -> None:
        raise asyncpg.InternalClientError("got result for unknown protocol state")

    with Database(served.database.url) as database:
        backend = database._backend
        assert isinstance(backend, postgres_backend.PostgresBackend)
        engine = backend._engine.sync_engine
        for when, error, told in (("connect", lost, "no connection"), ("before_cursor_execute", confused, "was lost")):
            sa.event.listen(engine, when, error)
            with pytest.raises(StorageFailed, match=told):
                database.read(people.get_organization, "org_a")
            with pytest.raises(StorageFailed, match=told):
                database.write(people.rename_organization, "org_a", "never")
            sa.event.remove(engine, when, error)
            assert database.read(people.get_organization, "org_a")["name"] != "never"


def test_a_host_that_is_gone_is_noticed(served: Any) -> None:
    def options(tx: Tx) -> list[int]:
        theirs: Any = tx.connection.driver_connection
        fileno = theirs._transport.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(fileno)) as same:
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            asked = same.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            return [asked, *(same.getsockopt(socket.IPPROTO_TCP, name) for name in names)]

    assert served.database.read(options) == [1, 30, 10, 3, 60_000]


def test_a_change_that_is_given_up_lets_go_of_its_locks(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_backend, "_LONGEST", Longest(write_s=0.5))

    def slow(tx: Tx) -> None:
        people.lock_whole_organization(tx, "org_a")
        tx.execute(sa.text("SELECT pg_sleep(60)"))

    with Database(served.database.url) as one, Database(served.database.url) as two:
        with pytest.raises(StorageFailed, match="is not known"):
            asyncio.run(one.write_async(slow))
        two.write(people.rename_organization, "org_a", "goes on")
        sleeping = sa.text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'")
        assert two.read(lambda tx: tx.execute(sleeping).scalar_one()) == 0


def test_a_process_ends_though_the_database_says_nothing(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_backend, "_CLOSED_S", 0.5)
    monkeypatch.setattr(upkeep_module, "_END_S", 0.5)
    through = Through(served.database.url)
    database = Database(through.url)
    assert database.read(people.get_organization, "org_a") is not None
    upkeep = Upkeep(database, served.clock, served.services.authenticator)
    upkeep.start()
    time.sleep(0.4)
    through.line.stand_still()
    ended = threading.Event()
    threading.Thread(target=lambda: (upkeep.stop(), database.close(), ended.set()), daemon=True).start()
    assert ended.wait(20)
    through.line.close()
