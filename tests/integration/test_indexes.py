"""No read of the API goes over a whole large table, on SQLite and PostgreSQL."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from asgi import Person
from samples import SampleOf
from tradewright.api.operations import PUBLIC
from tradewright.api.routes import all_operations
from tradewright.storage import jobs as jobs_queue
from tradewright.storage.database import Database, Tx
from tradewright.storage.tables import jobs, metadata
from tradewright.storage.types import Json, Money

ROWS, SHARES, LARGE = 3_000, 25, 1_000
MODULES = ("samples_market", "samples_keys", "samples_people")
LISTS = {"scopes", "findings", "series", "entries", "instruments"}
LEFT_EMPTY = {"alembic_version", "house", "outbox_heads"}


def samples() -> dict[str, SampleOf]:
    return {name: sample for module in MODULES for name, sample in importlib.import_module(module).SAMPLES.items()}


def value_of(column: sa.Column[Any], row: int) -> Any:
    """A value for a filled row: its share of the organizations, its own everywhere else."""
    kinds: dict[str, Any] = {
        "organization": f"org_{chr(ord('a') + row % SHARES)}", "owner": f"org_{chr(ord('a') + row % SHARES)}",
        "environment": "paper", "portfolio": "prt_1" if row % SHARES == 0 else f"prt_x{row % 50}",
        "status": "filled", "visibility": "public", "feed": "replay", "interval": "1d", "scope": f"s{row}",
    }  # fmt: skip
    if column.name in kinds and isinstance(column.type, sa.Text):
        return kinds[column.name]
    if isinstance(column.type, Money):
        return Decimal(1)
    if isinstance(column.type, Json):
        return None if column.nullable else [] if column.name in LISTS else {}
    if isinstance(column.type, sa.LargeBinary):
        return f"bytes {row}".encode()
    if isinstance(column.type, sa.Boolean):
        return False
    if isinstance(column.type, sa.Float):
        return 0.5
    if isinstance(column.type, sa.Integer):
        return 10_000 + row
    return f"zz_{column.name}_{row:06}"


def fill(tx: Tx) -> None:
    for table in metadata.sorted_tables:
        if table.name not in LEFT_EMPTY:
            columns = [c for c in table.c if not (c.name == "id" and isinstance(c.type, sa.Integer))]
            tx.execute(table.insert(), [{c.name: value_of(c, row) for c in columns} for row in range(ROWS)])


class Seen:
    """The statements that were asked, with their values, since it was last emptied."""

    def __init__(self) -> None:
        self.statements: dict[str, Any] = {}

    def connected(self, connection: Any, *_: Any) -> None:
        """Note what is asked of a connection of SQLite by its driver: prepared reads go past the engine."""
        if hasattr(connection, "set_trace_callback"):
            connection.set_trace_callback(lambda statement: self.add(statement, ()))

    def executed(self, connection: Any, _: Any, statement: str, parameters: Any, *__: Any) -> None:
        if connection.dialect.name == "postgresql":
            self.add(statement, parameters)

    def add(self, statement: str, parameters: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            self.statements.setdefault(statement, parameters)


@pytest.fixture
def seen() -> Iterator[Seen]:
    """What every database that is opened from now on is asked."""
    noted = Seen()
    sa.event.listen(sa.pool.Pool, "connect", noted.connected)
    sa.event.listen(sa.Engine, "before_cursor_execute", noted.executed)
    yield noted
    sa.event.remove(sa.pool.Pool, "connect", noted.connected)
    sa.event.remove(sa.Engine, "before_cursor_execute", noted.executed)


def explain(tx: Tx, statement: str, parameters: Any) -> Any:
    if tx.dialect.name == "sqlite":
        return [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
    plan = tx.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]


def faults(plan: Any) -> list[str]:
    """What of a plan reads or sorts a whole large table."""
    if isinstance(plan, list):
        scans = [line for line in plan if line.startswith("SCAN ") and line != "SCAN CONSTANT ROW"]
        return [line for line in scans if not line.split()[1].startswith("anon_") and line.split()[1] not in LEFT_EMPTY]
    found = []
    if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] not in LEFT_EMPTY:
        found.append(f"Seq Scan of {plan['Relation Name']}")
    if plan["Node Type"] == "Sort" and plan["Plan Rows"] > LARGE:
        found.append(f"Sort of {plan['Plan Rows']} rows")
    return found + [fault for part in plan.get("Plans", []) for fault in faults(part)]


ON_PURPOSE = {
    "list_instruments": "instruments",  # all that there are, a page at a time by their ids
    "list_sources": "series",  # counted by source
    "get_source": "series",
    "verify_audit_log": "audit_",  # the whole log, a batch at a time
}
"""What goes over a whole table, by operation, and which."""


async def ask(client: Any, target: str, pages: bool, caller: dict[str, Any]) -> int:
    """Ask for it, and for a page and the one after it where it has pages."""
    answer = await client.get(target, **caller)
    if pages:
        target = re.sub(r"\?limit=\d+$", "", target)
        join = "&" if "?" in target else "?"
        for order in ("", "&order=asc"):
            page = await client.get(f"{target}{join}limit=1{order}", **caller)
            assert page.status == 200, (target, page.body)
            cursor = page.json["next_cursor"]
            if cursor:
                await client.get(f"{target}{join}limit=1{order}&cursor={cursor}", **caller)
    return int(answer.status)


def test_no_read_goes_over_a_whole_large_table(seen: Seen, served: Any) -> None:
    database: Database = served.database
    database.write(fill)
    database.write(lambda tx: tx.exec_driver_sql("ANALYZE"))
    known = samples()
    found: dict[str, list[str]] = {}

    async def work(client: Any) -> int:
        checked = 0
        for operation in all_operations():
            if operation.method != "GET" or operation.scope == PUBLIC:
                continue
            sample = known[operation.id](served.made)
            caller: dict[str, Any] = {"key": served.keys["whole"]}
            if sample.caller != "key":
                caller = {
                    "person": Person(served.made[f"session {'owner' if sample.caller == 'session' else 'stepped up'}"])
                }
            seen.statements.clear()
            served.clock.advance(3)
            pages = {"limit", "order"} <= set(operation.query.__struct_fields__)
            assert (
                await ask(client, sample.target, pages and "order" in operation.query.__struct_fields__, caller) < 300
            )
            for statement, parameters in dict(seen.statements).items():
                checked += 1
                allowed = ON_PURPOSE.get(operation.id)
                wrong = [
                    fault
                    for fault in faults(database.read(explain, statement, parameters))
                    if allowed is None or allowed not in fault
                ]
                if wrong:
                    found.setdefault(operation.id, []).append(f"{wrong}: {statement[:600]}")
        return checked

    assert served.run(work) > 100
    assert not found, json.dumps(found, indent=1)


def test_the_queue_finds_whose_turn_it_is_by_its_indexes(seen: Seen, served: Any) -> None:
    database: Database = served.database
    database.write(fill)
    for organization, status in (("org_a", "running"), ("org_b", "queued"), ("org_c", "queued")):
        mine = jobs.update().where(jobs.c.organization == organization)
        database.write(lambda tx, q=mine, s=status: tx.execute(q.values(status=s, kind="backtest")))
    database.write(lambda tx: tx.exec_driver_sql("ANALYZE"))
    seen.statements.clear()
    claimed = database.write(jobs_queue.claim, "one", 1, 10, ("backtest", "export"))
    assert claimed is not None
    asked = dict(seen.statements)
    assert any("waiting" in statement for statement in asked)
    for statement, parameters in asked.items():
        wrong = [fault for fault in faults(database.read(explain, statement, parameters)) if fault != "SCAN waiting"]
        assert not wrong, (wrong, statement)


def test_a_scan_would_be_found(served: Any) -> None:
    database: Database = served.database
    database.write(fill)
    database.write(lambda tx: tx.exec_driver_sql("ANALYZE"))
    for statement in (
        "SELECT * FROM orders WHERE reason = 'zz_reason_000001'",
        "SELECT * FROM orders WHERE created_at > 0 ORDER BY reason LIMIT 5",
    ):
        assert faults(database.read(explain, statement, ()))


@pytest.mark.parametrize("plan", [["SCAN orders"], ["SEARCH orders USING INDEX x (a=?)", "SCAN fills"]])
def test_a_scan_is_read_from_a_plan(plan: list[str]) -> None:
    assert faults(plan)
    assert not faults(["SEARCH orders USING INDEX x (a=?)", "SCAN CONSTANT ROW"])
