"""What a key may be allowed to do."""

from __future__ import annotations

from tradewright.errors import UnknownName

SCOPES = (
    "market:read",
    "sources:read",
    "sources:write",
    "research:read",
    "research:write",
    "signals:read",
    "portfolios:read",
    "portfolios:write",
    "orders:read",
    "orders:write",
    "events:read",
    "webhooks:read",
    "webhooks:write",
    "monitoring:read",
    "monitoring:write",
    "audit:read",
    "organization:admin",
)


def checked(names: list[str]) -> list[str]:
    """Return the scopes in their usual order, without repeats. Raises UnknownName."""
    for name in names:
        if name not in SCOPES:
            raise UnknownName.of("scope", name, SCOPES)
    return [scope for scope in SCOPES if scope in names]
