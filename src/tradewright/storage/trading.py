"""Portfolios, orders, fills, feed sessions, runs and their journal; the lines of a ledger as pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from tradewright.storage.changes import reads
from tradewright.storage.database import Tx, one_statement
from tradewright.storage.reading import Reading
from tradewright.storage.tables import (
    feed_sessions,
    fills,
    journal,
    orders,
    portfolios,
    positions,
    postings,
    runs,
)
from tradewright.storage.types import Money, MoneyText, Time
from tradewright.storage.writing import change, put

LIVE = ("pending", "unknown", "accepted")
_ORDER = (
    "id", "client_order_id", "portfolio", "run", "instrument", "side", "type", "units", "filled_units", "status",
    "reason", "decided_time", "created_at",
)  # fmt: skip
_FILL = ("id", "order", "portfolio", "instrument", "side", "units", "price", "fee", "time")


def add_portfolio(tx: Tx, row: dict[str, Any]) -> None:
    """Store a portfolio."""
    tx.execute(portfolios.insert().values(row))


@one_statement
def get_portfolio(
    tx: Tx, organization: str, environment: str, portfolio: str, lock: bool = False
) -> dict[str, Any] | None:
    """Return one portfolio, or None. lock: nobody changes it until the transaction ends."""
    if lock:
        return _one(
            tx, sa.select(portfolios).where(*_mine(portfolios, organization, environment, portfolio)).with_for_update()
        )
    return _of_id(portfolios).first(tx, {"key": portfolio, "organization": organization, "environment": environment})


def rename_portfolio(tx: Tx, organization: str, environment: str, portfolio: str, name: str) -> None:
    """Give a portfolio another name."""
    tx.execute(portfolios.update().where(*_mine(portfolios, organization, environment, portfolio)).values(name=name))


def close_portfolio(tx: Tx, organization: str, environment: str, portfolio: str, now_us: int) -> None:
    """Mark a portfolio as closed; its books stay."""
    mine = _mine(portfolios, organization, environment, portfolio)
    tx.execute(portfolios.update().where(*mine).values(status="closed", closed_at=now_us))


@one_statement
def list_portfolios(
    tx: Tx,
    organization: str,
    environment: str,
    limit: int,
    descending: bool = True,
    after: str | None = None,
    status: str = "open",
) -> list[dict[str, Any]]:
    """Return portfolios of a status by id after the id `after`."""
    only = [portfolios.c.status == status]
    return _page(tx, portfolios, organization, environment, limit, descending, after, only)


@one_statement
def list_postings(
    tx: Tx,
    organization: str,
    environment: str,
    portfolio: str,
    limit: int | None = None,
    descending: bool = False,
    after: tuple[int, str] | None = None,
) -> list[dict[str, Any]]:
    """Return the ledger of a portfolio by (time, id), after that pair; all of it without `limit`."""
    query = _page_by_time(postings, "time", limit is not None, descending, after is not None, True)
    return query.dicts(tx, _page_values(organization, environment, limit, after, portfolio))


def put_positions(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Set positions: each of a portfolio in an instrument."""
    put(tx, positions, list(rows))


def list_positions(tx: Tx, organization: str, environment: str, portfolio: str) -> list[dict[str, Any]]:
    """Return the positions of a portfolio by instrument, flat ones too."""
    values = {"organization": organization, "environment": environment, "portfolio": portfolio}
    return _positions().dicts(tx, values)


@lru_cache(1)
def _positions() -> Reading:
    mine = [positions.c[name] == sa.bindparam(name) for name in ("organization", "environment", "portfolio")]
    return Reading(sa.select(positions).where(*mine).order_by(positions.c.instrument))


def add_orders(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store orders; a repeated client order id is refused by the database."""
    if rows:
        tx.execute(orders.insert(), list(rows))


def update_orders(tx: Tx, organization: str, environment: str, changes: Mapping[str, dict[str, Any]]) -> None:
    """Change orders: the new values of each by its id."""
    change(tx, orders, ((_key(organization, environment, order), values) for order, values in changes.items()))


@one_statement
def get_order(tx: Tx, organization: str, environment: str, order: str) -> tuple[Any, ...] | None:
    """Return one order as `list_orders` does, or None."""
    values = {"key": order, "organization": organization, "environment": environment}
    found = _of_id(orders, _ORDER).tuples(tx, values)
    return found[0] if found else None


def live_orders(tx: Tx, organization: str, environment: str, portfolio: str) -> list[dict[str, Any]]:
    """Return the orders of a portfolio that have not ended, by time of decision, sells first, then instrument."""
    query = (
        sa.select(orders)
        .where(
            orders.c.organization == organization,
            orders.c.environment == environment,
            orders.c.portfolio == portfolio,
            orders.c.status.in_(LIVE),
        )
        .order_by(orders.c.decided_time, orders.c.side.desc(), orders.c.instrument)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


@one_statement
def list_orders(
    tx: Tx,
    organization: str,
    environment: str,
    limit: int,
    descending: bool,
    after: tuple[int, str] | None,
    portfolio: str | None = None,
) -> list[tuple[Any, ...]]:
    """Return orders by (decided time, id), after that pair.

    Each is (id, client order id, portfolio, run, instrument, side, type, units, filled units, status, reason, decided
    time, created at), units as text.
    """
    query = _page_by_time(orders, "decided_time", True, descending, after is not None, portfolio is not None, _ORDER)
    return query.tuples(tx, _page_values(organization, environment, limit, after, portfolio))


def add_fills(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Store fills; a repeated broker fill id is refused by the database."""
    if rows:
        tx.execute(fills.insert(), list(rows))


@one_statement
def list_fills(
    tx: Tx,
    organization: str,
    environment: str,
    limit: int,
    descending: bool,
    after: tuple[int, str] | None,
    portfolio: str | None = None,
) -> list[tuple[Any, ...]]:
    """Return fills by (time, id), after that pair.

    Each is (id, order, portfolio, instrument, side, units, price, fee, time), amounts as text.
    """
    query = _page_by_time(fills, "time", True, descending, after is not None, portfolio is not None, _FILL)
    return query.tuples(tx, _page_values(organization, environment, limit, after, portfolio))


def add_feed_session(tx: Tx, row: dict[str, Any]) -> None:
    """Store a feed session; those before it in its environment have ended for ever."""
    s = feed_sessions.c
    mine = (s.organization == row["organization"], s.environment == row["environment"], s.status != "ended")
    tx.execute(feed_sessions.update().where(*mine).values(status="ended", reason=None))
    tx.execute(feed_sessions.insert().values(row))


@reads("feed_sessions")
@one_statement
def latest_feed_session(tx: Tx, organization: str, environment: str) -> dict[str, Any] | None:
    """Return the newest feed session, or None."""
    return _latest_feed_session().first(tx, {"organization": organization, "environment": environment})


@lru_cache(1)
def _latest_feed_session() -> Reading:
    s = feed_sessions.c
    mine = [s[name] == sa.bindparam(name) for name in ("organization", "environment")]
    return Reading(sa.select(feed_sessions).where(*mine).order_by(s.id.desc()).limit(1))


def session_of_portfolio(tx: Tx, organization: str, environment: str, portfolio: str) -> dict[str, Any] | None:
    """Return the newest feed session on which a run traded this portfolio, or None."""
    theirs = sa.select(runs.c.feed_session).where(
        runs.c.organization == organization, runs.c.environment == environment, runs.c.portfolio == portfolio
    )
    query = sa.select(feed_sessions).where(
        feed_sessions.c.organization == organization,
        feed_sessions.c.environment == environment,
        feed_sessions.c.id.in_(theirs),
    )
    return _one(tx, query.order_by(feed_sessions.c.id.desc()).limit(1))


@reads("runs", "feed_sessions")
@one_statement
def sessions_of_portfolios(
    tx: Tx, portfolios: Sequence[str], organization: str, environment: str
) -> dict[str, dict[str, Any]]:
    """Return the newest feed session on which a run traded each portfolio, by portfolio; none for one that none did."""
    count = 1 << max(0, len(portfolios) - 1).bit_length()  # few statements do for all; the places left repeat the last
    named = {f"key_{n}": portfolios[min(n, len(portfolios) - 1)] for n in range(count)}
    values = {"organization": organization, "environment": environment, **named}
    found = _sessions_of_portfolios(count).dicts(tx, values)
    return {row.pop("of_portfolio"): row for row in found}


@lru_cache(16)
def _sessions_of_portfolios(count: int) -> Reading:
    r = runs.c
    mine = [r[name] == sa.bindparam(name) for name in ("organization", "environment")]
    asked = r.portfolio.in_([sa.bindparam(f"key_{n}") for n in range(count)])
    newest = sa.select(r.portfolio.label("of_portfolio"), sa.func.max(r.feed_session).label("session"))
    theirs = newest.where(*mine, asked).group_by(r.portfolio).subquery()
    return Reading(sa.select(theirs.c.of_portfolio, feed_sessions).join(theirs, feed_sessions.c.id == theirs.c.session))


def update_feed_session(tx: Tx, organization: str, environment: str, session: str, values: dict[str, Any]) -> None:
    """Change one feed session."""
    change(tx, feed_sessions, [(_key(organization, environment, session), values)])


def add_run(tx: Tx, row: dict[str, Any]) -> None:
    """Store a run."""
    tx.execute(runs.insert().values(row))


def run_of_session(tx: Tx, organization: str, environment: str, session: str) -> dict[str, Any] | None:
    """Return the run on this feed session, or None."""
    query = sa.select(runs).where(
        runs.c.organization == organization, runs.c.environment == environment, runs.c.feed_session == session
    )
    return _one(tx, query.order_by(runs.c.id.desc()).limit(1))


@one_statement
def get_run(tx: Tx, organization: str, environment: str, run: str) -> dict[str, Any] | None:
    """Return one run, or None."""
    return _of_id(runs).first(tx, {"key": run, "organization": organization, "environment": environment})


def run_trading(tx: Tx, organization: str, environment: str, portfolio: str) -> str | None:
    """Return the run that may still trade a portfolio: on the newest feed session, while that has not ended."""
    session = latest_feed_session(tx, organization, environment)
    if session is None or session["status"] == "ended":
        return None
    run = run_of_session(tx, organization, environment, session["id"])
    return str(run["id"]) if run is not None and run["portfolio"] == portfolio else None


@one_statement
def list_runs(
    tx: Tx, organization: str, environment: str, limit: int, descending: bool, after: str | None
) -> list[dict[str, Any]]:
    """Return runs by id (ids order by creation), after the id `after`."""
    return _page(tx, runs, organization, environment, limit, descending, after)


def update_run(tx: Tx, organization: str, environment: str, run: str, values: dict[str, Any]) -> None:
    """Change one run."""
    change(tx, runs, [(_key(organization, environment, run), values)])


def append_journal(tx: Tx, organization: str, environment: str, run: str, rows: Sequence[dict[str, Any]]) -> int:
    """Number and store inputs of a run that are not in its journal yet (by kind and key); return the last number.

    One that is there and was not handled keeps its number and is as it is handed in now: a row may have become late.
    """
    last = int(_last_of_journal().tuples(tx, {"run": run})[0][0] or 0)
    there = _numbers_of(tx, run, rows)
    new: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        place = (row["kind"], row["key"])
        if place in new:
            continue
        number = there.get(place)
        if number is not None:
            unhandled = sa.exists().where(runs.c.id == run, runs.c.handled < number)
            here = (journal.c.run == run, journal.c.sequence == number)
            tx.execute(journal.update().where(*here, unhandled).values(payload=row["payload"]))
            continue
        last += 1
        new[place] = {**row, "run": run, "sequence": last, "organization": organization, "environment": environment}
    if new:
        tx.execute(journal.insert(), list(new.values()))
    return last


def _numbers_of(tx: Tx, run: str, rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], int]:
    # one by one: what looks for many keys at once is another statement for each number of them
    found = {}
    for row in rows:
        known = _number_in_journal().tuples(tx, {"run": run, "kind": row["kind"], "key": row["key"]})
        if known:
            found[row["kind"], row["key"]] = int(known[0][0])
    return found


@lru_cache(1)
def _last_of_journal() -> Reading:
    return Reading(sa.select(sa.func.max(journal.c.sequence).label("last")).where(journal.c.run == sa.bindparam("run")))


@lru_cache(1)
def _number_in_journal() -> Reading:
    mine = [journal.c[name] == sa.bindparam(name) for name in ("run", "kind", "key")]
    return Reading(sa.select(journal.c.sequence).where(*mine))


def journal_after(
    tx: Tx, organization: str, environment: str, run: str, sequence: int, kinds: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the inputs of a run numbered above `sequence`, in order. kinds: only those; without any all."""
    query = sa.select(journal).where(
        journal.c.organization == organization,
        journal.c.environment == environment,
        journal.c.run == run,
        journal.c.sequence > sequence,
        *([journal.c.kind.in_(kinds)] if kinds else []),
    )
    return [dict(row) for row in tx.execute(query.order_by(journal.c.sequence)).mappings()]


def last_journalled_fill(tx: Tx, run: str) -> int:
    """Return the broker's number of the last fill in the journal of a run, 0 when there is none."""
    query = (
        sa.select(journal.c.payload)
        .where(journal.c.run == run, journal.c.kind == "fill")
        .order_by(journal.c.sequence.desc())
        .limit(1)
    )
    payload = tx.execute(query).scalar_one_or_none()
    return 0 if payload is None else int(payload["sequence"])


def _key(organization: str, environment: str, key: str) -> dict[str, Any]:
    return {"id": key, "organization": organization, "environment": environment}


def _mine(table: sa.Table, organization: str, environment: str, key: str) -> list[sa.ColumnElement[bool]]:
    return [table.c.id == key, table.c.organization == organization, table.c.environment == environment]


@lru_cache(8)
def _of_id(table: sa.Table, shown: tuple[str, ...] | None = None) -> Reading:
    named = {"id": "key", "organization": "organization", "environment": "environment"}
    conditions = (table.c[column] == sa.bindparam(name) for column, name in named.items())
    return Reading(sa.select(*_columns(table, shown)).where(*conditions))


def _one(tx: Tx, query: sa.Select[Any]) -> dict[str, Any] | None:
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def _page(
    tx: Tx,
    table: sa.Table,
    organization: str,
    environment: str,
    limit: int,
    descending: bool,
    after: str | None,
    only: Sequence[sa.ColumnElement[bool]] = (),
) -> list[dict[str, Any]]:
    query = sa.select(table).where(table.c.organization == organization, table.c.environment == environment, *only)
    if after is not None:
        query = query.where(table.c.id < after if descending else table.c.id > after)
    query = query.order_by(table.c.id.desc() if descending else table.c.id).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def _page_values(
    organization: str, environment: str, limit: int | None, after: tuple[int, str] | None, portfolio: str | None
) -> dict[str, Any]:
    after_time, after_id = after or (None, None)
    return {
        "organization": organization,
        "environment": environment,
        "rows": limit,
        "portfolio": portfolio,
        "after_time": after_time,
        "after_id": after_id,
    }


@lru_cache(128)  # building a statement takes longer than running it
def _page_by_time(
    table: sa.Table,
    column: str,
    limited: bool,
    descending: bool,
    after: bool,
    of_portfolio: bool,
    shown: tuple[str, ...] | None = None,
) -> Reading:
    keys = (table.c[column], table.c.id)
    query = sa.select(*_columns(table, shown)).where(
        table.c.organization == sa.bindparam("organization"), table.c.environment == sa.bindparam("environment")
    )
    if of_portfolio:
        query = query.where(table.c.portfolio == sa.bindparam("portfolio"))
    if after:
        place = sa.tuple_(sa.bindparam("after_time", type_=Time), sa.bindparam("after_id", type_=sa.Text))
        query = query.where(sa.tuple_(*keys) < place if descending else sa.tuple_(*keys) > place)
    query = query.order_by(*(k.desc() for k in keys) if descending else keys)
    return Reading(query.limit(sa.bindparam("rows", type_=sa.Integer)) if limited else query)


def _columns(table: sa.Table, shown: tuple[str, ...] | None) -> list[sa.ColumnElement[Any]]:
    # all columns as they are, or those to be shown: amounts as text
    if shown is None:
        return list(table.c)
    chosen = [table.c[name] for name in shown]
    return [sa.type_coerce(c, MoneyText()).label(c.name) if isinstance(c.type, Money) else c for c in chosen]
