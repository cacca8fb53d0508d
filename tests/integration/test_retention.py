"""What is old goes, what is needed stays, and the document says the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tradewright.accounts import keys
from tradewright.accounts.authentication import Authenticator
from tradewright.app.retention_page import page
from tradewright.app.upkeep import Upkeep
from tradewright.clock import DAY_US, FixedClock
from tradewright.storage import audit, retention
from tradewright.storage.audit import Actor
from tradewright.storage.database import Database
from tradewright.storage.retention import RULES, Rule
from tradewright.storage.tables import api_keys, audit_log, backtests, exports, jobs, metadata, outbox

NOW = 1_700_000_000_000_000
BY_TABLE = {rule.table: rule for rule in RULES}


def row_of(table: sa.Table, number: int, **given: Any) -> dict[str, Any]:
    """A row with something in every column that needs it."""
    row: dict[str, Any] = {}
    for column in table.columns:
        kind = column.type.python_type if not isinstance(column.type, sa.types.TypeDecorator) else dict
        value: Any = {int: 1, float: 0.0, bytes: b"%d" % number, bool: False, dict: {}}.get(kind, f"{number}")
        row[column.name] = None if column.nullable else value
    return row | given


def count(database: Database, table: sa.Table) -> int:
    return int(database.read(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()))


def add(database: Database, rule: Rule, number: int, age_us: int, **given: Any) -> None:
    table = metadata.tables[rule.table]
    moment = {rule.column.name: NOW - age_us}
    needed = {"outbox": {"sequence": number}, "ingestions": {"schedule": "isc_1"}}.get(rule.table, {})
    row = row_of(table, number, **moment, **needed, **given)
    database.write(lambda tx: tx.execute(table.insert().values(row)).rowcount)


def test_a_row_goes_when_its_time_has_come_and_not_before(database: Database) -> None:
    for rule in RULES:
        add(database, rule, 1, rule.after_us)
        add(database, rule, 2, rule.after_us - 1)
        assert database.write(retention.delete_batch, rule, NOW, 10) == 1, rule.table
        assert count(database, metadata.tables[rule.table]) == 1
        assert database.write(retention.delete_batch, rule, NOW, 10) == 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.table)
def test_each_rule_finds_old_rows_by_an_index(rule: Rule) -> None:
    assert any(next(iter(index.columns)).name == rule.column.name for index in metadata.tables[rule.table].indexes), (
        rule.table
    )


def test_rows_go_in_batches_the_oldest_first(database: Database) -> None:
    rule = BY_TABLE["nonces"]
    for number in range(7):
        add(database, rule, number, rule.after_us + number)
    assert [database.write(retention.delete_batch, rule, NOW, 3) for _ in range(3)] == [3, 3, 1]


def test_an_event_without_a_number_stays(database: Database) -> None:
    table = outbox
    row = row_of(table, 1, created_at=NOW - 400 * DAY_US, sequence=None)
    database.write(lambda tx: tx.execute(table.insert().values(row)).rowcount)
    assert database.write(retention.delete_batch, BY_TABLE["outbox"], NOW, 10) == 0


@pytest.mark.parametrize("table", [backtests, exports], ids=lambda table: table.name)
def test_a_job_stays_while_something_refers_to_it(database: Database, table: sa.Table) -> None:
    rule = BY_TABLE["jobs"]
    add(database, rule, 1, rule.after_us)
    row = row_of(table, 7, job="1")
    database.write(lambda tx: tx.execute(table.insert().values(row)).rowcount)
    assert database.write(retention.delete_batch, rule, NOW, 10) == 0
    database.write(lambda tx: tx.execute(table.delete()).rowcount)
    assert database.write(retention.delete_batch, rule, NOW, 10) == 1
    assert count(database, jobs) == 0


def test_the_books_and_the_audit_log_have_no_rule() -> None:
    assert not set(BY_TABLE) & {"audit_log", "audit_seals", "trials", "orders", "fills", "postings", "journal"}


def test_the_page_of_retention_is_fresh() -> None:
    text = (Path(__file__).parents[2] / "docs" / "retention.md").read_text()
    assert text == page(), "write it anew: python -m tradewright.app.retention_page > docs/retention.md"


def test_the_loops_seal_store_uses_and_delete(database: Database) -> None:
    clock = FixedClock(NOW)
    authenticator = Authenticator(database, clock)
    key, text = database.write(keys.create, "org_a", "paper", "k", ["market:read"], NOW)
    table = metadata.tables["nonces"]
    rows = [row_of(table, number, expires_at=NOW - number) for number in range(1200)]
    database.write(lambda tx: tx.execute(table.insert(), rows).rowcount)
    upkeep = Upkeep(database, clock, authenticator)
    upkeep.delete_old()
    assert count(database, table) == 0
    authenticator.note_use(asyncio.run(authenticator.principal(text)), "127.0.0.1", "curl")
    database.write(audit.record, "org_a", "paper", Actor("system", "test"), "probe", "x", {}, NOW)
    upkeep.start()
    upkeep.stop()
    assert not database.read(audit.waiting)
    assert count(database, audit_log) == 1
    row = database.read(lambda tx: tx.execute(sa.select(api_keys).where(api_keys.c.id == key)).one())
    assert (row.last_used_at, row.last_used_address) == (NOW, "127.0.0.1")
