"""Tables of jobs, and of what they make: models, trials, backtests."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table

from tradewright.storage.tables.columns import metadata, tenant, text, time
from tradewright.storage.types import Json

jobs = Table(
    "jobs",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("kind"),
    Column("payload", Json, nullable=False),
    text("status"),
    Column("progress", Float, nullable=False),
    text("message"),
    Column("result", Json),
    Column("error", Json),
    Column("cancel_requested", Boolean, nullable=False),
    text("worker", nullable=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    time("lease_until", nullable=True),
    time("created_at"),
    time("started_at", nullable=True),
    time("finished_at", nullable=True),
    text("lane", nullable=True),  # jobs of one lane are done one after the other in a process
    Index(None, "status", "kind", "organization", "created_at", "id"),
    Index(None, "organization", "started_at"),
    Index(None, "organization", "environment", "kind", "id"),
    Index(None, "finished_at"),
)

models = Table(
    "models",
    metadata,
    text("organization", primary_key=True),
    text("environment", primary_key=True),
    text("id", primary_key=True),
    text("kind"),
    Column("lineage", Json, nullable=False),
    Column("artifact", LargeBinary, nullable=False),
    time("trained_before"),
    time("created_at"),
)

model_schedules = Table(
    "model_schedules",
    metadata,
    text("organization", primary_key=True),
    text("environment", primary_key=True),
    text("id", primary_key=True),
    text("name"),
    Column("entries", Json, nullable=False),
    Column("lineage", Json, nullable=False),
    Column("evaluation", Json, nullable=False),
    text("evidence"),
    Column("promoted", Boolean, nullable=False),
    Column("promotion", Json),
    time("created_at"),
    Index(None, "organization", "environment", "created_at"),
)

trials = Table(
    "trials",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("lineage"),
    text("purpose"),
    text("status"),
    text("configuration"),
    text("returns_hash"),
    text("same_as"),  # hash of the first returns of this lineage and span that these are a near copy of, or their own
    Column("sequence", BigInteger, nullable=False),
    text("previous_hash"),
    text("hash"),
    Column("detail", Json, nullable=False),
    time("first_time"),
    time("last_time"),
    Column("n", BigInteger, nullable=False),
    Column("sharpe", Float),
    Column("skew", Float),
    Column("kurtosis", Float),
    time("created_at"),
    Index(None, "organization", "environment", "sequence", unique=True),
    Index(None, "organization", "lineage"),
    Index(None, "returns_hash"),
    Index(None, "same_as"),
)

trial_universes = Table(  # one set of rows for each lineage, not for each trial
    "trial_universes",
    metadata,
    text("organization", primary_key=True),
    text("lineage", primary_key=True),
    text("instrument", primary_key=True),
    text("interval"),
    Index(None, "organization", "interval", "instrument"),
)

trial_returns = Table(
    "trial_returns",
    metadata,
    text("hash", primary_key=True),
    Column("sketch", LargeBinary, nullable=False),  # before the returns, so that it is read without them
    Column("returns", LargeBinary, nullable=False),
)

backtests = Table(
    "backtests",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("job"),
    Column("request", Json, nullable=False),
    Column("summary", Json),
    Column("arrays", LargeBinary),
    Column("report", LargeBinary),
    time("created_at"),
    time("hidden_at", nullable=True),
    Index(None, "organization", "environment", "id"),
    Index(None, "job"),
)
