"""Small named values of this installation."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tradewright.storage.database import Tx, one_statement
from tradewright.storage.tables import house


@one_statement
def takes_changes(tx: Tx) -> bool:
    """Return whether the database takes changes. It can be asked, and has its tables."""
    name = sa.select(house.c.name).limit(1).scalar_subquery()
    if tx.dialect.name == "sqlite":
        tx.execute(sa.select(name)).first()
        return True
    return bool(tx.execute(sa.select(sa.func.current_setting("transaction_read_only") == "off", name)).one()[0])


def get(tx: Tx, name: str) -> Any:
    """Return the value, None when it was never set."""
    return tx.execute(sa.select(house.c.value).where(house.c.name == name)).scalar_one_or_none()


def put(tx: Tx, name: str, value: Any, now_us: int) -> None:
    """Set the value."""
    done = tx.execute(house.update().where(house.c.name == name).values(value=value, updated_at=now_us))
    if done.rowcount == 0:
        tx.execute(house.insert().values(name=name, value=value, updated_at=now_us))
