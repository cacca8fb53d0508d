"""A prepared read returns what its statement returns, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tradewright.errors import StorageFailed
from tradewright.storage.database import Database, Tx
from tradewright.storage.reading import Reading
from tradewright.storage.tables import house, instruments, portfolios
from tradewright.storage.types import MoneyText

AMOUNTS = [Decimal("1000000"), Decimal("0.000000000000000001"), Decimal("-12345678901234567890.5")]


def _portfolio(name: str, amount: Decimal) -> dict[str, Any]:
    return {
        "id": name, "organization": "o", "environment": "paper", "broker_account": "b", "name": name,
        "currency": "USD", "initial_cash": amount, "created_at": 1,
    }  # fmt: skip


def _fill(tx: Tx) -> None:
    for n, amount in enumerate(AMOUNTS):
        tx.execute(portfolios.insert().values(_portfolio(f"p{n}", amount)))
    tx.execute(house.insert().values(name="x", value={"a": [1, None]}, updated_at=1))


def test_a_prepared_read_converts_like_its_statement(database: Database) -> None:
    database.write(_fill)
    for table, key in ((portfolios, portfolios.c.id), (house, house.c.name)):
        query = sa.select(table).where(key >= sa.bindparam("least")).order_by(key)
        plain = database.read(lambda tx, q=query: [dict(r) for r in tx.execute(q, {"least": "p1"}).mappings()])
        for _ in range(2):  # the first one prepares it
            assert database.read(Reading(query).dicts, {"least": "p1", "not asked for": 5}) == plain
        assert plain


def test_a_limit_is_kept_and_nothing_found_is_none(database: Database) -> None:
    database.write(_fill)
    query = sa.select(portfolios).order_by(portfolios.c.id).limit(sa.bindparam("rows", type_=sa.Integer))
    assert len(database.read(Reading(query).tuples, {"rows": 2})) == 2
    nothing = Reading(sa.select(instruments).where(instruments.c.id == sa.bindparam("id")))
    assert database.read(nothing.first, {"id": "equity:NONE"}) is None


def test_amounts_read_as_text_are_written_as_everywhere(database: Database) -> None:
    database.write(_fill)
    shown = sa.type_coerce(portfolios.c.initial_cash, MoneyText()).label("cash")
    found = database.read(Reading(sa.select(shown).order_by(portfolios.c.id)).tuples, {})
    assert found == [("1000000",), ("0.000000000000000001",), ("-12345678901234567890.5",)]


def test_a_read_sees_the_writes_of_its_own_transaction(database: Database) -> None:
    reading = Reading(sa.select(portfolios.c.id))

    def write_and_read(tx: Tx) -> list[tuple[Any, ...]]:
        tx.execute(portfolios.insert().values(_portfolio("new", Decimal(1))))
        return reading.tuples(tx, {})

    assert database.write(write_and_read) == [("new",)]


def test_short_reads_see_every_commit_and_survive_an_error(database: Database) -> None:
    reading = Reading(sa.select(portfolios.c.id).order_by(portfolios.c.id))

    async def look() -> list[tuple[Any, ...]]:
        return await database.read_short_async(reading.tuples, {})

    async def fail() -> None:
        await database.read_short_async(lambda tx: tx.execute(sa.text("SELECT 1")).first() and 1 / 0)

    async def steps() -> None:
        assert await look() == []
        await database.write_async(_fill)
        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await look() == [("p0",), ("p1",), ("p2",)]

    asyncio.run(steps())


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    reading = Reading(sa.select(portfolios.c.id))
    with Database(f"sqlite:///{tmp_path / 'empty.db'}") as empty:
        with pytest.raises(StorageFailed, match="no such table: portfolios"):
            empty.read(reading.tuples, {})
        with pytest.raises(StorageFailed, match="no such table: portfolios"):
            asyncio.run(empty.read_short_async(reading.tuples, {}))
