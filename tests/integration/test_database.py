"""The database does what its docstrings say, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tradewright.errors import StorageFailed
from tradewright.storage import sqlite_backend
from tradewright.storage.changes import FRESH_S, UNREMEMBERED, Elsewhere, reads
from tradewright.storage.database import Database, IntegrityError, Tx, one_statement
from tradewright.storage.migrations import current, head, upgrade
from tradewright.storage.tables import house, metadata, portfolios


def _put(tx: sa.Connection, name: str) -> None:
    tx.execute(house.insert().values(name=name, value={"a": [1, None]}, updated_at=1))


def test_a_committed_row_is_read_back_equal(database: Database) -> None:
    database.write(_put, "x")
    assert database.read(lambda tx: tx.execute(sa.select(house.c.value)).scalar_one()) == {"a": [1, None]}


def test_an_exception_keeps_nothing(database: Database) -> None:
    def fail(tx: sa.Connection) -> None:
        _put(tx, "x")
        raise KeyError("stop")

    with pytest.raises(KeyError):
        database.write(fail)
    assert database.read(lambda tx: tx.execute(sa.select(house)).all()) == []


def test_a_commit_that_is_refused_leaves_nothing_behind(database: Database) -> None:
    def put(tx: Tx) -> None:
        _put(tx, "x")
        tx.exec_driver_sql("CREATE TEMP TABLE parent (id int PRIMARY KEY)")
        tx.exec_driver_sql("CREATE TEMP TABLE child (p int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
        tx.exec_driver_sql("INSERT INTO child VALUES (1)")

    for _ in range(2):
        with pytest.raises(IntegrityError):
            database.write(put)
        assert database.read(_houses) == 0
    database.write(_put, "x")
    assert database.read(_houses) == 1


def test_money_keeps_every_digit(database: Database) -> None:
    amount = Decimal("12345678901234567890.123456789012345678")
    row = {
        "id": "p", "organization": "o", "environment": "paper", "broker_account": "b", "name": "n", "currency": "USD",
        "initial_cash": amount, "created_at": 1,
    }  # fmt: skip
    database.write(lambda tx: tx.execute(portfolios.insert().values(row)))
    assert database.read(lambda tx: tx.execute(sa.select(portfolios.c.initial_cash)).scalar_one()) == amount


def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    def start(_: int) -> str | None:
        with Database(database_url) as one:
            upgrade(one)
            return one.read(current)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(start, range(4))) == {head()}


def test_the_migrations_make_exactly_the_tables_of_the_code(database: Database) -> None:
    def differences(tx: sa.Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(tx), metadata))

    assert database.read(differences) == []
    assert database.read(current) == head()
    upgrade(database)


def test_a_connection_that_is_lost_in_the_middle_is_told_and_replaced(database: Database) -> None:
    if database.dialect != "postgresql":
        return  # an embedded database has no connection to lose

    def cut(tx: Tx) -> None:
        tx.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    told = (
        (database.read, "was lost; ask again"),
        (database.write, "was lost.*whether this change was kept is not known.*Idempotency-Key"),
    )
    for ask, words in told:
        with pytest.raises(StorageFailed, match=words):
            ask(cut)
        assert ask(lambda tx: tx.exec_driver_sql("SELECT 1").scalar_one()) == 1


def _cut_all(database: Database) -> None:
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = "
    with Database(database.url) as another:
        another.read(lambda tx: tx.exec_driver_sql(f"{others}current_database()").all())


def test_a_read_is_asked_again_when_the_server_had_ended_the_connections(database: Database) -> None:
    if database.dialect != "postgresql":
        return  # an embedded database has no connection to lose
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: database.read(lambda tx: tx.exec_driver_sql("SELECT pg_sleep(0.1)").all()), range(6)))
    for ask in (database.read, lambda work: asyncio.run(database.read_short_async(one_statement(work)))):
        _cut_all(database)
        assert ask(_houses) == 0
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(lambda _: database.read(_houses), range(6))) == [0] * 6


def test_a_change_is_never_asked_again_by_itself(database: Database) -> None:
    if database.dialect != "postgresql":
        return  # an embedded database has no connection to lose
    tried = []

    def put(tx: Tx) -> None:
        tried.append(1)
        _put(tx, "x")

    database.read(_houses)
    _cut_all(database)
    with pytest.raises(StorageFailed, match="whether this change was kept is not known"):
        database.write(put)
    assert tried == [1]
    database.write(put)
    assert database.read(_houses) == 1


REFUSALS = {
    "55P03": "others held the same rows", "40001": "others held the same rows", "40P01": "others held the same rows",
    "57014": "took longer than it allows", "53100": "its disk is full", "53300": "no connection left",
    "25006": "is read-only", "XX001": "is damaged", "58030": "its log says why",
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSALS)
def test_what_the_server_refuses_was_not_kept_and_is_told_in_our_words(database: Database, code: str) -> None:
    if database.dialect != "postgresql":
        return  # the embedded database has other codes

    def refused(tx: Tx) -> None:
        tx.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'words of the driver' USING ERRCODE = '{code}'; END $$")

    for ask in (database.read, database.write):
        with pytest.raises(StorageFailed) as failed:
            ask(refused)
        assert "nothing of this transaction was kept" in failed.value.message
        assert REFUSALS[code] in failed.value.message
        assert "words of the driver" not in failed.value.message
        assert "words of the driver" in str(failed.value)
        assert "database_url" not in failed.value.message


def test_a_value_that_the_server_cannot_hold_is_no_failure_of_the_database(database: Database) -> None:
    if database.dialect != "postgresql":
        return  # SQLite holds any value
    for statement in ("SELECT 1 / 0", "SELECT (2147483647 + 1)::integer"):
        with pytest.raises(sa.exc.DBAPIError):
            database.write(lambda tx, asked=statement: tx.exec_driver_sql(asked))
    for value in ("x", 2**70):
        with pytest.raises(sa.exc.DBAPIError):
            database.write(lambda tx, sent=value: tx.execute(sa.text("SELECT CAST(:x AS integer)"), {"x": sent}))


def test_a_file_that_cannot_be_opened_is_told_without_its_place(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/absent/x.db") as database, pytest.raises(StorageFailed) as failed:
        database.read(_houses)
    assert "check that the folder exists" not in failed.value.message
    assert "check that the folder exists" in str(failed.value)
    assert "unable to open" not in failed.value.message
    assert "unable to open" in str(failed.value)


@reads("house")
def _houses(tx: Tx) -> int:
    return tx.execute(sa.select(sa.func.count()).select_from(house)).scalar_one()


@reads("portfolios", "runs")
def _portfolios(tx: Tx) -> None:
    """Read something else."""


def _settled(database: Database, *functions: Any) -> Any:
    state = database.state(*functions)
    for _ in range(500):  # what others do is asked for in the background
        time.sleep(0.01)
        before, state = state, database.state(*functions)
        if before == state:
            break
    return state


def test_the_state_of_a_function_is_another_one_once_its_tables_were_changed(database: Database) -> None:
    houses, others = _settled(database, _houses), _settled(database, _portfolios)
    database.write(lambda tx: None)  # a transaction that changed nothing
    assert database.state(_houses) == houses
    database.write(_put, "old")
    assert database.state(_houses) != houses
    if database.dialect == "sqlite":  # PostgreSQL does not say which commits were our own
        time.sleep(2 * FRESH_S)
        assert _settled(database, _portfolios) == others
    assert _settled(database, _houses) != houses


def test_a_change_of_what_nothing_remembers_changes_no_state(database: Database) -> None:
    change = house.insert().execution_options(**{UNREMEMBERED: True})
    before = _settled(database, _houses)
    database.write(lambda tx: tx.execute(change.values(name="x", value={}, updated_at=1)))
    assert database.state(_houses) == before
    database.write(_put, "y")
    assert database.state(_houses) != before


def test_the_state_is_another_one_soon_after_another_process_committed(database: Database) -> None:
    database.write(_put, "own")
    for _ in range(5):  # the server commits something of its own now and then, to clean up
        own = _settled(database, _portfolios)
        time.sleep(2 * FRESH_S)
        if _settled(database, _portfolios) == own:
            break
    else:
        pytest.fail("it changes though nothing is committed")
    with Database(database.url) as of_another_process:
        of_another_process.write(_put, "new")
    time.sleep(FRESH_S + 0.01)
    assert database.state(_portfolios) != own
    assert _settled(database, _portfolios) != own


def test_the_state_of_an_own_change_is_another_one_before_its_result_is_known(database: Database) -> None:
    _settled(database, _houses)
    for number in range(50):
        before = database.state(_houses)
        database.write(_put, f"number {number}")
        assert database.state(_houses) != before
        assert database.read(_houses) == number + 1


def test_a_change_that_names_no_table_changes_every_state(database: Database) -> None:
    before = _settled(database, _portfolios)
    database.write(lambda tx: tx.execute(sa.text("INSERT INTO house VALUES ('x', '1', 1)")))
    if database.dialect == "postgresql":
        time.sleep(FRESH_S + 0.01)
    assert database.state(_portfolios) != before


def test_what_cannot_be_asked_for_is_another_state_every_time() -> None:
    refused: Future[Hashable] = Future()
    refused.set_exception(OSError("no connection"))
    elsewhere = Elsewhere(lambda: refused)
    before = elsewhere.now()
    time.sleep(FRESH_S + 0.01)
    assert elsewhere.now() != before


def test_those_who_wait_for_another_process_wait_for_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_backend, "_PATIENCE_S", 1.0)
    monkeypatch.setattr(sqlite_backend, "_SOON_S", 0.1)

    async def refused(database: Database) -> float:
        began = time.monotonic()
        with pytest.raises(StorageFailed, match="held the same rows"):
            await database.write_async(lambda tx: tx.exec_driver_sql("INSERT INTO notes VALUES (1)"))
        return time.monotonic() - began

    def before(database: Database) -> None:  # what others of the same process wanted
        with pytest.raises(StorageFailed):
            database.write(lambda tx: tx.exec_driver_sql("INSERT INTO notes VALUES (1)"))

    async def six(database: Database) -> list[float]:
        behind = [asyncio.to_thread(before, database) for _ in range(6)]
        waiting = asyncio.gather(*behind)
        await asyncio.sleep(0.2)
        waited = await asyncio.gather(*(refused(database) for _ in range(6)))
        await waiting
        return waited

    with Database(f"sqlite:///{tmp_path / 'x.db'}") as database:
        database.write(lambda tx: tx.exec_driver_sql("CREATE TABLE notes (id bigint)"))
        other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waited = asyncio.run(six(database))
        other.execute("ROLLBACK")
        other.close()
        database.write(lambda tx: tx.exec_driver_sql("INSERT INTO notes VALUES (1)"))
    assert max(waited) < 4, waited  # once; the six before them one after the other, six times
