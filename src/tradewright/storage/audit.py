"""The audit log: what was done, by whom, written in the transaction of the act and only ever added to.

Entries are sealed a moment after their commit: one chain for each organization, in which every seal holds the hash of
its entry and of the seal before. What names a person stands apart and in no hash, so erasing it breaks nothing.
A chain shows what was changed, taken out, moved or put in between; that its last entries were cut off together with
their seals shows only against a head that was written down elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from tradewright import ids
from tradewright.storage.database import Tx
from tradewright.storage.tables import audit_log, audit_people, audit_seals, audit_waiting
from tradewright.storage.writing import alone

_LOCK = 0x7477_6175_6469_74  # of PostgreSQL, for whoever seals
_HASHED = [column.name for column in audit_log.columns]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. actor: id of the key or person, or `system`. method: key, session, password, command line ...
    address and agent name a person, so they are kept apart and can be erased."""

    actor: str
    method: str
    request: str = ""
    user: str | None = None
    address: str = ""
    agent: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries. environment: None for all of the organization's. start included, end not."""

    environment: str | None = None
    actor: str | None = None
    action: str | None = None
    thing: str | None = None
    start_us: int | None = None
    end_us: int | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The first place where a chain does not hold. how: changed, missing, moved or inserted."""

    entry: str
    sequence: int | None
    how: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain as far as it was followed. sequence and hash: of its last seal that holds."""

    sequence: int = 0
    hash: str = ""
    broken: Broken | None = None


@dataclass(frozen=True, slots=True)
class Tail:
    """What has no seal. waiting: entries that the next round seals. inserted: the oldest one that nobody recorded."""

    waiting: tuple[str, ...] = ()
    more: bool = False
    inserted: str | None = None


def record(
    tx: Tx,
    organization: str,
    environment: str,
    who: Actor,
    action: str,
    thing: str,
    detail: dict[str, Any],
    now_us: int,
) -> None:
    """Write one entry in the caller's transaction. thing: the id it was done to. detail: ids and plain values only,
    no secret and nothing that names a person."""
    entry = ids.new("aud")
    tx.execute(
        audit_log.insert().values(
            id=entry,
            organization=organization,
            environment=environment,
            actor=who.actor,
            method=who.method,
            action=action,
            object=thing,
            detail=detail,
            request=who.request,
            created_at=now_us,
        )
    )
    tx.execute(audit_waiting.insert().values(entry=entry, created_at=now_us))
    if who.address or who.agent:
        tx.execute(
            audit_people.insert().values(
                entry=entry,
                user=who.user,
                organization=organization,
                address=who.address,
                agent=who.agent[:256],
                created_at=now_us,
            )
        )


def waiting(tx: Tx) -> bool:
    """Return whether an entry has no seal yet."""
    return tx.execute(sa.select(audit_waiting.c.entry).limit(1)).first() is not None


def seal(tx: Tx, limit: int, now_us: int) -> int:
    """Seal entries that wait, oldest first; return how many. While another process does, return 0."""
    if not alone(tx, _LOCK):
        return 0
    oldest = sa.select(audit_waiting.c.entry).order_by(audit_waiting.c.created_at, audit_waiting.c.entry).limit(limit)
    names = list(tx.execute(oldest).scalars())
    entries = tx.execute(sa.select(audit_log).where(audit_log.c.id.in_(names))).mappings()
    found = {row["id"]: dict(row) for row in entries}
    heads: dict[str, Chain] = {}
    seals = []
    for row in (found[name] for name in names if name in found):
        organization = row["organization"]
        head = heads.get(organization) or _head(tx, organization)
        heads[organization] = Chain(head.sequence + 1, entry_hash(row, head.sequence + 1, head.hash))
        seals.append(
            {
                "organization": organization,
                "sequence": head.sequence + 1,
                "entry": row["id"],
                "previous_hash": head.hash,
                "hash": heads[organization].hash,
                "sealed_at": now_us,
            }
        )
    if seals:
        tx.execute(audit_seals.insert(), seals)
    if names:
        tx.execute(audit_waiting.delete().where(audit_waiting.c.entry.in_(names)))
    return len(names)


def entry_hash(entry: Mapping[str, Any], sequence: int, previous: str) -> str:
    """Return the hash of an entry at its place: SHA-256 of the hash before, the sequence and its canonical JSON."""
    plain = {name: entry[name] for name in _HASHED}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(f"{previous}\n{sequence}\n{text}".encode()).hexdigest()


def sealed(tx: Tx, organization: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Return seals after a sequence, ascending, each with its entry, whose columns are None when it is gone."""
    columns = [column.label(f"log_{column.name}") for column in audit_log.columns]
    query = (
        sa.select(audit_seals, *columns)
        .join_from(audit_seals, audit_log, audit_log.c.id == audit_seals.c.entry, isouter=True)
        .where(audit_seals.c.organization == organization, audit_seals.c.sequence > after)
        .order_by(audit_seals.c.sequence)
        .limit(limit)
    )
    return [dict(row) for row in tx.execute(query).mappings()]


def follow(chain: Chain, rows: Iterable[Mapping[str, Any]]) -> Chain:
    """Return the chain after more of `sealed`; it stops at the first place that does not hold. Pure."""
    for row in rows:
        if chain.broken is None:
            chain = _next(chain, row)
    return chain


def _next(chain: Chain, row: Mapping[str, Any]) -> Chain:
    sequence = chain.sequence + 1
    entry = {name: row[f"log_{name}"] for name in _HASHED}
    how = ""
    if row["sequence"] != sequence or entry["id"] is None:
        how = "missing"
    elif row["previous_hash"] != chain.hash or entry["organization"] != row["organization"]:
        how = "moved"
    elif entry_hash(entry, sequence, chain.hash) != row["hash"]:
        how = "changed"
    if how:
        gone = row["sequence"] != sequence
        return replace(chain, broken=Broken("" if gone else row["entry"], sequence, how))
    return Chain(sequence, row["hash"])


def chains(tx: Tx) -> list[str]:
    """Return the organizations that have entries, ascending; "" is what belongs to none."""
    return list(tx.execute(sa.select(audit_log.c.organization).distinct().order_by(audit_log.c.organization)).scalars())


def entries(tx: Tx, organization: str, after: tuple[int, str], limit: int) -> list[tuple[int, str, bool, bool]]:
    """Return (time, id, whether it has a seal, whether it waits for one) of entries after a time and id, ascending."""
    place = sa.tuple_(audit_log.c.created_at, audit_log.c.id)
    page = (
        sa.select(audit_log.c.created_at, audit_log.c.id)
        .where(audit_log.c.organization == organization, place > sa.tuple_(*(sa.literal(part) for part in after)))
        .order_by(audit_log.c.created_at, audit_log.c.id)
        .limit(limit)
        .subquery()
    )
    query = (
        sa.select(page, audit_seals.c.entry.label("seal"), audit_waiting.c.entry.label("waits"))
        .join_from(page, audit_seals, audit_seals.c.entry == page.c.id, isouter=True)
        .join(audit_waiting, audit_waiting.c.entry == page.c.id, isouter=True)
        .order_by(page.c.created_at, page.c.id)
    )
    return [(row.created_at, row.id, row.seal is not None, row.waits is not None) for row in tx.execute(query)]


def follow_tail(tail: Tail, rows: Iterable[tuple[int, str, bool, bool]], named: int) -> Tail:
    """Return what has no seal after more of `entries`, at most `named` names of it. Pure."""
    for _, name, has_seal, waits in rows:
        if has_seal:
            continue
        if not waits:
            tail = replace(tail, inserted=tail.inserted or name)
        elif len(tail.waiting) < named:
            tail = replace(tail, waiting=(*tail.waiting, name))
        else:
            tail = replace(tail, more=True)
    return tail


def list_page(
    tx: Tx, organization: str, filters: Filters, limit: int, descending: bool, after: tuple[int, str] | None
) -> list[dict[str, Any]]:
    """Return entries by time and id, beginning after that pair, with address and agent where they are not erased."""
    place = sa.tuple_(audit_log.c.created_at, audit_log.c.id)
    query = (
        sa.select(audit_log, audit_people.c.address, audit_people.c.agent)
        .join_from(audit_log, audit_people, audit_people.c.entry == audit_log.c.id, isouter=True)
        .where(audit_log.c.organization == organization, *_wanted(filters))
    )
    if after is not None:
        seen = sa.tuple_(*(sa.literal(part) for part in after))
        query = query.where(place < seen if descending else place > seen)
    order = (audit_log.c.created_at, audit_log.c.id)
    query = query.order_by(*(column.desc() for column in order) if descending else order).limit(limit)
    return [dict(row) for row in tx.execute(query).mappings()]


def _wanted(filters: Filters) -> list[sa.ColumnElement[bool]]:
    equal = {
        audit_log.c.actor: filters.actor,
        audit_log.c.action: filters.action,
        audit_log.c.object: filters.thing,
    }
    clauses = [column == value for column, value in equal.items() if value is not None]
    if filters.environment is not None:
        clauses.append(audit_log.c.environment.in_((filters.environment, "")))
    if filters.start_us is not None:
        clauses.append(audit_log.c.created_at >= filters.start_us)
    if filters.end_us is not None:
        clauses.append(audit_log.c.created_at < filters.end_us)
    return clauses


def _head(tx: Tx, organization: str) -> Chain:
    query = (
        sa.select(audit_seals.c.sequence, audit_seals.c.hash)
        .where(audit_seals.c.organization == organization)
        .order_by(audit_seals.c.sequence.desc())
        .limit(1)
    )
    row = tx.execute(query).first()
    return Chain() if row is None else Chain(row.sequence, row.hash)
