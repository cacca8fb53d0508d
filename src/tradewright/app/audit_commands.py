"""The audit logs of an installation, for who runs it: also those that no organization can ask for."""

from __future__ import annotations

from typing import Any

from tradewright.accounts import auditing
from tradewright.app.commands import present
from tradewright.clock import format_us
from tradewright.errors import InvalidInput, NotFound
from tradewright.settings import Settings
from tradewright.storage import audit
from tradewright.storage.audit import Filters

MOST = 10_000


def verify(settings: Settings) -> list[dict[str, Any]]:
    """Return for every chain whether it holds; the one of logins and of the installation has the organization "".
    Raises NotFound where there is no installation."""
    with present(settings) as database:
        found = {name: auditing.verify(database, name) for name in database.read(audit.chains)}
    return [
        {
            "organization": name,
            "verified": one.broken is None,
            "sealed": one.sealed,
            "head": one.head,
            "broken": None
            if one.broken is None
            else {"entry": one.broken.entry, "sequence": one.broken.sequence, "how": one.broken.how},
            "unsealed": len(one.unsealed),
        }
        for name, one in found.items()
    ]


def entries(settings: Settings, organization: str, limit: int) -> list[dict[str, Any]]:
    """Return the newest entries of a chain, the newest first; that of no organization may have none yet. Raises
    InvalidInput, NotFound."""
    if not 1 <= limit <= MOST:
        raise InvalidInput(f"--limit takes 1 to {MOST:,}; got {limit}")
    with present(settings) as database:
        if organization and organization not in database.read(audit.chains):
            raise NotFound(f"there is no audit log of {organization!r}; `tradewright audit verify` lists them")
        rows = database.read(audit.list_page, organization, Filters(), limit, True, None)
    names = ("id", "environment", "actor", "method", "action", "object", "detail", "request", "address", "agent")
    return [{**{name: row[name] for name in names}, "created_at": format_us(row["created_at"])} for row in rows]
