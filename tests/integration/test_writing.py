"""Rows written many at a time are what SQLAlchemy would have written, on SQLite and PostgreSQL."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from tradewright.storage.changes import reads
from tradewright.storage.database import Database, IntegrityError, Tx
from tradewright.storage.tables import house, paper_orders
from tradewright.storage.writing import add, change, insert, put

SECRET = "canary-5d1f"


def order(name: str, **other: Any) -> dict[str, Any]:
    row = {"broker_account": "acc", "client_order_id": name, "organization": "org", "environment": "paper"}
    row |= {"broker_order_id": f"b-{name}", "instrument": "equity:AAPL", "side": "buy", "units": Decimal("1.10")}
    return {**row, "accepted_time": 7, "status": "accepted", "reason": "", **other}


def orders(tx: Tx) -> list[dict[str, Any]]:
    query = sa.select(paper_orders).order_by(paper_orders.c.client_order_id)
    return [dict(row) for row in tx.execute(query).mappings()]


@reads("paper_orders")
def count(tx: Tx) -> int:
    return tx.execute(sa.select(sa.func.count()).select_from(paper_orders)).scalar_one()


@reads("house")
def houses(tx: Tx) -> int:
    return tx.execute(sa.select(sa.func.count()).select_from(house)).scalar_one()


@pytest.mark.parametrize("few", [1, 3])
def test_what_is_inserted_is_what_sqlalchemy_inserts(database: Database, few: int) -> None:
    rows = [order(f"o{n}", units=Decimal(f"{n}.100"), fill_price=Decimal("1E-18")) for n in range(few)]
    database.write(lambda tx: tx.execute(paper_orders.insert(), rows))
    expected = database.read(orders)
    database.write(lambda tx: tx.execute(paper_orders.delete()))
    database.write(insert, paper_orders, rows)
    assert database.read(orders) == expected
    assert [row["units"] for row in expected] == [row["units"] for row in rows]


def test_values_of_every_kind_are_changed_put_and_added(database: Database) -> None:
    def run(tx: Tx) -> None:
        insert(tx, house, [{"name": "a", "value": {"z": 1, "a": [None]}, "updated_at": 1}])
        change(tx, house, [({"name": "a"}, {"value": ["new"], "updated_at": 2})])
        add(tx, house, [{"name": name, "value": name, "updated_at": 3} for name in ("a", "b")])
        put(tx, house, [{"name": name, "value": 4, "updated_at": 4} for name in ("b", "c")], kept=("updated_at",))

    database.write(run)
    found = database.read(lambda tx: tx.execute(sa.select(house).order_by(house.c.name)).all())
    assert [tuple(row) for row in found] == [("a", ["new"], 2), ("b", 4, 3), ("c", 4, 4)]


def test_nothing_to_write_is_no_statement(database: Database) -> None:
    for write in (insert, add, put, change):
        database.write(write, paper_orders, [])  # type: ignore[arg-type]
    assert database.read(count) == 0


def test_a_row_that_is_there_is_refused_without_showing_it_and_nothing_is_kept(database: Database) -> None:
    database.write(insert, paper_orders, [order("a")])
    with pytest.raises(IntegrityError) as refused:
        database.write(insert, paper_orders, [order("b"), order("a", reason=SECRET)])
    assert refused.value.__cause__ is not None
    assert SECRET not in str(refused.value)
    assert [row["client_order_id"] for row in database.read(orders)] == ["a"]


def test_a_row_that_lacks_a_column_of_the_first_is_refused(database: Database) -> None:
    lacking = order("b")
    del lacking["units"]
    with pytest.raises((KeyError, sa.exc.StatementError)):
        database.write(insert, paper_orders, [order("a"), lacking])
    assert database.read(count) == 0


@pytest.mark.parametrize("what", [insert, add, put])
def test_what_is_remembered_of_its_table_and_no_other_is_old_once_it_was_written(database: Database, what: Any) -> None:
    before, other = database.state(count), database.state(houses)
    database.write(what, paper_orders, [order("a")])
    assert database.state(count)[1:] != before[1:]  # the first part is what others did
    assert database.state(houses)[1:] == other[1:]


def test_a_change_makes_what_is_remembered_of_its_table_and_no_other_old(database: Database) -> None:
    database.write(insert, paper_orders, [order("a")])
    before, other = database.state(count), database.state(houses)
    database.write(change, paper_orders, [({"client_order_id": "a"}, {"reason": "new"})])
    assert database.state(count)[1:] != before[1:]
    assert database.state(houses)[1:] == other[1:]
