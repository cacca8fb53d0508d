"""Small named values of this installation."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx, one_statement
from tradewright.storage.tables import house


@one_statement
def answers(tx: Tx) -> bool:
    """Return True: the database can be asked, and has its tables."""
    tx.execute(sa.select(house.c.name).limit(1)).first()
    return True


def get(tx: Tx, name: str) -> Any:
    """Return the value, None when it was never set."""
    return tx.execute(sa.select(house.c.value).where(house.c.name == name)).scalar_one_or_none()


def put(tx: Tx, name: str, value: Any, now_us: int) -> None:
    """Set the value."""
    done = tx.execute(house.update().where(house.c.name == name).values(value=value, updated_at=now_us))
    if done.rowcount == 0:
        tx.execute(house.insert().values(name=name, value=value, updated_at=now_us))
