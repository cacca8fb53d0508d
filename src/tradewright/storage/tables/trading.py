"""Tables of signals and trading: feed sessions, runs, signals, portfolios, orders, ledgers."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table

from tradewright.storage.tables.columns import metadata, tenant, text, time
from tradewright.storage.types import Json, Money

feed_sessions = Table(
    "feed_sessions",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("mode"),
    text("data_set"),
    text("interval"),
    text("data_version"),
    time("start_time"),
    Column("start_row", BigInteger, nullable=False),
    Column("rows", BigInteger),
    Column("next_row", BigInteger, nullable=False),
    time("market_time", nullable=True),
    text("status"),
    text("reason", nullable=True),  # of a degraded one: what is wrong, since when
    Column("late_bars", BigInteger, nullable=False, server_default="0"),
    time("created_at"),
    time("updated_at"),
    Index(None, "organization", "environment", "id"),
)

runs = Table(
    "runs",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("feed_session"),
    text("portfolio"),
    text("strategy"),
    Column("params", Json, nullable=False),
    text("schedule", nullable=True),
    text("status"),
    Column("handled", BigInteger, nullable=False),
    Column("lineage", Json, nullable=False),
    time("created_at"),
    time("stopped_at", nullable=True),
    Index(None, "organization", "environment", "id"),
)

journal = Table(
    "journal",
    metadata,
    text("run", primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    *tenant(),
    text("kind"),
    time("time"),
    text("key"),
    Column("payload", Json, nullable=False),
    time("created_at"),
    Index(None, "run", "kind", "key", unique=True),
)

signals = Table(
    "signals",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("feed_session"),
    text("model"),
    text("instrument"),
    time("bar_time"),
    Column("horizon", Integer, nullable=False),
    text("feed"),
    text("status"),
    text("evidence"),
    text("direction"),
    Column("probability", Float, nullable=False),
    Column("expected_return", Float, nullable=False),
    Column("decision_price", Float, nullable=False),
    time("valid_until"),
    time("created_at"),
    Index(
        None,
        "organization",
        "environment",
        "feed_session",
        "model",
        "instrument",
        "bar_time",
        "horizon",
        unique=True,
    ),
    Index(None, "organization", "environment", "bar_time", "id"),
    Index(None, "organization", "environment", "instrument", "bar_time", "id"),
)

signal_scores = Table(
    "signal_scores",
    metadata,
    text("signal", primary_key=True),
    *tenant(),
    time("entry_time"),
    Column("entry_price", Float, nullable=False),
    time("exit_time"),
    Column("exit_price", Float, nullable=False),
    Column("realized_return", Float, nullable=False),
    Column("correct", Boolean, nullable=False),
    time("created_at"),
)

scoreboard = Table(  # what signals and signal_scores add up to, kept in the transactions that add to them
    "scoreboard",
    metadata,
    text("organization", primary_key=True),
    text("environment", primary_key=True),
    text("feed", primary_key=True),
    text("status", primary_key=True),
    text("model", primary_key=True),
    Column("horizon", Integer, primary_key=True),
    Column("issued", BigInteger, nullable=False),
    Column("scored", BigInteger, nullable=False),
    Column("correct", BigInteger, nullable=False),
    Column("rising", BigInteger, nullable=False),
    Column("sum_return", Float, nullable=False),
    Column("sum_brier", Float, nullable=False),
    time("first_time"),
    time("last_time"),
)

broker_accounts = Table(
    "broker_accounts",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("broker"),
    text("name"),
    Column("credentials", LargeBinary),  # sealed
    time("created_at"),
    Index(None, "organization", "environment", "id"),
)

portfolios = Table(
    "portfolios",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("broker_account"),
    text("name"),
    text("currency"),
    Column("initial_cash", Money, nullable=False),
    time("created_at"),
    text("status", server_default="open"),  # or closed
    time("closed_at", nullable=True),
    Index(None, "organization", "environment", "status", "id"),
    Index(None, "organization", "environment", "broker_account"),
)

orders = Table(
    "orders",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("portfolio"),
    text("run", nullable=True),
    text("client_order_id"),
    text("instrument"),
    text("side"),
    text("type"),
    Column("units", Money, nullable=False),
    Column("filled_units", Money, nullable=False),
    text("status"),
    text("reason"),
    time("decided_time"),
    time("created_at"),
    time("updated_at"),
    Index(None, "organization", "environment", "client_order_id", unique=True),
    Index(None, "organization", "environment", "portfolio", "status"),
    Index(None, "organization", "environment", "decided_time", "id"),
    Index(None, "organization", "environment", "portfolio", "decided_time", "id"),
)

fills = Table(
    "fills",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("portfolio"),
    text("order"),
    text("broker_fill_id"),
    text("instrument"),
    text("side"),
    Column("units", Money, nullable=False),
    Column("price", Money, nullable=False),
    Column("fee", Money, nullable=False),
    time("time"),
    time("created_at"),
    Index(None, "organization", "environment", "broker_fill_id", unique=True),
    Index(None, "organization", "environment", "portfolio", "time", "id"),
    Index(None, "organization", "environment", "time", "id"),
)

postings = Table(
    "postings",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("portfolio"),
    text("transaction"),
    Column("line", Integer, nullable=False),
    text("account"),
    text("currency"),
    Column("amount", Money, nullable=False),
    text("cause"),
    time("time"),
    time("created_at"),
    Index(None, "organization", "environment", "portfolio", "time", "id"),
    Index(None, "transaction", "line", unique=True),
)

balances = Table(  # what the postings of a portfolio add up to, kept in the transactions that add postings
    "balances",
    metadata,
    text("organization", primary_key=True),
    text("environment", primary_key=True),
    text("portfolio", primary_key=True),
    text("account", primary_key=True),
    text("currency", primary_key=True),
    Column("amount", Money, nullable=False),
)

positions = Table(
    "positions",
    metadata,
    text("portfolio", primary_key=True),
    text("instrument", primary_key=True),
    *tenant(),
    Column("units", Money, nullable=False),
    Column("cost", Money, nullable=False),
    time("time"),
)

paper_orders = Table(
    "paper_orders",
    metadata,
    text("broker_account", primary_key=True),
    text("client_order_id", primary_key=True),
    *tenant(),
    text("broker_order_id"),
    text("instrument"),
    text("side"),
    Column("units", Money, nullable=False),
    time("accepted_time"),
    text("status"),
    text("reason"),
    Column("fill_price", Money),
    Column("fill_units", Money),
    Column("fill_fee", Money),
    time("fill_time", nullable=True),
    Column("fill_sequence", BigInteger),
    Index(None, "broker_account", "status"),
    Index(None, "broker_account", "fill_sequence"),
)

paper_actions = Table(  # splits and dividends that the paper broker booked: what each changed
    "paper_actions",
    metadata,
    text("broker_account", primary_key=True),
    text("key", primary_key=True),
    *tenant(),
    text("instrument"),
    Column("units", Money, nullable=False),
    Column("cash", Money, nullable=False),
    time("time"),
)
