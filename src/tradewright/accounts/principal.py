"""Who a request comes from, and what that one may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from tradewright.accounts.scopes import SCOPES

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Signing:
    """How requests of a key are signed. secret: sealed, of HMAC. public_key: of Ed25519, base64."""

    algorithm: str
    required: bool
    public_key: str | None = None
    secret: bytes | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """A key of one organization and environment, or a person with a session.

    organization and environment are empty for a person who named none. user: the person, or who made the key.
    stepped_up_until: until when the person counts as asked again, wall time. networks: where a key may be used from;
    empty: anywhere. used_at: the stored moment of a key's last use.
    """

    organization: str
    environment: str
    scopes: frozenset[str]
    key: str | None = None
    user: str | None = None
    session: str | None = None
    role: str | None = None
    stepped_up_until: int = 0
    signing: Signing | None = None
    networks: tuple[Network, ...] = field(default=())
    used_at: int | None = None

    @property
    def actor(self) -> str:
        """The id that the audit log names: of the key, or of the person."""
        return self.key or self.user or ""


NOBODY = Principal("", "", frozenset())

_READ = frozenset(scope for scope in SCOPES if scope.endswith(":read") and scope != "audit:read")
ROLES: dict[str, frozenset[str]] = {
    "owner": frozenset(SCOPES),
    "admin": frozenset(SCOPES),
    "trader": _READ | {"portfolios:write", "orders:write", "research:write"},
    "researcher": (_READ | {"research:write", "sources:write"}) - {"webhooks:read"},
    "developer": _READ | {"webhooks:write", "monitoring:write"},
    "viewer": _READ - {"webhooks:read", "monitoring:read"},
}
"""What a person may do in an organization, by role. Only an owner may delete the organization or make another owner."""
