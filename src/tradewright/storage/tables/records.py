"""Tables that share a transaction with everything else: the outbox, idempotency, the audit log, small things."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table

from tradewright.storage.tables.columns import metadata, tenant, text, time
from tradewright.storage.types import Json

outbox = Table(
    "outbox",
    metadata,
    text("id", primary_key=True),
    text("organization", nullable=True),
    text("environment", nullable=True),
    Column("sequence", BigInteger),
    text("type"),
    Column("version", Integer, nullable=False),
    text("subject"),
    time("bar_time", nullable=True),
    text("visibility"),
    Column("data", Json, nullable=False),
    Column("position", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    time("created_at"),
    Index(None, "sequence", "position"),
    Index(None, "created_at"),
    Index(None, "organization", "environment", "sequence", unique=True),
    Index(None, "organization", "environment", "type", "sequence"),
    Index(None, "organization", "environment", "subject", "sequence"),
)

outbox_heads = Table(
    "outbox_heads",
    metadata,
    text("scope", primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    text("organization", primary_key=True),
    text("environment", primary_key=True),
    text("operation", primary_key=True),
    text("key", primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("headers", Json),
    Column("body", LargeBinary),
    time("created_at"),
    Index(None, "created_at"),
)

audit_log = Table(  # only ever added to, like the seals; it holds ids, and what names a person stands in audit_people
    "audit_log",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("actor"),
    text("method"),
    text("action"),
    text("object"),
    Column("detail", Json, nullable=False),
    text("request"),
    time("created_at"),
    Index(None, "organization", "created_at", "id"),
    Index(None, "organization", "actor", "created_at", "id"),
    Index(None, "organization", "action", "created_at", "id"),
    Index(None, "organization", "object", "created_at", "id"),
)

audit_waiting = Table(  # entries that have no seal yet, written with them
    "audit_waiting",
    metadata,
    text("entry", primary_key=True),
    time("created_at"),
    Index(None, "created_at", "entry"),
)

audit_seals = Table(
    "audit_seals",
    metadata,
    text("organization", primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    text("entry", unique=True),
    text("previous_hash"),
    text("hash"),
    time("sealed_at"),
)

audit_people = Table(  # erasable
    "audit_people",
    metadata,
    text("entry", primary_key=True),
    text("user", nullable=True),
    text("organization"),
    text("address"),
    text("agent"),
    time("created_at"),
    Index(None, "user"),
    Index(None, "organization"),
    Index(None, "created_at"),
)

house = Table(
    "house", metadata, text("name", primary_key=True), Column("value", Json, nullable=False), time("updated_at")
)
