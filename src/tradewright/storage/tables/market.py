"""Tables of what sources brought: instruments, series, bars that are not in files yet, ingestions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table

from tradewright.storage.tables.columns import metadata, tenant, text, time
from tradewright.storage.types import Json, Money, Time

instruments = Table(
    "instruments",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("currency"),
    text("calendar"),
    Column("tick", Money),
    Column("lot", Money),
    Column("minimum_notional", Money),
    Column("multiplier", Money, nullable=False),
    time("listed", nullable=True),
    time("delisted", nullable=True),
    time("created_at"),
)

instrument_aliases = Table(  # what a source calls an instrument, and the steps that it states for it
    "instrument_aliases",
    metadata,
    text("source", primary_key=True),
    text("symbol", primary_key=True),
    Column("valid_from", Time, primary_key=True),
    time("valid_to", nullable=True),
    text("instrument"),
    Column("tick", Money),
    Column("lot", Money),
    Column("minimum_notional", Money),
    Index(None, "instrument"),
)

series = Table(
    "series",
    metadata,
    text("owner", primary_key=True),
    text("source", primary_key=True),
    text("instrument", primary_key=True),
    text("interval", primary_key=True),
    Column("pre_adjusted", Boolean, nullable=False),
    Column("close_only", Boolean, nullable=False),
    Column("revised", Boolean, nullable=False),
    Column("lag_us", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    time("first_time", nullable=True),
    time("last_time", nullable=True),
    text("verdict"),
    Column("findings", Json, nullable=False),
    text("data_version"),
    time("checked_at", nullable=True),
    time("created_at"),
    Index(None, "instrument", "interval", "source", "owner"),
)

data_sets = Table(
    "data_sets",
    metadata,
    text("owner", primary_key=True),
    text("name", primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("series", Json, nullable=False),
    text("note"),
    time("created_at"),
)

bar_tail = Table(
    "bar_tail",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    text("owner"),
    text("source"),
    text("instrument"),
    text("interval"),
    time("time"),
    time("known_at"),
    time("observed_at"),
    Column("open", Float),
    Column("high", Float),
    Column("low", Float),
    Column("close", Float),
    Column("volume", Float),
    text("batch", nullable=True),
    Index(None, "owner", "interval", "instrument", "time"),
    Index(None, "batch"),
)

quarantine = Table(
    "quarantine",
    metadata,
    text("id", primary_key=True),
    text("owner"),
    text("source"),
    text("instrument"),
    text("interval"),
    time("time", nullable=True),
    text("code"),
    text("detail"),
    Column("row", Json, nullable=False),
    text("ingestion"),
    text("status"),
    time("created_at"),
    Index(None, "owner", "source", "instrument", "interval"),
    Index(None, "owner", "id"),
)

ingestions = Table(  # marks: how far each instrument has come; report: what became of the rows
    "ingestions",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("owner"),
    text("source"),
    text("job"),
    Column("request", Json, nullable=False),
    Column("marks", Json, nullable=False),
    Column("report", Json),
    time("created_at"),
    text("schedule", nullable=True),
    Index(None, "organization", "environment", "id"),
    Index(None, "job"),
    Index(None, "created_at"),
    Index(None, "schedule", "id"),
)

ingestion_schedules = Table(  # next_at: empty while paused; ingestion: of the last turn; left_out: turns since then
    "ingestion_schedules",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("owner"),
    text("source"),
    Column("instruments", Json, nullable=False),
    text("interval"),
    text("every"),
    time("next_at", nullable=True),
    text("ingestion", nullable=True),
    time("turn_at", nullable=True),
    text("said"),
    Column("left_out", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    time("created_at"),
    Index(None, "organization", "environment", "id"),
    Index(None, "next_at"),
    Index(None, "ingestion"),
)

source_credentials = Table(
    "source_credentials",
    metadata,
    text("id", primary_key=True),
    text("organization"),
    text("source"),
    Column("secret", LargeBinary, nullable=False),  # sealed
    time("created_at"),
    Index(None, "organization", "source", unique=True),
)

source_health = Table(  # of a source, as asked with the credentials of an owner, or without
    "source_health",
    metadata,
    text("owner", primary_key=True),
    text("source", primary_key=True),
    text("status"),
    text("said"),
    time("since"),
    time("asked_at"),
    time("answered_at", nullable=True),
)
