"""Model schedules: which model speaks when, what they were made from, what their evaluation showed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tradewright.api import access
from tradewright.api.dispatch import caller_now
from tradewright.api.operations import Call, Effect, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import FieldError, Refused
from tradewright.api.wire import Rfc3339, found, moment
from tradewright.research import promotion
from tradewright.storage import audit, models
from tradewright.storage.database import Tx


class ModelEntry(msgspec.Struct, frozen=True):
    """One model version. trained_before: every label it learned matured before; valid_from: first row it speaks at."""

    model: str
    trained_before: Rfc3339
    valid_from: Rfc3339


class Model(msgspec.Struct, frozen=True):
    """A model schedule. evidence: none, weak, supported, leaking. status: candidate until promoted by evidence."""

    id: str
    name: str
    status: Literal["candidate", "promoted"]
    evidence: Annotated[str, msgspec.Meta(examples=["supported"])]
    promoted: bool
    promotion: dict[str, Any] | None
    entries: list[ModelEntry]
    lineage: dict[str, Any]
    evaluation: dict[str, Any]
    created_at: Rfc3339


class PromotionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How to promote. override: against the evidence, in the name of the person who asks; needs a reason."""

    override: bool = False
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None


async def _list(call: Call) -> Page[Model]:
    query: PageQuery = call.query
    rows = await call.services.database.read_replica_async(
        models.list_schedules, *call.tenant, decode_cursor(call, str), query.limit + 1, query.order == "desc"
    )
    return page(call, rows, [row["id"] for row in rows], _model)


async def _get(call: Call) -> Model:
    key = call.path["id"]
    row = await call.services.database.read_replica_async(models.get_schedule, *call.tenant, key)
    return _model(found(row, "model", key))


async def _promote(call: Call) -> Effect:
    request: PromotionRequest = call.body
    key, now_us, who = call.path["id"], call.services.clock.now_us(), call.principal.actor
    if request.override and (request.reason is None or not request.reason.strip()):
        fault = FieldError("/reason", "an override needs the reason; it is kept with the model")
        raise Refused("invalid_input", "1 value(s) were refused: /reason", [fault])

    def effect(tx: Tx) -> Model:
        if request.override:
            access.require_step_up(caller_now(tx, call), now_us)
            promotion.override(tx, *call.tenant, key, person=who, reason=request.reason or "", now_us=now_us)
        else:
            promotion.promote(tx, *call.tenant, key, now_us=now_us, by=who)
        row = found(models.get_schedule(tx, *call.tenant, key), "model", key)
        detail = {"override": request.override, "evidence": row["evidence"]}
        audit.record(tx, *call.tenant, call.who, "model.promote", key, detail, now_us)
        return _model(row)

    return Effect(effect)


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
        _list, Page[Model], PageQuery, cacheable=True,
        description="Which model speaks when, what each was made from, and what its evaluation showed.",
    ),
    Operation(
        "GET", "/v1/models/{id}", "get_model", "One model schedule", "models", "research:read", _get, Model,
        errors=("not_found",), cacheable=True, description="Its models, its evaluation and whether it is promoted.",
    ),
    Operation(
        "POST", "/v1/models/{id}/promote", "promote_model", "Promote a model schedule", "models", "research:write",
        _promote, Model, body=PromotionRequest, idempotent=True, roles=("owner", "admin"),
        step_up="with `override`", errors=("not_found", "conflict", "step_up_required"),
        description="Its signals are candidates before and promoted afterwards. Supported evidence promotes; against "
        "the evidence only a person who was just asked again does, with a reason, on the record.",
    ),
]  # fmt: skip
