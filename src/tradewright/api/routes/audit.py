"""The audit log, and whether its chain holds."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec

from tradewright.accounts import auditing
from tradewright.api.operations import Call, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import Moment, micros, moment
from tradewright.storage import audit
from tradewright.storage.audit import Filters


def _word(example: str) -> msgspec.Meta:
    words = "1 to 64 visible ASCII characters without a space"
    return msgspec.Meta(pattern=r"^[!-~]{1,64}\Z", examples=[example], extra={"words": words})


_Id = Annotated[str, _word("key_06h062t9a3me14c7r9cps62q2c")]
_Action = Annotated[str, _word("api_key.create")]


class AuditQuery(PageQuery, frozen=True, kw_only=True):
    """Which entries. start (included) and end (excluded) are wall times."""

    actor: _Id | None = None
    action: _Action | None = None
    object: _Id | None = None
    start: Moment | None = None
    end: Moment | None = None


class AuditEntry(msgspec.Struct, frozen=True):
    """One act. address and agent: null when there were none, or when they were erased."""

    id: str
    environment: str
    actor: str
    method: str
    action: str
    object: str
    detail: dict[str, Any]
    request: str
    address: str | None
    agent: str | None
    created_at: str


class Fault(msgspec.Struct, frozen=True):
    """The first place where the chain does not hold. entry: empty when even its name is gone."""

    entry: str
    sequence: int | None
    how: Literal["changed", "missing", "moved", "inserted"]


class Unsealed(msgspec.Struct, frozen=True):
    """Entries that have no seal yet; they get it within a second. more: there are more than those named."""

    entries: list[str]
    more: bool


class Verification(msgspec.Struct, frozen=True):
    """Whether the chain holds. sealed: entries up to its head or its first fault. head: hash of the last of them;
    write it down elsewhere, and a later chain without it is a forged one."""

    verified: bool
    sealed: int
    head: str
    broken: Fault | None
    unsealed: Unsealed


async def _list(call: Call) -> Page[AuditEntry]:
    query: AuditQuery = call.query
    after = decode_cursor(call, tuple[int, str])
    filters = Filters(
        # a key sees its own environment, and what concerns all of them; a person the whole organization
        environment=call.principal.environment if call.principal.session is None else None,
        actor=query.actor,
        action=query.action,
        thing=query.object,
        start_us=micros(query.start),
        end_us=micros(query.end),
    )
    rows = await call.services.database.read_async(
        audit.list_page, call.principal.organization, filters, query.limit + 1, query.order == "desc", after
    )
    return page(call, rows, [(row["created_at"], row["id"]) for row in rows], _entry)


async def _verify(call: Call) -> Verification:
    found = await asyncio.to_thread(auditing.verify, call.services.database, call.principal.organization)
    broken = found.broken
    fault = None if broken is None else Fault(broken.entry, broken.sequence, broken.how)  # type: ignore[arg-type]  # one of its words
    return Verification(fault is None, found.sealed, found.head, fault, Unsealed(list(found.unsealed), found.more))


def _entry(row: dict[str, Any]) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        environment=row["environment"],
        actor=row["actor"],
        method=row["method"],
        action=row["action"],
        object=row["object"],
        detail=row["detail"],
        request=row["request"],
        address=row["address"],
        agent=row["agent"],
        created_at=moment(row["created_at"]) or "",
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/audit-log", "list_audit_log", "What was done, by whom", "organizations", "audit:read",
        _list, Page[AuditEntry], AuditQuery,
        description="A key sees the entries of its environment and those of the whole organization (environment \"\"); "
        "a person sees all of them.",
    ),
    Operation(
        "GET", "/v1/audit-log/verification", "verify_audit_log", "Whether the audit log is whole", "organizations",
        "audit:read", _verify, Verification, cost=20,
        description="Follows the chain of the organization over all environments, and names the first entry that was "
        "changed, taken out, moved or put in.",
    ),
]  # fmt: skip
