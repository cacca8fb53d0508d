"""The database does what its docstrings say, on SQLite and PostgreSQL."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tradewright.errors import StorageFailed
from tradewright.storage.database import FRESH_S, Database, Tx
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

    for ask in (database.read, database.write):
        with pytest.raises(StorageFailed, match="the database refused"):
            ask(cut)
        assert ask(lambda tx: tx.exec_driver_sql("SELECT 1").scalar_one()) == 1


def test_the_state_is_another_one_once_anything_was_committed(database: Database) -> None:
    before = database.state()
    assert database.dialect != "sqlite" or before == database.state()
    database.write(lambda tx: None)  # a transaction that changed nothing
    assert database.dialect != "sqlite" or before == database.state()
    database.write(_put, "old")
    own = database.state()
    assert own != before
    with Database(database.url) as of_another_process:
        of_another_process.write(_put, "new")
    time.sleep(FRESH_S + 0.01)
    assert database.state() != own
