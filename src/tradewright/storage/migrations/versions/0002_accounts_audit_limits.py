"""Accounts, audit, limits."""

import sqlalchemy as sa
from alembic import op

from tradewright.storage.migrations.sums import sum_up
from tradewright.storage.types import Json, Money

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.drop_table("audit_log")  # nothing wrote to the first one
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(
        op.f("ix_audit_log_organization_action_created_at_id"),
        "audit_log",
        ["organization", "action", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_audit_log_organization_actor_created_at_id"),
        "audit_log",
        ["organization", "actor", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_audit_log_organization_created_at_id"), "audit_log", ["organization", "created_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_audit_log_organization_object_created_at_id"),
        "audit_log",
        ["organization", "object", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "audit_people",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_audit_people")),
    )
    op.create_index(op.f("ix_audit_people_created_at"), "audit_people", ["created_at"], unique=False)
    op.create_index(op.f("ix_audit_people_organization"), "audit_people", ["organization"], unique=False)
    op.create_index(op.f("ix_audit_people_user"), "audit_people", ["user"], unique=False)
    op.create_table(
        "audit_seals",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("sealed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "sequence", name=op.f("pk_audit_seals")),
        sa.UniqueConstraint("entry", name=op.f("uq_audit_seals_entry")),
    )
    op.create_table(
        "audit_waiting",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_audit_waiting")),
    )
    op.create_index(op.f("ix_audit_waiting_created_at_entry"), "audit_waiting", ["created_at", "entry"], unique=False)
    op.create_table(
        "authenticators",
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("user", name=op.f("pk_authenticators")),
    )
    op.create_table(
        "balances",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("portfolio", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", Money(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization", "environment", "portfolio", "account", "currency", name=op.f("pk_balances")
        ),
    )
    op.create_table(
        "challenges",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_challenges")),
    )
    op.create_index(op.f("ix_challenges_expires_at"), "challenges", ["expires_at"], unique=False)
    op.create_index(op.f("ix_challenges_user"), "challenges", ["user"], unique=False)
    op.create_table(
        "exports",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_expires_at"), "exports", ["expires_at"], unique=False)
    op.create_index(op.f("ix_exports_job"), "exports", ["job"], unique=False)
    op.create_index(op.f("ix_exports_user_id"), "exports", ["user", "id"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
    )
    op.create_index(op.f("ix_invitations_expires_at"), "invitations", ["expires_at"], unique=False)
    op.create_index(op.f("ix_invitations_organization_id"), "invitations", ["organization", "id"], unique=False)
    op.create_table(
        "members",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization", "user", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_user"), "members", ["user"], unique=False)
    op.create_table(
        "nonces",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "nonce", name=op.f("pk_nonces")),
    )
    op.create_index(op.f("ix_nonces_expires_at"), "nonces", ["expires_at"], unique=False)
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("credential", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential", name=op.f("uq_passkeys_credential")),
    )
    op.create_index(op.f("ix_passkeys_user_id"), "passkeys", ["user", "id"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("user", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "scoreboard",
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("feed", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("horizon", sa.Integer(), nullable=False),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("scored", sa.BigInteger(), nullable=False),
        sa.Column("correct", sa.BigInteger(), nullable=False),
        sa.Column("rising", sa.BigInteger(), nullable=False),
        sa.Column("sum_return", sa.Float(), nullable=False),
        sa.Column("sum_brier", sa.Float(), nullable=False),
        sa.Column("first_time", sa.BigInteger(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "organization", "environment", "feed", "status", "model", "horizon", name=op.f("pk_scoreboard")
        ),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("stepped_up_until", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sessions_token_hash")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"], unique=False)
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user", "id"], unique=False)
    op.create_table(
        "throttles",
        sa.Column("bucket", sa.Text(), nullable=False),
        sa.Column("arrives_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_throttles")),
    )
    op.create_index(op.f("ix_throttles_arrives_at"), "throttles", ["arrives_at"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("password_changed_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.add_column("api_keys", sa.Column("addresses", Json(), nullable=True))
    op.add_column("api_keys", sa.Column("signing", Json(), nullable=True))
    op.add_column("api_keys", sa.Column("signing_secret", sa.LargeBinary(), nullable=True))
    op.add_column("api_keys", sa.Column("created_by", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("replaced_by", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("revoked_reason", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_address", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_agent", sa.Text(), nullable=True))
    op.create_index(op.f("ix_api_keys_created_by"), "api_keys", ["created_by"], unique=False)
    op.create_index(
        op.f("ix_broker_accounts_organization_environment_id"),
        "broker_accounts",
        ["organization", "environment", "id"],
        unique=False,
    )
    op.drop_index(op.f("ix_fills_organization_environment_portfolio_time"), table_name="fills")
    op.create_index(
        op.f("ix_fills_organization_environment_portfolio_time_id"),
        "fills",
        ["organization", "environment", "portfolio", "time", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_jobs_finished_at"), "jobs", ["finished_at"], unique=False)
    op.create_index(
        op.f("ix_orders_organization_environment_portfolio_decided_time_id"),
        "orders",
        ["organization", "environment", "portfolio", "decided_time", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_outbox_created_at"), "outbox", ["created_at"], unique=False)
    op.create_index(
        op.f("ix_outbox_organization_environment_subject_sequence"),
        "outbox",
        ["organization", "environment", "subject", "sequence"],
        unique=False,
    )
    op.create_index(
        op.f("ix_outbox_organization_environment_type_sequence"),
        "outbox",
        ["organization", "environment", "type", "sequence"],
        unique=False,
    )
    op.create_index(
        op.f("ix_portfolios_organization_environment_broker_account"),
        "portfolios",
        ["organization", "environment", "broker_account"],
        unique=False,
    )
    op.drop_index(op.f("ix_postings_organization_environment_portfolio_time"), table_name="postings")
    op.create_index(
        op.f("ix_postings_organization_environment_portfolio_time_id"),
        "postings",
        ["organization", "environment", "portfolio", "time", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_quarantine_owner_id"), "quarantine", ["owner", "id"], unique=False)
    op.drop_index(op.f("ix_series_instrument_interval"), table_name="series")
    op.create_index(
        op.f("ix_series_instrument_interval_source_owner"),
        "series",
        ["instrument", "interval", "source", "owner"],
        unique=False,
    )
    sum_up(op.get_bind())
