"""Copies of everything that is known of a person, or of an organization."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tradewright import ids
from tradewright.accounts.principal import Principal
from tradewright.api import access
from tradewright.api.dispatch import caller_now
from tradewright.api.operations import PERSON, Call, Effect, Operation, Raw
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import Refused
from tradewright.api.wire import moment
from tradewright.errors import Conflict, Forbidden, NotFound
from tradewright.storage import audit, exports, jobs, people
from tradewright.storage.database import Tx

_MOST = 2


class ExportRequest(msgspec.Struct, frozen=True):
    """person: what is known of you. organization: all that the one you are calling as has."""

    kind: Literal["person", "organization"]


class ExportError(msgspec.Struct, frozen=True):
    """Why it failed."""

    code: str
    message: str


class Export(msgspec.Struct, frozen=True):
    """An export and how far it is. Its content can be fetched once it succeeded, until expires_at."""

    id: str
    kind: Literal["person", "organization"]
    organization: str | None
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: float
    error: ExportError | None
    created_at: str
    finished_at: str | None
    expires_at: str


async def _create(call: Call) -> Effect:
    request: ExportRequest = call.body
    user = call.principal.user or ""
    tenant = ("", "")
    if request.kind == "organization":
        _may_export(call.principal, call)
        tenant = call.tenant
    owner = tenant[0] or user
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Export:
        if request.kind == "organization":
            people.get_organization(tx, tenant[0], lock=True)  # whoever changes roles at this moment is before or after
            _may_export(caller_now(tx, call), call)
        if exports.count_unfinished(tx, user) >= _MOST:
            raise Conflict(f"{_MOST} of your exports have not ended; wait for them")
        export = ids.new("exp")
        payload = {"export": export, "kind": request.kind, "owner": owner}
        job = jobs.enqueue(tx, *tenant, "export", payload, now_us)
        exports.add(tx, *tenant, export, user, request.kind, job, now_us)
        audit.record(tx, *tenant, call.who, "export.create", export, {"kind": request.kind}, now_us)
        return _export(_found(exports.get(tx, user, export, now_us), export))

    return Effect(effect)


def _may_export(caller: Principal, call: Call) -> None:
    if not caller.organization:
        raise Refused(
            "malformed_header", "name the organization in Tradewright-Organization, and an environment; see GET "
            "/v1/organizations",
        )  # fmt: skip
    if caller.role not in ("owner", "admin"):
        raise Forbidden(f"this needs the role owner or admin; yours is {caller.role}; ask somebody who has it")
    access.require_step_up(caller, call.services.clock.now_us())


async def _list(call: Call) -> Page[Export]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    now_us = call.services.clock.now_us()
    found = await call.services.database.read_async(
        exports.list_page, call.principal.user or "", now_us, query.limit + 1, query.order == "desc", after
    )
    return page(call, found, [row["id"] for row in found], _export)


async def _get(call: Call) -> Export:
    return _export(await _row(call))


async def _content(call: Call) -> Raw:
    row = await _row(call)
    user, now_us = call.principal.user or "", call.services.clock.now_us()

    def archive(tx: Tx) -> bytes | None:
        caller = caller_now(tx, call)
        if row["kind"] == "organization":
            _still_allowed(caller, call, row)
        return exports.content(tx, user, row["id"], now_us)

    async with call.services.archives:  # tens of MiB each; who waits here may lose the right meanwhile
        content = await call.services.database.read_async(archive)
    if content is None:
        raise Refused(
            "conflict", f"the export is {row['status']}, and there is nothing to fetch; read its status first"
        )
    await call.services.database.write_async(
        audit.record, row["organization"], row["environment"], call.who, "export.read", row["id"], {}, now_us
    )
    return Raw(content, "application/zip", headers={"Content-Disposition": f'attachment; filename="{row["id"]}.zip"'})


def _still_allowed(caller: Principal, call: Call, row: dict[str, Any]) -> None:
    if row["organization"] != caller.organization:
        raise _unknown(row["id"])
    _may_export(caller, call)


async def _row(call: Call) -> dict[str, Any]:
    export, now_us = call.path["id"], call.services.clock.now_us()
    found = await call.services.database.read_async(exports.get, call.principal.user or "", export, now_us)
    return _found(found, export)


def _found(row: dict[str, Any] | None, export: str) -> dict[str, Any]:
    if row is None:
        raise _unknown(export)
    return row


def _unknown(export: str) -> NotFound:
    return NotFound(f"you have no export {export!r}; they are kept for seven days, and GET /v1/exports lists yours")


def _export(row: dict[str, Any]) -> Export:
    return Export(
        id=row["id"],
        kind=row["kind"],
        organization=row["organization"] or None,
        status=row["status"],
        progress=row["progress"],
        error=None if row["error"] is None else ExportError(**row["error"]),
        created_at=moment(row["created_at"]) or "",
        finished_at=moment(row["finished_at"]),
        expires_at=moment(row["expires_at"]) or "",
    )


_BODY = ("malformed_json", "malformed_header", "unsupported_media_type", "too_large")
OPERATIONS = [
    Operation(
        "POST", "/v1/exports", "create_export", "Ask for a copy of all that is known", "accounts", PERSON,
        _create, Export, body=ExportRequest, example={"kind": "person"}, status=202, idempotent=True, cost=20,
        step_up="for an organization, by an owner or admin",
        errors=("step_up_required", "conflict", "idempotency_mismatch", "idempotency_running", *_BODY),
        description="An archive with a file of JSON lines for each table and a manifest, without secrets and hashes. "
        "It is kept for seven days.",
    ),
    Operation(
        "GET", "/v1/exports", "list_exports", "Your exports", "accounts", PERSON, _list, Page[Export], PageQuery,
    ),
    Operation(
        "GET", "/v1/exports/{id}", "get_export", "One export", "accounts", PERSON, _get, Export, errors=("not_found",),
    ),
    Operation(
        "GET", "/v1/exports/{id}/content", "get_export_content", "Its archive", "accounts", PERSON,
        _content, media_types=("application/zip",), step_up="for one of an organization", cost=20,
        errors=("not_found", "conflict", "step_up_required", "malformed_header"),
    ),
]  # fmt: skip
