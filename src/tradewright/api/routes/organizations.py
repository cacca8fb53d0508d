"""Organizations, who belongs to them, and who is asked to join."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from tradewright.accounts import erasing, members, people
from tradewright.accounts.people import spelled
from tradewright.api.credentials import Email, OrganizationName
from tradewright.api.dispatch import match
from tradewright.api.operations import PERSON, Call, Effect, Once, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import moment
from tradewright.errors import Conflict, NotFound
from tradewright.storage import people as rows
from tradewright.storage.database import Tx

Role = Literal["owner", "admin", "trader", "researcher", "developer", "viewer"]
_MOST = 50


class Organization(msgspec.Struct, frozen=True):
    """A tenant: everything but shared market data belongs to one."""

    id: str
    name: str
    created_at: str


class Membership(msgspec.Struct, frozen=True):
    """An organization of yours, and your role in it."""

    id: str
    name: str
    role: Role
    created_at: str


class OrganizationRequest(msgspec.Struct, frozen=True):
    """A new organization; you become its owner."""

    name: OrganizationName


class OrganizationChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is left out stays."""

    name: OrganizationName | msgspec.UnsetType = msgspec.UNSET


class Member(msgspec.Struct, frozen=True):
    """A person who belongs to the organization."""

    user: str
    email: str
    name: str
    role: Role
    created_at: str


class RoleChange(msgspec.Struct, frozen=True):
    """The new role."""

    role: Role


class InvitationRequest(msgspec.Struct, frozen=True):
    """Who is asked to join, and as what."""

    email: Email
    role: Role


class Invitation(msgspec.Struct, frozen=True):
    """token: to hand to the person; shown once, null ever after."""

    id: str
    email: str
    role: Role
    status: Literal["open", "accepted", "revoked", "expired"]
    created_by: str
    created_at: str
    expires_at: str
    token: str | None


async def _list(call: Call) -> Page[Membership]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    found = await call.services.database.read_async(
        rows.list_organizations, call.principal.user or "", query.limit + 1, query.order == "desc", after
    )
    return page(call, found, [row["id"] for row in found], _membership)


async def _create(call: Call) -> Effect:
    request: OrganizationRequest = call.body
    user = call.principal.user or ""
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Organization:
        if len(rows.organizations_of(tx, user)) >= _MOST:
            raise Conflict(f"you belong to {_MOST} organizations; leave or delete one first")
        return organization_of(tx, people.make_organization(tx, request.name.strip(), user, call.who, now_us))

    return Effect(effect)


async def _get(call: Call) -> Organization:
    return await call.services.database.read_async(organization_of, _mine(call))


async def _change(call: Call) -> Effect:
    request: OrganizationChange = call.body
    organization = _mine(call)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Organization:
        match(call, organization_of(tx, organization))
        if request.name is not msgspec.UNSET:
            people.rename_organization(tx, organization, request.name.strip(), call.who, now_us)
        return organization_of(tx, organization)

    return Effect(effect)


async def _delete(call: Call) -> Effect:
    organization = _mine(call)
    now_us = call.services.clock.now_us()
    forget = call.services.authenticator.forget_all
    return Effect(lambda tx: erasing.erase_organization(tx, organization, call.who, now_us), forget)


async def _list_members(call: Call) -> Page[Member]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    found = await call.services.database.read_async(
        rows.list_members, _mine(call), query.limit + 1, query.order == "desc", after
    )
    return page(call, found, [row["user"] for row in found], _member)


async def _change_member(call: Call) -> Effect:
    request: RoleChange = call.body
    organization, user = _mine(call), call.path["user"]
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Member:
        match(call, _member(members.member(tx, organization, user)))
        members.change_role(tx, organization, user, request.role, call.who, now_us)
        return _member(members.member(tx, organization, user))

    return Effect(effect, call.services.authenticator.forget_all)


async def _get_member(call: Call) -> Member:
    return _member(await call.services.database.read_async(members.member, _mine(call), call.path["user"]))


async def _remove_member(call: Call) -> Effect:
    organization, user = _mine(call), call.path["user"]
    now_us = call.services.clock.now_us()
    forget = call.services.authenticator.forget_all
    return Effect(lambda tx: members.remove(tx, organization, user, call.who, now_us), forget)


async def _leave(call: Call) -> Effect:
    organization, user = call.path["id"], call.principal.user or ""
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> None:
        if rows.role_of(tx, organization, user) is None:
            raise _unknown(organization)
        members.remove(tx, organization, user, call.who, now_us)

    return Effect(effect, call.services.authenticator.forget_all)


async def _list_invitations(call: Call) -> Page[Invitation]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    now_us = call.services.clock.now_us()
    found = await call.services.database.read_async(
        rows.list_invitations, _mine(call), query.limit + 1, query.order == "desc", after
    )
    return page(call, found, [row["id"] for row in found], lambda row: _invitation(row, now_us))


async def _invite(call: Call) -> Effect:
    request: InvitationRequest = call.body
    organization = _mine(call)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Once:
        email = spelled(request.email)
        invitation, token = members.invite(tx, organization, email, request.role, call.who, now_us)
        row = {"id": invitation, "email": email, "role": request.role, "created_by": call.who.actor}
        times = {"created_at": now_us, "expires_at": now_us + members.INVITED_US}
        kept = _invitation({**row, **times, "accepted_at": None, "revoked_at": None}, now_us)
        return Once(msgspec.structs.replace(kept, token=token), kept)

    return Effect(effect)


async def _withdraw(call: Call) -> Effect:
    organization, invitation = _mine(call), call.path["invitation"]
    now_us = call.services.clock.now_us()
    return Effect(lambda tx: members.withdraw(tx, organization, invitation, call.who, now_us))


def _mine(call: Call) -> str:
    organization = call.path["id"]
    if organization != call.principal.organization:
        raise _unknown(organization)
    return organization


def _unknown(organization: str) -> NotFound:
    return NotFound(f"there is no organization {organization!r} for you here; it must be the one you are calling as")


def organization_of(tx: Tx, organization: str) -> Organization:
    """Return an organization as its GET answers. Raises NotFound."""
    row = rows.get_organization(tx, organization)
    if row is None:
        raise _unknown(organization)
    return Organization(row["id"], row["name"], moment(row["created_at"]) or "")


def _membership(row: dict[str, Any]) -> Membership:
    return Membership(row["id"], row["name"], row["role"], moment(row["created_at"]) or "")


def _member(row: dict[str, Any]) -> Member:
    return Member(row["user"], row["email"], row["name"], row["role"], moment(row["created_at"]) or "")


def _invitation(row: dict[str, Any], now_us: int) -> Invitation:
    status: Literal["open", "accepted", "revoked", "expired"] = "open"
    if row["accepted_at"] is not None:
        status = "accepted"
    elif row["revoked_at"] is not None:
        status = "revoked"
    elif row["expires_at"] <= now_us:
        status = "expired"
    return Invitation(
        id=row["id"],
        email=row["email"],
        role=row["role"],
        status=status,
        created_by=row["created_by"],
        created_at=moment(row["created_at"]) or "",
        expires_at=moment(row["expires_at"]) or "",
        token=None,
    )


_ADMIN = "organization:admin"
_MANAGERS = ("owner", "admin")
_BODY = ("malformed_json", "unsupported_media_type", "too_large")
_REPLAYED = ("malformed_header", "idempotency_mismatch", "idempotency_running")
OPERATIONS = [
    Operation(
        "GET", "/v1/organizations", "list_organizations", "Your organizations", "organizations", PERSON,
        _list, Page[Membership], PageQuery,
    ),
    Operation(
        "POST", "/v1/organizations", "create_organization", "Make an organization", "organizations", PERSON,
        _create, Organization, body=OrganizationRequest, status=201, idempotent=True,
        errors=("conflict", *_BODY, *_REPLAYED),
    ),
    Operation(
        "GET", "/v1/organizations/{id}", "get_organization", "Your organization", "organizations", "market:read",
        _get, Organization, cacheable=True, errors=("not_found",),
    ),
    Operation(
        "PATCH", "/v1/organizations/{id}", "change_organization", "Change its name", "organizations", _ADMIN,
        _change, Organization, body=OrganizationChange, errors=("not_found", "precondition_failed", *_BODY),
        example={"name": "Acme"},
    ),
    Operation(
        "DELETE", "/v1/organizations/{id}", "delete_organization", "Delete it with all it has", "organizations",
        _ADMIN, _delete, status=204, roles=("owner",), step_up=True,
        errors=("not_found", "step_up_required", "conflict"),
        description="Every row of the organization is erased, keys and exports included; its audit log stays. Refused "
        "while a run trades.",
    ),
    Operation(
        "POST", "/v1/organizations/{id}/leave", "leave_organization", "End your own membership", "organizations",
        PERSON, _leave, status=204, idempotent=True, errors=("not_found", "conflict", *_REPLAYED),
        description="The API keys you made there are revoked. The last owner cannot leave.",
    ),
    Operation(
        "GET", "/v1/organizations/{id}/members", "list_members", "Who belongs to it", "organizations", _ADMIN,
        _list_members, Page[Member], PageQuery, errors=("not_found",),
    ),
    Operation(
        "GET", "/v1/organizations/{id}/members/{user}", "get_member", "One member", "organizations", _ADMIN,
        _get_member, Member, cacheable=True, errors=("not_found",),
    ),
    Operation(
        "PATCH", "/v1/organizations/{id}/members/{user}", "change_member", "Give a member another role",
        "organizations", _ADMIN, _change_member, Member, body=RoleChange, roles=_MANAGERS, step_up=True,
        errors=("not_found", "conflict", "precondition_failed", "step_up_required", *_BODY),
        description="Acts at the next request. Only an owner makes or changes owners; the last one stays.",
    ),
    Operation(
        "DELETE", "/v1/organizations/{id}/members/{user}", "remove_member", "End a membership", "organizations",
        _ADMIN, _remove_member, status=204, roles=_MANAGERS, step_up=True,
        errors=("not_found", "conflict", "step_up_required"),
        description="The API keys that this person made here are revoked.",
    ),
    Operation(
        "GET", "/v1/organizations/{id}/invitations", "list_invitations", "Who was asked to join", "organizations",
        _ADMIN, _list_invitations, Page[Invitation], PageQuery, errors=("not_found",),
    ),
    Operation(
        "POST", "/v1/organizations/{id}/invitations", "create_invitation", "Ask somebody to join", "organizations",
        _ADMIN, _invite, Invitation, body=InvitationRequest, status=201, idempotent=True, roles=_MANAGERS,
        step_up=True, errors=("not_found", "conflict", "step_up_required", *_BODY, *_REPLAYED),
        description="The answer holds the token, once: no mail is sent, so hand it to the person yourself. It is good "
        "for seven days, once, and only for this address: at POST /v1/auth/register, or, for who is registered, at "
        "POST /v1/invitations/accept.",
    ),
    Operation(
        "DELETE", "/v1/organizations/{id}/invitations/{invitation}", "delete_invitation", "Withdraw an invitation",
        "organizations", _ADMIN, _withdraw, status=204, roles=_MANAGERS, errors=("not_found",),
    ),
]  # fmt: skip
