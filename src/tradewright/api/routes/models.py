"""Model schedules: which model speaks when, what they were made from, what their evaluation showed."""

from __future__ import annotations

from typing import Any

import msgspec

from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import found, moment
from tradewright.storage import models


class ModelEntry(msgspec.Struct, frozen=True):
    """One model version. trained_before: every label it learned matured before; valid_from: first row it speaks at."""

    model: str
    trained_before: str
    valid_from: str


class Model(msgspec.Struct, frozen=True):
    """A model schedule. evidence: none, weak, supported, leaking. status: candidate until promoted by evidence."""

    id: str
    name: str
    status: str
    evidence: str
    promoted: bool
    promotion: dict[str, Any] | None
    entries: list[ModelEntry]
    lineage: dict[str, Any]
    evaluation: dict[str, Any]
    created_at: str


async def _list(call: Call) -> Page[Model]:
    query: PageQuery = call.query
    rows = await call.services.database.read_async(
        models.list_schedules, *call.tenant, decode_cursor(query, str), query.limit + 1, query.order == "desc"
    )
    return page(query, rows, [row["id"] for row in rows], _model)


async def _get(call: Call) -> Model:
    key = call.path["id"]
    row = await call.services.database.read_async(models.get_schedule, *call.tenant, key)
    return _model(found(row, "model", key))


def _model(row: dict[str, Any]) -> Model:
    entries = [
        ModelEntry(e["model"], moment(e["trained_before"]) or "", moment(e["valid_from"]) or "") for e in row["entries"]
    ]
    names = ("id", "name", "evidence", "promoted", "promotion", "lineage", "evaluation")
    return Model(
        **{name: row[name] for name in names},
        status="promoted" if row["promoted"] else "candidate",
        entries=entries,
        created_at=moment(row["created_at"]) or "",
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/models", "list_models", "Model schedules and their evidence", "models", "research:read",
        _list, Page[Model], PageQuery,
    ),
    Operation(
        "GET", "/v1/models/{id}", "get_model", "One model schedule", "models", "research:read", _get, Model,
        errors=("not_found",),
    ),
]  # fmt: skip
