"""The person who asks: name, password and factors at a glance, erasure, invitations to accept."""

from __future__ import annotations

from typing import Any

import msgspec

from tradewright.accounts import erasing, people, second_factors
from tradewright.api.credentials import PersonName, Token, ended
from tradewright.api.dispatch import match
from tradewright.api.operations import PERSON, Call, Effect, Operation, Raw
from tradewright.api.routes.organizations import Organization, organization_of
from tradewright.api.wire import moment
from tradewright.errors import NotFound
from tradewright.storage import audit, factors
from tradewright.storage import people as rows
from tradewright.storage.database import Tx


class Me(msgspec.Struct, frozen=True):
    """Who you are. second_factors: what a login asks besides the password: `code`, `passkey`."""

    id: str
    email: str
    name: str
    second_factors: list[str]
    recovery_codes_left: int
    password_changed_at: str
    created_at: str


class MeChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is left out stays."""

    name: PersonName | msgspec.UnsetType = msgspec.UNSET


class AcceptRequest(msgspec.Struct, frozen=True):
    """token: of the invitation."""

    token: Token


async def _get(call: Call) -> Me:
    return await call.services.database.read_async(_me, call.principal.user or "")


async def _change(call: Call) -> Effect:
    request: MeChange = call.body
    user = call.principal.user or ""
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Me:
        match(call, _me(tx, user))
        if request.name is not msgspec.UNSET:
            rows.rename_user(tx, user, request.name.strip())
            audit.record(tx, "", "", call.who, "person.change", user, {"changed": ["name"]}, now_us)
        return _me(tx, user)

    return Effect(effect)


async def _erase(call: Call) -> Effect:
    user = call.principal.user or ""
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Raw:
        erasing.erase_person(tx, user, call.who, now_us)
        return ended()

    return Effect(effect, call.services.authenticator.forget_all)


async def _accept(call: Call) -> Effect:
    request: AcceptRequest = call.body
    user = call.principal.user or ""
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Organization:
        person = _person(tx, user)
        organization = people.accept(tx, request.token, user, person["email"], call.who, now_us)
        return organization_of(tx, organization)

    return Effect(effect)


def _person(tx: Tx, user: str) -> dict[str, Any]:
    row = rows.get_user(tx, user)
    if row is None:
        raise NotFound("this person was erased")
    return row


def _me(tx: Tx, user: str) -> Me:
    row = _person(tx, user)
    return Me(
        id=user,
        email=row["email"],
        name=row["name"],
        second_factors=second_factors.ways(tx, user),
        recovery_codes_left=factors.count_recovery_codes(tx, user),
        password_changed_at=moment(row["password_changed_at"]) or "",
        created_at=moment(row["created_at"]) or "",
    )


_BODY = ("malformed_json", "unsupported_media_type", "too_large")
_REPLAYED = ("malformed_header", "idempotency_mismatch", "idempotency_running")
OPERATIONS = [
    Operation("GET", "/v1/me", "get_me", "Who you are", "accounts", PERSON, _get, Me, cacheable=True),
    Operation(
        "PATCH", "/v1/me", "change_me", "Change your name", "accounts", PERSON,
        _change, Me, body=MeChange, example={"name": "Ada"}, errors=("precondition_failed", *_BODY),
    ),
    Operation(
        "DELETE", "/v1/me", "erase_me", "Erase yourself", "accounts", PERSON,
        _erase, status=204, step_up=True, errors=("step_up_required", "conflict"),
        description="Your address, name, password, factors, sessions, exports and where you were seen from are erased, "
        "and the API keys you made are revoked. Ids stay, so that the books and the audit log stay whole. An "
        "organization whose only owner you are and that has other members must get another owner first; one whose "
        "only member you are stays, unless you delete it before.",
    ),
    Operation(
        "POST", "/v1/invitations/accept", "accept_invitation", "Join the organization of an invitation", "accounts",
        PERSON, _accept, Organization, body=AcceptRequest, idempotent=True, errors=("forbidden", *_BODY, *_REPLAYED),
        description="The invitation must be for your address. A member keeps the present role.",
    ),
]  # fmt: skip
