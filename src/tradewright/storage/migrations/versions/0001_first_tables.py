"""The first tables."""

import sqlalchemy as sa
from alembic import op

from tradewright.storage.types import Json, Money

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("public_id", name=op.f("uq_api_keys_public_id")),
    )
    op.create_index(
        op.f("ix_api_keys_organization_environment_id"), "api_keys", ["organization", "environment", "id"], unique=False
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_organization_sequence"), "audit_log", ["organization", "sequence"], unique=True)
    op.create_table(
        "backtests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("request", Json(), nullable=False),
        sa.Column("summary", Json(), nullable=True),
        sa.Column("arrays", sa.LargeBinary(), nullable=True),
        sa.Column("report", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("hidden_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtests")),
    )
    op.create_index(op.f("ix_backtests_job"), "backtests", ["job"], unique=False)
    op.create_index(
        op.f("ix_backtests_organization_environment_id"),
        "backtests",
        ["organization", "environment", "id"],
        unique=False,
    )
    op.create_table(
        "bar_tail",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.Column("observed_at", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("close", sa.Float(), nullable=True),
        sa.Column("volume", sa.Float(), nullable=True),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bar_tail")),
    )
    op.create_index(op.f("ix_bar_tail_batch"), "bar_tail", ["batch"], unique=False)
    op.create_index(
        op.f("ix_bar_tail_owner_interval_instrument_time"),
        "bar_tail",
        ["owner", "interval", "instrument", "time"],
        unique=False,
    )
    op.create_table(
        "broker_accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("broker", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credentials", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broker_accounts")),
    )
    op.create_table(
        "data_sets",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("series", Json(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "name", "version", name=op.f("pk_data_sets")),
    )
    op.create_table(
        "feed_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("data_set", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("data_version", sa.Text(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=False),
        sa.Column("start_row", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("next_row", sa.BigInteger(), nullable=False),
        sa.Column("market_time", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_sessions")),
    )
    op.create_index(
        op.f("ix_feed_sessions_organization_environment_id"),
        "feed_sessions",
        ["organization", "environment", "id"],
        unique=False,
    )
    op.create_table(
        "fills",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("order", sa.Text(), nullable=False),
        sa.Column("broker_fill_id", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("units", Money(), nullable=False),
        sa.Column("price", Money(), nullable=False),
        sa.Column("fee", Money(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fills")),
    )
    op.create_index(
        op.f("ix_fills_organization_environment_broker_fill_id"),
        "fills",
        ["organization", "environment", "broker_fill_id"],
        unique=True,
    )
    op.create_index(
        op.f("ix_fills_organization_environment_portfolio_time"),
        "fills",
        ["organization", "environment", "portfolio", "time"],
        unique=False,
    )
    op.create_index(
        op.f("ix_fills_organization_environment_time_id"),
        "fills",
        ["organization", "environment", "time", "id"],
        unique=False,
    )
    op.create_table(
        "house",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", Json(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_house")),
    )
    op.create_table(
        "idempotency",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", Json(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "environment", "operation", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False)
    op.create_table(
        "instrument_aliases",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=True),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("source", "symbol", "valid_from", name=op.f("pk_instrument_aliases")),
    )
    op.create_table(
        "instruments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("calendar", sa.Text(), nullable=False),
        sa.Column("tick", Money(), nullable=True),
        sa.Column("lot", Money(), nullable=True),
        sa.Column("minimum_notional", Money(), nullable=True),
        sa.Column("multiplier", Money(), nullable=False),
        sa.Column("listed", sa.BigInteger(), nullable=True),
        sa.Column("delisted", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instruments")),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", Json(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("result", Json(), nullable=True),
        sa.Column("error", Json(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        op.f("ix_jobs_organization_environment_kind_id"),
        "jobs",
        ["organization", "environment", "kind", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_jobs_status_created_at"), "jobs", ["status", "created_at"], unique=False)
    op.create_table(
        "journal",
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("payload", Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run", "sequence", name=op.f("pk_journal")),
    )
    op.create_index(op.f("ix_journal_run_kind_key"), "journal", ["run", "kind", "key"], unique=True)
    op.create_table(
        "model_schedules",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("entries", Json(), nullable=False),
        sa.Column("lineage", Json(), nullable=False),
        sa.Column("evaluation", Json(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("promotion", Json(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "environment", "id", name=op.f("pk_model_schedules")),
    )
    op.create_index(
        op.f("ix_model_schedules_organization_environment_created_at"),
        "model_schedules",
        ["organization", "environment", "created_at"],
        unique=False,
    )
    op.create_table(
        "models",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("lineage", Json(), nullable=False),
        sa.Column("artifact", sa.LargeBinary(), nullable=False),
        sa.Column("trained_before", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "environment", "id", name=op.f("pk_models")),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("run", sa.Text(), nullable=True),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("units", Money(), nullable=False),
        sa.Column("filled_units", Money(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_time", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
    )
    op.create_index(
        op.f("ix_orders_organization_environment_client_order_id"),
        "orders",
        ["organization", "environment", "client_order_id"],
        unique=True,
    )
    op.create_index(
        op.f("ix_orders_organization_environment_decided_time_id"),
        "orders",
        ["organization", "environment", "decided_time", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_orders_organization_environment_portfolio_status"),
        "orders",
        ["organization", "environment", "portfolio", "status"],
        unique=False,
    )
    op.create_table(
        "organizations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=True),
        sa.Column("environment", sa.Text(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("bar_time", sa.BigInteger(), nullable=True),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("data", Json(), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(
        op.f("ix_outbox_organization_environment_sequence"),
        "outbox",
        ["organization", "environment", "sequence"],
        unique=True,
    )
    op.create_index(op.f("ix_outbox_sequence_position"), "outbox", ["sequence", "position"], unique=False)
    op.create_table(
        "outbox_heads",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_outbox_heads")),
    )
    op.create_table(
        "paper_orders",
        sa.Column("broker_account", sa.Text(), nullable=False),
        sa.Column("client_order_id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("units", Money(), nullable=False),
        sa.Column("accepted_time", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("fill_price", Money(), nullable=True),
        sa.Column("fill_units", Money(), nullable=True),
        sa.Column("fill_fee", Money(), nullable=True),
        sa.Column("fill_time", sa.BigInteger(), nullable=True),
        sa.Column("fill_sequence", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("broker_account", "client_order_id", name=op.f("pk_paper_orders")),
    )
    op.create_index(
        op.f("ix_paper_orders_broker_account_fill_sequence"),
        "paper_orders",
        ["broker_account", "fill_sequence"],
        unique=False,
    )
    op.create_index(
        op.f("ix_paper_orders_broker_account_status"), "paper_orders", ["broker_account", "status"], unique=False
    )
    op.create_table(
        "portfolios",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("broker_account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("initial_cash", Money(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portfolios")),
    )
    op.create_index(
        op.f("ix_portfolios_organization_environment_id"),
        "portfolios",
        ["organization", "environment", "id"],
        unique=False,
    )
    op.create_table(
        "positions",
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("units", Money(), nullable=False),
        sa.Column("cost", Money(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("portfolio", "instrument", name=op.f("pk_positions")),
    )
    op.create_table(
        "postings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("transaction", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", Money(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_postings")),
    )
    op.create_index(
        op.f("ix_postings_organization_environment_portfolio_time"),
        "postings",
        ["organization", "environment", "portfolio", "time"],
        unique=False,
    )
    op.create_index(op.f("ix_postings_transaction_line"), "postings", ["transaction", "line"], unique=True)
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("row", Json(), nullable=False),
        sa.Column("ingestion", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    op.create_index(
        op.f("ix_quarantine_owner_source_instrument_interval"),
        "quarantine",
        ["owner", "source", "instrument", "interval"],
        unique=False,
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("feed_session", sa.Text(), nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("params", Json(), nullable=False),
        sa.Column("schedule", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("handled", sa.BigInteger(), nullable=False),
        sa.Column("lineage", Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(
        op.f("ix_runs_organization_environment_id"), "runs", ["organization", "environment", "id"], unique=False
    )
    op.create_table(
        "series",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("pre_adjusted", sa.Boolean(), nullable=False),
        sa.Column("close_only", sa.Boolean(), nullable=False),
        sa.Column("revised", sa.Boolean(), nullable=False),
        sa.Column("lag_us", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=True),
        sa.Column("last_time", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("findings", Json(), nullable=False),
        sa.Column("data_version", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "source", "instrument", "interval", name=op.f("pk_series")),
    )
    op.create_index(op.f("ix_series_instrument_interval"), "series", ["instrument", "interval"], unique=False)
    op.create_table(
        "signal_scores",
        sa.Column("signal", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("entry_time", sa.BigInteger(), nullable=False),
        sa.Column("entry_price", sa.Float(), nullable=False),
        sa.Column("exit_time", sa.BigInteger(), nullable=False),
        sa.Column("exit_price", sa.Float(), nullable=False),
        sa.Column("realized_return", sa.Float(), nullable=False),
        sa.Column("correct", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("signal", name=op.f("pk_signal_scores")),
    )
    op.create_table(
        "signals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("feed_session", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("bar_time", sa.BigInteger(), nullable=False),
        sa.Column("horizon", sa.Integer(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("expected_return", sa.Float(), nullable=False),
        sa.Column("decision_price", sa.Float(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signals")),
    )
    op.create_index(
        op.f("ix_signals_organization_environment_bar_time_id"),
        "signals",
        ["organization", "environment", "bar_time", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_signals_organization_environment_feed_session_model_instrument_bar_time_horizon"),
        "signals",
        ["organization", "environment", "feed_session", "model", "instrument", "bar_time", "horizon"],
        unique=True,
    )
    op.create_index(
        op.f("ix_signals_organization_environment_instrument_bar_time_id"),
        "signals",
        ["organization", "environment", "instrument", "bar_time", "id"],
        unique=False,
    )
    op.create_table(
        "trial_returns",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("sketch", sa.LargeBinary(), nullable=False),
        sa.Column("returns", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_trial_returns")),
    )
    op.create_table(
        "trial_universes",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("lineage", sa.Text(), nullable=False),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "lineage", "instrument", name=op.f("pk_trial_universes")),
    )
    op.create_index(
        op.f("ix_trial_universes_organization_interval_instrument"),
        "trial_universes",
        ["organization", "interval", "instrument"],
        unique=False,
    )
    op.create_table(
        "trials",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("lineage", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.Column("returns_hash", sa.Text(), nullable=False),
        sa.Column("same_as", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("sharpe", sa.Float(), nullable=True),
        sa.Column("skew", sa.Float(), nullable=True),
        sa.Column("kurtosis", sa.Float(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
    )
    op.create_index(
        op.f("ix_trials_organization_environment_sequence"),
        "trials",
        ["organization", "environment", "sequence"],
        unique=True,
    )
    op.create_index(op.f("ix_trials_organization_lineage"), "trials", ["organization", "lineage"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_trials_organization_lineage"), table_name="trials")
    op.drop_index(op.f("ix_trials_organization_environment_sequence"), table_name="trials")
    op.drop_table("trials")
    op.drop_index(op.f("ix_trial_universes_organization_interval_instrument"), table_name="trial_universes")
    op.drop_table("trial_universes")
    op.drop_table("trial_returns")
    op.drop_index(op.f("ix_signals_organization_environment_instrument_bar_time_id"), table_name="signals")
    op.drop_index(
        op.f("ix_signals_organization_environment_feed_session_model_instrument_bar_time_horizon"), table_name="signals"
    )
    op.drop_index(op.f("ix_signals_organization_environment_bar_time_id"), table_name="signals")
    op.drop_table("signals")
    op.drop_table("signal_scores")
    op.drop_index(op.f("ix_series_instrument_interval"), table_name="series")
    op.drop_table("series")
    op.drop_index(op.f("ix_runs_organization_environment_id"), table_name="runs")
    op.drop_table("runs")
    op.drop_index(op.f("ix_quarantine_owner_source_instrument_interval"), table_name="quarantine")
    op.drop_table("quarantine")
    op.drop_index(op.f("ix_postings_transaction_line"), table_name="postings")
    op.drop_index(op.f("ix_postings_organization_environment_portfolio_time"), table_name="postings")
    op.drop_table("postings")
    op.drop_table("positions")
    op.drop_index(op.f("ix_portfolios_organization_environment_id"), table_name="portfolios")
    op.drop_table("portfolios")
    op.drop_index(op.f("ix_paper_orders_broker_account_status"), table_name="paper_orders")
    op.drop_index(op.f("ix_paper_orders_broker_account_fill_sequence"), table_name="paper_orders")
    op.drop_table("paper_orders")
    op.drop_table("outbox_heads")
    op.drop_index(op.f("ix_outbox_sequence_position"), table_name="outbox")
    op.drop_index(op.f("ix_outbox_organization_environment_sequence"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_table("organizations")
    op.drop_index(op.f("ix_orders_organization_environment_portfolio_status"), table_name="orders")
    op.drop_index(op.f("ix_orders_organization_environment_decided_time_id"), table_name="orders")
    op.drop_index(op.f("ix_orders_organization_environment_client_order_id"), table_name="orders")
    op.drop_table("orders")
    op.drop_table("models")
    op.drop_index(op.f("ix_model_schedules_organization_environment_created_at"), table_name="model_schedules")
    op.drop_table("model_schedules")
    op.drop_index(op.f("ix_journal_run_kind_key"), table_name="journal")
    op.drop_table("journal")
    op.drop_index(op.f("ix_jobs_status_created_at"), table_name="jobs")
    op.drop_index(op.f("ix_jobs_organization_environment_kind_id"), table_name="jobs")
    op.drop_table("jobs")
    op.drop_table("instruments")
    op.drop_table("instrument_aliases")
    op.drop_index(op.f("ix_idempotency_created_at"), table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_table("house")
    op.drop_index(op.f("ix_fills_organization_environment_time_id"), table_name="fills")
    op.drop_index(op.f("ix_fills_organization_environment_portfolio_time"), table_name="fills")
    op.drop_index(op.f("ix_fills_organization_environment_broker_fill_id"), table_name="fills")
    op.drop_table("fills")
    op.drop_index(op.f("ix_feed_sessions_organization_environment_id"), table_name="feed_sessions")
    op.drop_table("feed_sessions")
    op.drop_table("data_sets")
    op.drop_table("broker_accounts")
    op.drop_index(op.f("ix_bar_tail_owner_interval_instrument_time"), table_name="bar_tail")
    op.drop_index(op.f("ix_bar_tail_batch"), table_name="bar_tail")
    op.drop_table("bar_tail")
    op.drop_index(op.f("ix_backtests_organization_environment_id"), table_name="backtests")
    op.drop_index(op.f("ix_backtests_job"), table_name="backtests")
    op.drop_table("backtests")
    op.drop_index(op.f("ix_audit_log_organization_sequence"), table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_index(op.f("ix_api_keys_organization_environment_id"), table_name="api_keys")
    op.drop_table("api_keys")
