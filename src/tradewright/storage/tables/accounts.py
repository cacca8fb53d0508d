"""Tables of who is there and how they prove it: organizations, people, their proofs, keys, exports."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table

from tradewright.storage.tables.columns import metadata, tenant, text, time
from tradewright.storage.types import Json

organizations = Table("organizations", metadata, text("id", primary_key=True), text("name"), time("created_at"))

users = Table(  # erasure empties what names a person and keeps the id
    "users",
    metadata,
    text("id", primary_key=True),
    text("email", nullable=True, unique=True),
    text("name"),
    text("password_hash", nullable=True),
    time("password_changed_at"),
    time("created_at"),
    time("erased_at", nullable=True),
)

members = Table(
    "members",
    metadata,
    text("organization", primary_key=True),
    text("user", primary_key=True),
    text("role"),
    time("created_at"),
    Index(None, "user"),
)

invitations = Table(
    "invitations",
    metadata,
    text("id", primary_key=True),
    text("organization"),
    text("email"),
    text("role"),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    text("created_by"),
    time("created_at"),
    time("expires_at"),
    time("accepted_at", nullable=True),
    time("revoked_at", nullable=True),
    Index(None, "organization", "id"),
    Index(None, "expires_at"),
)

sessions = Table(
    "sessions",
    metadata,
    text("id", primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    text("user"),
    text("address"),
    text("agent"),
    time("created_at"),
    time("last_seen_at"),
    time("expires_at"),
    time("stepped_up_until", nullable=True),
    time("ended_at", nullable=True),
    Index(None, "user", "id"),
    Index(None, "expires_at"),
)

authenticators = Table(  # the one that shows codes
    "authenticators",
    metadata,
    text("user", primary_key=True),
    Column("secret", LargeBinary, nullable=False),  # sealed
    Column("last_step", BigInteger, nullable=False),
    time("created_at"),
    time("confirmed_at", nullable=True),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    text("user", primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True),
    time("created_at"),
    time("used_at", nullable=True),
)

passkeys = Table(
    "passkeys",
    metadata,
    text("id", primary_key=True),
    text("user"),
    Column("credential", LargeBinary, nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    text("name"),
    time("created_at"),
    time("last_used_at", nullable=True),
    Index(None, "user", "id"),
)

challenges = Table(  # what a person was asked and has yet to answer: a passkey, a second factor, a new password
    "challenges",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    text("user", nullable=True),
    text("purpose"),
    Column("value", LargeBinary, nullable=False),
    Column("tries", Integer, nullable=False),
    time("created_at"),
    time("expires_at"),
    Index(None, "expires_at"),
    Index(None, "user"),
)

throttles = Table(  # the theoretical arrival time of each bucket that must outlive the process
    "throttles",
    metadata,
    text("bucket", primary_key=True),
    time("arrives_at"),
    Index(None, "arrives_at"),
)

api_keys = Table(
    "api_keys",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("public_id", unique=True),
    text("name"),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("addresses", Json),  # networks it may be used from; null: from anywhere
    Column("signing", Json),  # {algorithm, public_key, required}; null: requests are not signed
    Column("signing_secret", LargeBinary),  # sealed
    text("created_by", nullable=True),  # the user; null: made at the command line
    text("replaced_by", nullable=True),
    text("revoked_reason", nullable=True),
    time("created_at"),
    time("shown_at", nullable=True),
    time("expires_at", nullable=True),
    time("revoked_at", nullable=True),
    time("last_used_at", nullable=True),
    text("last_used_address", nullable=True),
    text("last_used_agent", nullable=True),
    Index(None, "organization", "environment", "id"),
    Index(None, "created_by"),
)

nonces = Table(
    "nonces",
    metadata,
    text("key", primary_key=True),
    text("nonce", primary_key=True),
    time("expires_at"),
    Index(None, "expires_at"),
)

exports = Table(
    "exports",
    metadata,
    text("id", primary_key=True),
    *tenant(),
    text("user"),
    text("kind"),
    text("job"),
    Column("content", LargeBinary),
    time("created_at"),
    time("expires_at"),
    Index(None, "user", "id"),
    Index(None, "expires_at"),
    Index(None, "job"),
)
