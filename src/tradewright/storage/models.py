"""Models and model schedules, each belonging to an organization and environment."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tradewright.storage.database import Tx
from tradewright.storage.tables import model_schedules, models


def add_model(tx: Tx, organization: str, environment: str, row: dict[str, Any]) -> bool:
    """Store a model; return False when it is stored already (its id is derived from its content)."""
    return _add(tx, models, {**row, "organization": organization, "environment": environment})


def get_artifact(tx: Tx, organization: str, environment: str, model: str) -> bytes | None:
    """Return the bytes of a model, None when there is no such model here."""
    query = sa.select(models.c.artifact).where(_mine(models, organization, environment), models.c.id == model)
    return tx.execute(query).scalar_one_or_none()


def get_model(tx: Tx, organization: str, environment: str, model: str) -> dict[str, Any] | None:
    """Return the row of a model without its bytes, None when there is no such model here."""
    columns = [c for c in models.c if c.name != "artifact"]
    query = sa.select(*columns).where(_mine(models, organization, environment), models.c.id == model)
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def list_models(
    tx: Tx, organization: str, environment: str, after_id: str | None = None, limit: int = 50, descending: bool = False
) -> list[dict[str, Any]]:
    """Return models without their bytes in the order of their ids, those beyond `after_id` in that order."""
    columns = [c for c in models.c if c.name != "artifact"]
    return _page(tx, models, columns, (organization, environment), after_id, limit, descending)


def add_schedule(tx: Tx, organization: str, environment: str, row: dict[str, Any]) -> bool:
    """Store a model schedule; return False when it is stored already."""
    return _add(tx, model_schedules, {**row, "organization": organization, "environment": environment})


def get_schedule(tx: Tx, organization: str, environment: str, schedule: str) -> dict[str, Any] | None:
    """Return a model schedule, None when there is none here."""
    mine = _mine(model_schedules, organization, environment)
    row = tx.execute(sa.select(model_schedules).where(mine, model_schedules.c.id == schedule)).mappings().first()
    return None if row is None else dict(row)


def latest_schedule(tx: Tx, organization: str, environment: str, name: str) -> dict[str, Any] | None:
    """Return the schedule of this name that was stored last, None when there is none here."""
    mine = _mine(model_schedules, organization, environment)
    newest = (model_schedules.c.created_at.desc(), model_schedules.c.id.desc())
    query = sa.select(model_schedules).where(mine, model_schedules.c.name == name).order_by(*newest).limit(1)
    row = tx.execute(query).mappings().first()
    return None if row is None else dict(row)


def list_schedules(
    tx: Tx, organization: str, environment: str, after_id: str | None = None, limit: int = 50, descending: bool = False
) -> list[dict[str, Any]]:
    """Return model schedules in the order of their ids, those beyond `after_id` in that order."""
    where = (organization, environment)
    return _page(tx, model_schedules, list(model_schedules.c), where, after_id, limit, descending)


def set_promotion(tx: Tx, organization: str, environment: str, schedule: str, promotion: dict[str, Any]) -> bool:
    """Mark a schedule as promoted; return False when there is none here or it is promoted already."""
    done = tx.execute(
        model_schedules.update()
        .where(
            _mine(model_schedules, organization, environment),
            model_schedules.c.id == schedule,
            model_schedules.c.promoted.is_(False),
        )
        .values(promoted=True, promotion=promotion)
    )
    return done.rowcount == 1


def _mine(table: sa.Table, organization: str, environment: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.organization == organization, table.c.environment == environment)


def _add(tx: Tx, table: sa.Table, row: dict[str, Any]) -> bool:
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    return tx.execute(insert(table).values(row).on_conflict_do_nothing()).rowcount == 1


def _page(
    tx: Tx,
    table: sa.Table,
    columns: list[sa.Column[Any]],
    where: tuple[str, str],
    after_id: str | None,
    limit: int,
    descending: bool,
) -> list[dict[str, Any]]:
    query = sa.select(*columns).where(_mine(table, *where))
    if after_id is not None:
        query = query.where(table.c.id < after_id if descending else table.c.id > after_id)
    order = table.c.id.desc() if descending else table.c.id
    return [dict(row) for row in tx.execute(query.order_by(order).limit(limit)).mappings()]
