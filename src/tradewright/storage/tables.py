"""Every table, one place. Migrations follow it; a test compares the two.

`owner` stands on what comes from sources; `organization` and `environment` stand on all else. Times are microseconds;
`time`, `known_at`, `observed_at` are market times of a row, the other `_at` are wall times.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text

from tradewright.storage.types import Json, Money, Time

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, **rest: object) -> Column[str]:
    return Column(name, Text, nullable=bool(rest.pop("nullable", False)), **rest)  # type: ignore[arg-type]


def _time(name: str, nullable: bool = False) -> Column[int]:
    return Column(name, Time, nullable=nullable)


def _tenant() -> tuple[Column[str], Column[str]]:
    return _text("organization"), _text("environment")


# --- accounts ---------------------------------------------------------------------------------------------------------

organizations = Table("organizations", metadata, _text("id", primary_key=True), _text("name"), _time("created_at"))

users = Table(  # erasure empties what names a person and keeps the id
    "users",
    metadata,
    _text("id", primary_key=True),
    _text("email", nullable=True, unique=True),
    _text("name"),
    _text("password_hash", nullable=True),
    _time("password_changed_at"),
    _time("created_at"),
    _time("erased_at", nullable=True),
)

members = Table(
    "members",
    metadata,
    _text("organization", primary_key=True),
    _text("user", primary_key=True),
    _text("role"),
    _time("created_at"),
    Index(None, "user"),
)

invitations = Table(
    "invitations",
    metadata,
    _text("id", primary_key=True),
    _text("organization"),
    _text("email"),
    _text("role"),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    _text("created_by"),
    _time("created_at"),
    _time("expires_at"),
    _time("accepted_at", nullable=True),
    _time("revoked_at", nullable=True),
    Index(None, "organization", "id"),
    Index(None, "expires_at"),
)

sessions = Table(
    "sessions",
    metadata,
    _text("id", primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    _text("user"),
    _text("address"),
    _text("agent"),
    _time("created_at"),
    _time("last_seen_at"),
    _time("expires_at"),
    _time("stepped_up_until", nullable=True),
    _time("ended_at", nullable=True),
    Index(None, "user", "id"),
    Index(None, "expires_at"),
)

authenticators = Table(  # the one that shows codes
    "authenticators",
    metadata,
    _text("user", primary_key=True),
    Column("secret", LargeBinary, nullable=False),  # sealed
    Column("last_step", BigInteger, nullable=False),
    _time("created_at"),
    _time("confirmed_at", nullable=True),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    _text("user", primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True),
    _time("created_at"),
    _time("used_at", nullable=True),
)

passkeys = Table(
    "passkeys",
    metadata,
    _text("id", primary_key=True),
    _text("user"),
    Column("credential", LargeBinary, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    _text("name"),
    _time("created_at"),
    _time("last_used_at", nullable=True),
    Index(None, "user", "id"),
)

challenges = Table(  # what a person was asked and has yet to answer: a passkey, a second factor, a new password
    "challenges",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    _text("user", nullable=True),
    _text("purpose"),
    Column("value", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False),
    _time("created_at"),
    _time("expires_at"),
    Index(None, "expires_at"),
    Index(None, "user"),
)

throttles = Table(  # the theoretical arrival time of each bucket that must outlive the process
    "throttles",
    metadata,
    _text("bucket", primary_key=True),
    _time("arrives_at"),
    Index(None, "arrives_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("public_id", unique=True),
    _text("name"),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("addresses", Json),  # networks it may be used from; null: from anywhere
    Column("signing", Json),  # {algorithm, public_key, required}; null: requests are not signed
    Column("signing_secret", LargeBinary),  # sealed
    _text("created_by", nullable=True),  # the user; null: made at the command line
    _text("replaced_by", nullable=True),
    _text("revoked_reason", nullable=True),
    _time("created_at"),
    _time("shown_at", nullable=True),
    _time("expires_at", nullable=True),
    _time("revoked_at", nullable=True),
    _time("last_used_at", nullable=True),
    _text("last_used_address", nullable=True),
    _text("last_used_agent", nullable=True),
    Index(None, "organization", "environment", "id"),
    Index(None, "created_by"),
)

nonces = Table(
    "nonces",
    metadata,
    _text("key", primary_key=True),
    _text("nonce", primary_key=True),
    _time("expires_at"),
    Index(None, "expires_at"),
)

exports = Table(
    "exports",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("user"),
    _text("kind"),
    _text("job"),
    Column("content", LargeBinary),
    _time("created_at"),
    _time("expires_at"),
    Index(None, "user", "id"),
    Index(None, "expires_at"),
    Index(None, "job"),
)

# --- market -----------------------------------------------------------------------------------------------------------

instruments = Table(
    "instruments",
    metadata,
    _text("id", primary_key=True),
    _text("name"),
    _text("currency"),
    _text("calendar"),
    Column("tick", Money),
    Column("lot", Money),
    Column("minimum_notional", Money),
    Column("multiplier", Money, nullable=False),
    _time("listed", nullable=True),
    _time("delisted", nullable=True),
    _time("created_at"),
)

instrument_aliases = Table(  # what a source calls an instrument, and the steps that it states for it
    "instrument_aliases",
    metadata,
    _text("source", primary_key=True),
    _text("symbol", primary_key=True),
    Column("valid_from", Time, primary_key=True),
    _time("valid_to", nullable=True),
    _text("instrument"),
    Column("tick", Money),
    Column("lot", Money),
    Column("minimum_notional", Money),
    Index(None, "instrument"),
)

series = Table(
    "series",
    metadata,
    _text("owner", primary_key=True),
    _text("source", primary_key=True),
    _text("instrument", primary_key=True),
    _text("interval", primary_key=True),
    Column("pre_adjusted", Boolean, nullable=False),
    Column("close_only", Boolean, nullable=False),
    Column("revised", Boolean, nullable=False),
    Column("lag_us", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    _time("first_time", nullable=True),
    _time("last_time", nullable=True),
    _text("verdict"),
    Column("findings", Json, nullable=False),
    _text("data_version"),
    _time("checked_at", nullable=True),
    _time("created_at"),
    Index(None, "instrument", "interval", "source", "owner"),
)

data_sets = Table(
    "data_sets",
    metadata,
    _text("owner", primary_key=True),
    _text("name", primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("series", Json, nullable=False),
    _text("note"),
    _time("created_at"),
)

bar_tail = Table(
    "bar_tail",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _text("owner"),
    _text("source"),
    _text("instrument"),
    _text("interval"),
    _time("time"),
    _time("known_at"),
    _time("observed_at"),
    Column("open", Float),
    Column("high", Float),
    Column("low", Float),
    Column("close", Float),
    Column("volume", Float),
    _text("batch", nullable=True),
    Index(None, "owner", "interval", "instrument", "time"),
    Index(None, "batch"),
)

quarantine = Table(
    "quarantine",
    metadata,
    _text("id", primary_key=True),
    _text("owner"),
    _text("source"),
    _text("instrument"),
    _text("interval"),
    _time("time", nullable=True),
    _text("code"),
    _text("detail"),
    Column("row", Json, nullable=False),
    _text("ingestion"),
    _text("status"),
    _time("created_at"),
    Index(None, "owner", "source", "instrument", "interval"),
    Index(None, "owner", "id"),
)

ingestions = Table(  # marks: how far each instrument has come; report: what became of the rows
    "ingestions",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("owner"),
    _text("source"),
    _text("job"),
    Column("request", Json, nullable=False),
    Column("marks", Json, nullable=False),
    Column("report", Json),
    _time("created_at"),
    _text("schedule", nullable=True),
    Index(None, "organization", "environment", "id"),
    Index(None, "job"),
    Index(None, "created_at"),
    Index(None, "schedule", "id"),
)

ingestion_schedules = Table(  # next_at: empty while paused; ingestion: of the last turn; left_out: turns since then
    "ingestion_schedules",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("owner"),
    _text("source"),
    Column("instruments", Json, nullable=False),
    _text("interval"),
    _text("every"),
    _time("next_at", nullable=True),
    _text("ingestion", nullable=True),
    _time("turn_at", nullable=True),
    _text("said"),
    Column("left_out", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    _time("created_at"),
    Index(None, "organization", "environment", "id"),
    Index(None, "next_at"),
    Index(None, "ingestion"),
)

source_credentials = Table(
    "source_credentials",
    metadata,
    _text("id", primary_key=True),
    _text("organization"),
    _text("source"),
    Column("secret", LargeBinary, nullable=False),  # sealed
    _time("created_at"),
    Index(None, "organization", "source", unique=True),
)

source_health = Table(  # of a source, as asked with the credentials of an owner, or without
    "source_health",
    metadata,
    _text("owner", primary_key=True),
    _text("source", primary_key=True),
    _text("status"),
    _text("said"),
    _time("since"),
    _time("asked_at"),
    _time("answered_at", nullable=True),
)

# --- jobs -------------------------------------------------------------------------------------------------------------

jobs = Table(
    "jobs",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("kind"),
    Column("payload", Json, nullable=False),
    _text("status"),
    Column("progress", Float, nullable=False),
    _text("message"),
    Column("result", Json),
    Column("error", Json),
    Column("cancel_requested", Boolean, nullable=False),
    _text("worker", nullable=True),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _time("lease_until", nullable=True),
    _time("created_at"),
    _time("started_at", nullable=True),
    _time("finished_at", nullable=True),
    _text("lane", nullable=True),  # jobs of one lane are done one after the other in a process
    Index(None, "status", "kind", "organization", "created_at", "id"),
    Index(None, "organization", "started_at"),
    Index(None, "organization", "environment", "kind", "id"),
    Index(None, "finished_at"),
)

# --- research ---------------------------------------------------------------------------------------------------------

models = Table(
    "models",
    metadata,
    _text("organization", primary_key=True),
    _text("environment", primary_key=True),
    _text("id", primary_key=True),
    _text("kind"),
    Column("lineage", Json, nullable=False),
    Column("artifact", LargeBinary, nullable=False),
    _time("trained_before"),
    _time("created_at"),
)

model_schedules = Table(
    "model_schedules",
    metadata,
    _text("organization", primary_key=True),
    _text("environment", primary_key=True),
    _text("id", primary_key=True),
    _text("name"),
    Column("entries", Json, nullable=False),
    Column("lineage", Json, nullable=False),
    Column("evaluation", Json, nullable=False),
    _text("evidence"),
    Column("promoted", Boolean, nullable=False),
    Column("promotion", Json),
    _time("created_at"),
    Index(None, "organization", "environment", "created_at"),
)

trials = Table(
    "trials",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("lineage"),
    _text("purpose"),
    _text("status"),
    _text("configuration"),
    _text("returns_hash"),
    _text("same_as"),  # hash of the first returns of this lineage and span that these are a near copy of, or their own
    Column("sequence", BigInteger, nullable=False),
    _text("previous_hash"),
    _text("hash"),
    Column("detail", Json, nullable=False),
    _time("first_time"),
    _time("last_time"),
    Column("n", BigInteger, nullable=False),
    Column("sharpe", Float),
    Column("skew", Float),
    Column("kurtosis", Float),
    _time("created_at"),
    Index(None, "organization", "environment", "sequence", unique=True),
    Index(None, "organization", "lineage"),
)

trial_universes = Table(  # one set of rows for each lineage, not for each trial
    "trial_universes",
    metadata,
    _text("organization", primary_key=True),
    _text("lineage", primary_key=True),
    _text("instrument", primary_key=True),
    _text("interval"),
    Index(None, "organization", "interval", "instrument"),
)

trial_returns = Table(
    "trial_returns",
    metadata,
    _text("hash", primary_key=True),
    Column("sketch", LargeBinary, nullable=False),  # before the returns, so that it is read without them
    Column("returns", LargeBinary, nullable=False),
)

backtests = Table(
    "backtests",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("job"),
    Column("request", Json, nullable=False),
    Column("summary", Json),
    Column("arrays", LargeBinary),
    Column("report", LargeBinary),
    _time("created_at"),
    _time("hidden_at", nullable=True),
    Index(None, "organization", "environment", "id"),
    Index(None, "job"),
)

# --- signals and trading ----------------------------------------------------------------------------------------------

feed_sessions = Table(
    "feed_sessions",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("mode"),
    _text("data_set"),
    _text("interval"),
    _text("data_version"),
    _time("start_time"),
    Column("start_row", BigInteger, nullable=False),
    Column("rows", BigInteger),
    Column("next_row", BigInteger, nullable=False),
    _time("market_time", nullable=True),
    _text("status"),
    _text("reason", nullable=True),  # of a degraded one: what is wrong, since when
    Column("late_bars", BigInteger, nullable=False, server_default="0"),
    _time("created_at"),
    _time("updated_at"),
    Index(None, "organization", "environment", "id"),
)

runs = Table(
    "runs",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("feed_session"),
    _text("portfolio"),
    _text("strategy"),
    Column("params", Json, nullable=False),
    _text("schedule", nullable=True),
    _text("status"),
    Column("handled", BigInteger, nullable=False),
    Column("lineage", Json, nullable=False),
    _time("created_at"),
    _time("stopped_at", nullable=True),
    Index(None, "organization", "environment", "id"),
)

journal = Table(
    "journal",
    metadata,
    _text("run", primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    *_tenant(),
    _text("kind"),
    _time("time"),
    _text("key"),
    Column("payload", Json, nullable=False),
    _time("created_at"),
    Index(None, "run", "kind", "key", unique=True),
)

signals = Table(
    "signals",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("feed_session"),
    _text("model"),
    _text("instrument"),
    _time("bar_time"),
    Column("horizon", Integer, nullable=False),
    _text("feed"),
    _text("status"),
    _text("evidence"),
    _text("direction"),
    Column("probability", Float, nullable=False),
    Column("expected_return", Float, nullable=False),
    Column("decision_price", Float, nullable=False),
    _time("valid_until"),
    _time("created_at"),
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
    _text("signal", primary_key=True),
    *_tenant(),
    _time("entry_time"),
    Column("entry_price", Float, nullable=False),
    _time("exit_time"),
    Column("exit_price", Float, nullable=False),
    Column("realized_return", Float, nullable=False),
    Column("correct", Boolean, nullable=False),
    _time("created_at"),
)

scoreboard = Table(  # what signals and signal_scores add up to, kept in the transactions that add to them
    "scoreboard",
    metadata,
    _text("organization", primary_key=True),
    _text("environment", primary_key=True),
    _text("feed", primary_key=True),
    _text("status", primary_key=True),
    _text("model", primary_key=True),
    Column("horizon", Integer, primary_key=True),
    Column("issued", BigInteger, nullable=False),
    Column("scored", BigInteger, nullable=False),
    Column("correct", BigInteger, nullable=False),
    Column("rising", BigInteger, nullable=False),
    Column("sum_return", Float, nullable=False),
    Column("sum_brier", Float, nullable=False),
    _time("first_time"),
    _time("last_time"),
)

broker_accounts = Table(
    "broker_accounts",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("broker"),
    _text("name"),
    Column("credentials", LargeBinary),  # sealed
    _time("created_at"),
    Index(None, "organization", "environment", "id"),
)

portfolios = Table(
    "portfolios",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("broker_account"),
    _text("name"),
    _text("currency"),
    Column("initial_cash", Money, nullable=False),
    _time("created_at"),
    _text("status", server_default="open"),  # or closed
    _time("closed_at", nullable=True),
    Index(None, "organization", "environment", "status", "id"),
    Index(None, "organization", "environment", "broker_account"),
)

orders = Table(
    "orders",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("portfolio"),
    _text("run", nullable=True),
    _text("client_order_id"),
    _text("instrument"),
    _text("side"),
    _text("type"),
    Column("units", Money, nullable=False),
    Column("filled_units", Money, nullable=False),
    _text("status"),
    _text("reason"),
    _time("decided_time"),
    _time("created_at"),
    _time("updated_at"),
    Index(None, "organization", "environment", "client_order_id", unique=True),
    Index(None, "organization", "environment", "portfolio", "status"),
    Index(None, "organization", "environment", "decided_time", "id"),
    Index(None, "organization", "environment", "portfolio", "decided_time", "id"),
)

fills = Table(
    "fills",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("portfolio"),
    _text("order"),
    _text("broker_fill_id"),
    _text("instrument"),
    _text("side"),
    Column("units", Money, nullable=False),
    Column("price", Money, nullable=False),
    Column("fee", Money, nullable=False),
    _time("time"),
    _time("created_at"),
    Index(None, "organization", "environment", "broker_fill_id", unique=True),
    Index(None, "organization", "environment", "portfolio", "time", "id"),
    Index(None, "organization", "environment", "time", "id"),
)

postings = Table(
    "postings",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("portfolio"),
    _text("transaction"),
    Column("line", Integer, nullable=False),
    _text("account"),
    _text("currency"),
    Column("amount", Money, nullable=False),
    _text("cause"),
    _time("time"),
    _time("created_at"),
    Index(None, "organization", "environment", "portfolio", "time", "id"),
    Index(None, "transaction", "line", unique=True),
)

balances = Table(  # what the postings of a portfolio add up to, kept in the transactions that add postings
    "balances",
    metadata,
    _text("organization", primary_key=True),
    _text("environment", primary_key=True),
    _text("portfolio", primary_key=True),
    _text("account", primary_key=True),
    _text("currency", primary_key=True),
    Column("amount", Money, nullable=False),
)

positions = Table(
    "positions",
    metadata,
    _text("portfolio", primary_key=True),
    _text("instrument", primary_key=True),
    *_tenant(),
    Column("units", Money, nullable=False),
    Column("cost", Money, nullable=False),
    _time("time"),
)

paper_orders = Table(
    "paper_orders",
    metadata,
    _text("broker_account", primary_key=True),
    _text("client_order_id", primary_key=True),
    *_tenant(),
    _text("broker_order_id"),
    _text("instrument"),
    _text("side"),
    Column("units", Money, nullable=False),
    _time("accepted_time"),
    _text("status"),
    _text("reason"),
    Column("fill_price", Money),
    Column("fill_units", Money),
    Column("fill_fee", Money),
    _time("fill_time", nullable=True),
    Column("fill_sequence", BigInteger),
    Index(None, "broker_account", "status"),
    Index(None, "broker_account", "fill_sequence"),
)

paper_actions = Table(  # splits and dividends that the paper broker booked: what each changed
    "paper_actions",
    metadata,
    _text("broker_account", primary_key=True),
    _text("key", primary_key=True),
    *_tenant(),
    _text("instrument"),
    Column("units", Money, nullable=False),
    Column("cash", Money, nullable=False),
    _time("time"),
)

# --- what shares a transaction with the domain ------------------------------------------------------------------------

outbox = Table(
    "outbox",
    metadata,
    _text("id", primary_key=True),
    _text("organization", nullable=True),
    _text("environment", nullable=True),
    Column("sequence", BigInteger),
    _text("type"),
    Column("version", Integer, nullable=False),
    _text("subject"),
    _time("bar_time", nullable=True),
    _text("visibility"),
    Column("data", Json, nullable=False),
    Column("position", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    _time("created_at"),
    Index(None, "sequence", "position"),
    Index(None, "created_at"),
    Index(None, "organization", "environment", "sequence", unique=True),
    Index(None, "organization", "environment", "type", "sequence"),
    Index(None, "organization", "environment", "subject", "sequence"),
)

outbox_heads = Table(
    "outbox_heads",
    metadata,
    _text("scope", primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    _text("organization", primary_key=True),
    _text("environment", primary_key=True),
    _text("operation", primary_key=True),
    _text("key", primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("headers", Json),
    Column("body", LargeBinary),
    _time("created_at"),
    Index(None, "created_at"),
)

audit_log = Table(  # only ever added to, like the seals; it holds ids, and what names a person stands in audit_people
    "audit_log",
    metadata,
    _text("id", primary_key=True),
    *_tenant(),
    _text("actor"),
    _text("method"),
    _text("action"),
    _text("object"),
    Column("detail", Json, nullable=False),
    _text("request"),
    _time("created_at"),
    Index(None, "organization", "created_at", "id"),
    Index(None, "organization", "actor", "created_at", "id"),
    Index(None, "organization", "action", "created_at", "id"),
    Index(None, "organization", "object", "created_at", "id"),
)

audit_waiting = Table(  # entries that have no seal yet, written with them
    "audit_waiting",
    metadata,
    _text("entry", primary_key=True),
    _time("created_at"),
    Index(None, "created_at", "entry"),
)

audit_seals = Table(
    "audit_seals",
    metadata,
    _text("organization", primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    _text("entry", unique=True),
    _text("previous_hash"),
    _text("hash"),
    _time("sealed_at"),
)

audit_people = Table(  # erasable
    "audit_people",
    metadata,
    _text("entry", primary_key=True),
    _text("user", nullable=True),
    _text("organization"),
    _text("address"),
    _text("agent"),
    _time("created_at"),
    Index(None, "user"),
    Index(None, "organization"),
    Index(None, "created_at"),
)

house = Table(
    "house", metadata, _text("name", primary_key=True), Column("value", Json, nullable=False), _time("updated_at")
)
