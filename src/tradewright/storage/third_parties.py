"""What is kept about sources beside their data: credentials of organizations, and whether they answer."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tradewright import ids
from tradewright.ids import SYSTEM, Owner
from tradewright.storage import outbox
from tradewright.storage.database import Tx
from tradewright.storage.tables import source_credentials, source_health

DEGRADED, ANSWERS = "degraded", "answers"
_C, _H = source_credentials.c, source_health.c
_SAID = 500


def credentials_id(tx: Tx, organization: str, source: str) -> str:
    """Return the id that credentials have or will have; the vault seals them for it."""
    known = tx.execute(sa.select(_C.id).where(_C.organization == organization, _C.source == source))
    return known.scalar_one_or_none() or ids.new("scr")


def keep_credentials(tx: Tx, organization: str, source: str, key: str, secret: bytes, now_us: int) -> None:
    """Store sealed credentials in the place of those that were there."""
    row = {"id": key, "organization": organization, "source": source, "secret": secret, "created_at": now_us}
    dialect: Any = postgresql if tx.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(source_credentials).values(row)
    changed = {name: statement.excluded[name] for name in ("id", "secret", "created_at")}
    tx.execute(statement.on_conflict_do_update(index_elements=["organization", "source"], set_=changed))


def credentials(tx: Tx, organization: str, source: str) -> tuple[str, bytes] | None:
    """Return id and sealed secret of the credentials of an organization, None when it has none."""
    query = sa.select(_C.id, _C.secret).where(_C.organization == organization, _C.source == source)
    row = tx.execute(query).first()
    return None if row is None else (str(row.id), bytes(row.secret))


def remove_credentials(tx: Tx, organization: str, source: str) -> bool:
    """Forget the credentials of an organization; return False when it had none."""
    done = tx.execute(source_credentials.delete().where(_C.organization == organization, _C.source == source))
    return done.rowcount == 1


def sources_with_credentials(tx: Tx, organization: str) -> dict[str, int]:
    """Return for each source that an organization has credentials of when they were handed in."""
    query = sa.select(_C.source, _C.created_at).where(_C.organization == organization).order_by(_C.source)
    return {row.source: row.created_at for row in tx.execute(query)}


def note(tx: Tx, owner: Owner, source: str, fault: str | None, now_us: int, environment: str = "paper") -> None:
    """Write down whether a source answered, and tell it when that changed.

    fault: what was wrong, None when it answered. A source that nobody asked before and that answers is no news.
    """
    row = tx.execute(sa.select(source_health).where(_H.owner == owner, _H.source == source)).mappings().first()
    status = ANSWERS if fault is None else DEGRADED
    before = ANSWERS if row is None else row["status"]
    values = {
        "status": status,
        "said": (fault or "")[:_SAID],
        "since": now_us if row is None or row["status"] != status else row["since"],
        "asked_at": now_us,
        "answered_at": now_us if fault is None else None if row is None else row["answered_at"],
    }
    if row is None:
        tx.execute(source_health.insert().values(owner=owner, source=source, **values))
    else:
        tx.execute(source_health.update().where(_H.owner == owner, _H.source == source).values(values))
    if status != before:
        kind = "source.recovered" if fault is None else "source.degraded"
        data = {"source": source} | ({} if fault is None else {"reason": fault[:_SAID]})
        whose, where = (None, None) if owner == SYSTEM else (str(owner), environment)
        outbox.append(tx, whose, where, [(kind, source, None, data)], now_us)


def health(tx: Tx, owner: Owner) -> dict[str, dict[str, Any]]:
    """Return the newest word on each source that concerns an owner: of its own asking, else of everybody's."""
    query = sa.select(source_health).where(_H.owner.in_([owner, SYSTEM])).order_by(_H.source)
    found: dict[str, dict[str, Any]] = {}
    for row in tx.execute(query).mappings():
        if row["source"] not in found or row["owner"] == owner:
            found[row["source"]] = dict(row)
    return found
