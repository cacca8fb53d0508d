"""What becomes of rows in quarantine: held, then discarded, or releasing and released."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tradewright.ids import SYSTEM, Owner
from tradewright.storage.database import Tx
from tradewright.storage.tables import quarantine

HELD, DISCARDED, RELEASING, RELEASED = "held", "discarded", "releasing", "released"
_Q = quarantine.c


def get(tx: Tx, owner: Owner, row: str, lock: bool = False) -> dict[str, Any] | None:
    """Return one row that `owner` sees, None when there is none. lock: nobody else changes it in this transaction."""
    query = sa.select(quarantine).where(_Q.id == row, _Q.owner.in_({owner, SYSTEM}))
    found = tx.execute(query.with_for_update() if lock else query).mappings().first()
    return None if found is None else dict(found)


def mark(tx: Tx, rows: Sequence[str], status: str, before: str) -> int:
    """Give those of these rows that have the status `before` another one; return how many."""
    done = tx.execute(quarantine.update().where(_Q.id.in_(rows), _Q.status == before).values(status=status))
    return done.rowcount


def releasing(tx: Tx, owner: Owner, source: str, instrument: str, interval: str) -> list[dict[str, Any]]:
    """Return the rows of a series that are on their way into the catalog, by id."""
    return of_status(tx, owner, source, instrument, interval, RELEASING)


def of_status(tx: Tx, owner: Owner, source: str, instrument: str, interval: str, status: str) -> list[dict[str, Any]]:
    """Return the rows of a series that have a status, by id."""
    series = (_Q.owner == owner, _Q.source == source, _Q.instrument == instrument, _Q.interval == interval)
    query = sa.select(quarantine).where(*series, _Q.status == status).order_by(_Q.id)
    return [dict(row) for row in tx.execute(query).mappings()]


def hold_again(tx: Tx, owner: Owner, source: str, instrument: str, interval: str) -> int:
    """Put the rows of a series back whose release failed; return how many."""
    return mark(tx, [row["id"] for row in releasing(tx, owner, source, instrument, interval)], HELD, RELEASING)
