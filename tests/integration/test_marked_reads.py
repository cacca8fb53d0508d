"""Reading functions are what they are marked as: those of one statement run one (on PostgreSQL there is no transaction
around them), those that name their tables read no other (their answers are remembered until one of these changes)."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

import tradewright.storage
from tradewright.api import valuation
from tradewright.storage.database import Tx

TENANT = ("org_a", "paper")
PLACE = ("system", "binance", "crypto:AAA-USD", "1d")
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "at_work": TENANT,
    "takes_changes": (),
    "latest_feed_session": TENANT,
    "names_of": ("equity:AAPL", 5),
    "list_orders": (*TENANT, 5, True, None),
    "list_fills": (*TENANT, 5, True, None),
    "list_postings": (*TENANT, "prt_1", 5, True, None),
    "list_portfolios": (*TENANT, 5, True, None),
    "list_runs": (*TENANT, 5, True, None),
    "get_order": (*TENANT, "ord_1"),
    "get_portfolio": (*TENANT, "prt_1"),
    "get_run": (*TENANT, "run_1"),
    "get": (*TENANT, "sig_00"),
    "list_rows": (*TENANT, 5, True, None),
    "scoreboard": TENANT,
    "by_token": (b"x", "org_a"),
    "get_instrument": ("crypto:AAA-USD",),
    "sessions_of_portfolios": (("prt_1",), *TENANT),
    "list_instruments": (),
    "list_series": ("org_a",),
    "candidates": (("crypto:AAA-USD", "crypto:BBB-USD"), "org_a", "1d"),
    "versions": ((PLACE, (*PLACE[:2], "crypto:BBB-USD", "1d"), ("org_b", *PLACE[1:])),),
    "balances_of": (*TENANT, "prt_1"),
    "balances": (*TENANT, {"id": "prt_1", "currency": "USD"}),
    "api_key_with_role": ("key_x",),
    "with_role": ("ses_x", "org_a"),
    "api_keys_by_public_id": (["x" * 8] * 64,),
    "get_data_set": ("org_a", "unknown"),
}


def marked(mark: str) -> list[Callable[..., Any]]:
    modules = [
        importlib.import_module(f"tradewright.storage.{m.name}")
        for m in pkgutil.iter_modules(tradewright.storage.__path__)
    ]
    found = {
        value
        for module in [*modules, valuation]
        for value in vars(module).values()
        if callable(value) and getattr(value, mark, False)
    }
    return sorted(found, key=lambda function: function.__name__)


def test_every_marked_function_is_tried_here() -> None:
    assert {f.__name__ for mark in ("one_statement", "tables") for f in marked(mark)} == set(ARGUMENTS)


def test_a_marked_function_runs_one_statement(served: Any) -> None:
    def statements_of(tx: Tx, function: Callable[..., Any]) -> list[str]:
        seen: list[str] = []
        driver: Any = tx.connection.dbapi_connection
        if tx.dialect.name == "sqlite":
            driver.set_trace_callback(seen.append)
        else:
            sa.event.listen(tx, "before_cursor_execute", lambda *given: seen.append(given[2]))
        function(tx, *ARGUMENTS[function.__name__])
        if tx.dialect.name == "sqlite":
            driver.set_trace_callback(None)
        return [text for text in seen if text.lstrip().upper().startswith(("SELECT", "WITH"))]

    for function in marked("one_statement"):
        assert len(served.database.read(statements_of, function)) == 1, function.__name__


def test_a_marked_function_reads_the_tables_it_names_and_no_other(served: Any) -> None:
    if served.database.dialect != "sqlite":
        return  # the statements are the same on both; only SQLite tells which tables one reads

    def tables_of(tx: Tx, function: Callable[..., Any]) -> set[str]:
        seen: set[str] = set()

        def allow(action: int, table: str | None, *_: str | None) -> int:
            if action == sqlite3.SQLITE_READ and table is not None:
                seen.add(table)
            return sqlite3.SQLITE_OK

        driver: Any = tx.connection.dbapi_connection
        driver.set_authorizer(allow)
        function(tx, *ARGUMENTS[function.__name__])
        driver.set_authorizer(None)
        return seen

    remembered = marked("tables")
    assert len(remembered) > 5
    for function in remembered:
        assert served.database.read(tables_of, function) == set(function.tables), function.__name__  # type: ignore[attr-defined]
