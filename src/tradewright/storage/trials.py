"""The trial ledger's rows: a hash chain for each organization and environment, returns by content hash.

Counting and the search for copies go over all environments of an organization."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx
from tradewright.storage.tables import trial_returns, trial_universes, trials
from tradewright.storage.writing import add

FIRST_HASH = "0" * 64
_OLDEST = (trials.c.created_at, trials.c.environment, trials.c.sequence)
_CHAINED = [c.name for c in trials.columns if c.name not in ("sequence", "hash")]


def row_hash(row: Mapping[str, Any]) -> str:
    """Return the hash of a row's content, its sequence and the hash of the row before."""
    content = {name: row[name] for name in (*_CHAINED, "sequence")}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def lock(tx: Tx, organization: str) -> None:
    """Be the only writer of an organization's trials until the transaction ends: SQLite's write lock is enough."""
    if tx.dialect.name == "postgresql":
        key = f"trials/{organization}"
        tx.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def append(
    tx: Tx,
    organization: str,
    environment: str,
    rows: Sequence[dict[str, Any]],
    returns: Mapping[str, tuple[bytes, bytes]],
) -> list[int]:
    """Chain `rows` to the ledger and store `returns`, (returns, sketch) by hash; return the sequence numbers.

    rows: every column but organization, environment, sequence, previous_hash and hash. One writer at a time: `lock`.
    """
    lock(tx, organization)
    mine = (trials.c.organization == organization, trials.c.environment == environment)
    last = tx.execute(
        sa.select(trials.c.sequence, trials.c.hash).where(*mine).order_by(trials.c.sequence.desc()).limit(1)
    ).first()
    sequence, previous = (0, FIRST_HASH) if last is None else (int(last[0]), str(last[1]))
    chained = []
    for row in rows:
        sequence += 1
        full = {**row, "organization": organization, "environment": environment}
        full |= {"sequence": sequence, "previous_hash": previous}
        previous = full["hash"] = row_hash(full)
        chained.append(full)
    _keep(tx, returns)
    if chained:
        tx.execute(trials.insert(), chained)
    return [row["sequence"] for row in chained]


def _keep(tx: Tx, returns: Mapping[str, tuple[bytes, bytes]]) -> None:
    known = set(tx.execute(sa.select(trial_returns.c.hash).where(trial_returns.c.hash.in_(list(returns)))).scalars())
    fresh = [
        {"hash": h, "returns": whole, "sketch": sketch} for h, (whole, sketch) in returns.items() if h not in known
    ]
    add(tx, trial_returns, fresh)


def keep_universe(tx: Tx, organization: str, lineage: str, interval: str, universe: Sequence[str]) -> None:
    """Store which instruments a lineage has, once."""
    known = sa.select(trial_universes.c.lineage).where(
        trial_universes.c.organization == organization, trial_universes.c.lineage == lineage
    )
    if tx.execute(known.limit(1)).first() is None:
        named = {"organization": organization, "lineage": lineage, "interval": interval}
        add(tx, trial_universes, [{**named, "instrument": instrument} for instrument in sorted(set(universe))])


def related(organization: str, lineage: str) -> sa.ScalarSelect[Any]:
    """Return the query of the lineages of the same interval that share an instrument with `lineage`, which is one."""
    mine, other = trial_universes.alias("mine"), trial_universes.alias("other")
    same = (other.c.organization == mine.c.organization) & (other.c.interval == mine.c.interval)
    return (
        sa.select(other.c.lineage)
        .distinct()
        .join_from(mine, other, same & (other.c.instrument == mine.c.instrument))
        .where(mine.c.organization == organization, mine.c.lineage == lineage)
        .scalar_subquery()
    )


def counted(
    tx: Tx, organization: str, lineage: str, first_time: int, last_time: int
) -> list[tuple[str, str, float | None]]:
    """Return (same_as, configuration, Sharpe ratio) of each trial that counts, oldest first.

    Of any environment, of a `related` lineage, with a tested span that overlaps first_time..last_time, not for audit.
    """
    query = sa.select(trials.c.same_as, trials.c.configuration, trials.c.sharpe).where(
        trials.c.organization == organization,
        trials.c.lineage.in_(related(organization, lineage)),
        trials.c.purpose != "audit",
        trials.c.first_time <= last_time,
        trials.c.last_time >= first_time,
    )
    query = query.order_by(*_OLDEST)
    return [(str(a), str(b), None if c is None else float(c)) for a, b, c in tx.execute(query)]


def originals(tx: Tx, organization: str, lineage: str, first_time: int, last_time: int) -> list[tuple[str, bytes]]:
    """Return (hash, sketch) of the returns that copy no others, oldest first.

    Of any environment, of a `related` lineage and exactly this span.
    """
    query = (
        sa.select(trials.c.returns_hash, trial_returns.c.sketch)
        .join(trial_returns, trial_returns.c.hash == trials.c.returns_hash)
        .where(
            trials.c.organization == organization,
            trials.c.lineage.in_(related(organization, lineage)),
            trials.c.first_time == first_time,
            trials.c.last_time == last_time,
            trials.c.same_as == trials.c.returns_hash,
        )
        .order_by(*_OLDEST)
    )
    return list({str(name): bytes(sketch) for name, sketch in tx.execute(query)}.items())


def listed(
    tx: Tx, organization: str, environment: str, *, after: int | None, limit: int, descending: bool = True
) -> list[dict[str, Any]]:
    """Return up to `limit` trials beyond the sequence number `after`, newest first unless `descending` is False."""
    query = sa.select(trials).where(trials.c.organization == organization, trials.c.environment == environment)
    if after is not None:
        query = query.where(trials.c.sequence < after if descending else trials.c.sequence > after)
    query = query.order_by(trials.c.sequence.desc() if descending else trials.c.sequence).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def returns_of(tx: Tx, organization: str, environment: str | None, name: str) -> bytes | None:
    """Return the stored returns with this hash, if a trial of this organization and environment has them.

    environment: None for any.
    """
    query = (
        sa.select(trial_returns.c.returns)
        .join(trials, trials.c.returns_hash == trial_returns.c.hash)
        .where(
            trials.c.organization == organization,
            sa.true() if environment is None else trials.c.environment == environment,
            trial_returns.c.hash == name,
        )
        .limit(1)
    )
    found = tx.execute(query).scalar()
    return None if found is None else bytes(found)
