"""Feed sessions, the runs that trade on them, and the journal of what each run was given."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from tradewright.storage.changes import reads
from tradewright.storage.database import Tx, one_statement
from tradewright.storage.reading import Reading
from tradewright.storage.tables import feed_sessions, journal, runs
from tradewright.storage.tenants import first, key_of, of_id, page_by_id
from tradewright.storage.writing import change, insert


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
    return first(tx, query.order_by(feed_sessions.c.id.desc()).limit(1))


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
    change(tx, feed_sessions, [(key_of(organization, environment, session), values)])


def add_run(tx: Tx, row: dict[str, Any]) -> None:
    """Store a run."""
    tx.execute(runs.insert().values(row))


def run_of_session(tx: Tx, organization: str, environment: str, session: str) -> dict[str, Any] | None:
    """Return the run on this feed session, or None."""
    query = sa.select(runs).where(
        runs.c.organization == organization, runs.c.environment == environment, runs.c.feed_session == session
    )
    return first(tx, query.order_by(runs.c.id.desc()).limit(1))


@one_statement
def get_run(tx: Tx, organization: str, environment: str, run: str) -> dict[str, Any] | None:
    """Return one run, or None."""
    return of_id(runs).first(tx, {"key": run, "organization": organization, "environment": environment})


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
    return page_by_id(tx, runs, organization, environment, limit, descending, after)


def update_run(tx: Tx, organization: str, environment: str, run: str, values: dict[str, Any]) -> None:
    """Change one run."""
    change(tx, runs, [(key_of(organization, environment, run), values)])


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
    insert(tx, journal, list(new.values()))
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
    asked = {"organization": organization, "environment": environment, "run": run, "sequence": sequence}
    return _journal_after(tuple(kinds)).dicts(tx, asked)


@lru_cache(8)
def _journal_after(kinds: tuple[str, ...]) -> Reading:
    mine = [journal.c[name] == sa.bindparam(name) for name in ("organization", "environment", "run")]
    wanted = [sa.or_(*(journal.c.kind == kind for kind in kinds))] if kinds else []
    query = sa.select(journal).where(*mine, journal.c.sequence > sa.bindparam("sequence"), *wanted)
    return Reading(query.order_by(journal.c.sequence))


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
