"""API keys: made, shown once, changed, rolled, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from tradewright.accounts import issuing, keys
from tradewright.accounts.authentication import scopes_now
from tradewright.accounts.issuing import MAX_KEYS
from tradewright.accounts.keys import Issued, Terms
from tradewright.accounts.principal import Principal, Signing
from tradewright.api import access
from tradewright.api.asked_keys import (
    ApiKeyChange,
    ApiKeyRequest,
    RollRequest,
    changes_of,
    new_end_of,
    terms_of,
)
from tradewright.api.dispatch import caller_now, encode, etag_of, match
from tradewright.api.operations import Call, Effect, Once, Operation, Raw
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.wire import found, moment
from tradewright.errors import Conflict, Forbidden
from tradewright.storage import accounts, audit
from tradewright.storage.database import Tx


class KeySigning(msgspec.Struct, frozen=True):
    """How requests of a key are signed, and whether they must be."""

    algorithm: Literal["hmac-sha256", "ed25519"]
    required: bool
    public_key: str | None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret. public_id: how it begins. status rolled: there is a new one, this one ends soon.
    effective_scopes: those that hold now; fewer when the role of who made it shrank, none when it has ended."""

    id: str
    name: str
    environment: str
    public_id: str
    scopes: list[str]
    effective_scopes: list[str]
    addresses: list[str]
    signing: KeySigning | None
    status: Literal["active", "expired", "revoked", "rolled"]
    created_at: str
    created_by: str | None
    expires_at: str | None
    revoked_at: str | None
    revoked_reason: str | None
    replaced_by: str | None
    last_used_at: str | None
    last_used_address: str | None
    last_used_agent: str | None


class NewApiKey(ApiKey, frozen=True, kw_only=True):
    """A new key with its text, and the secret that signs requests. Both are shown only now; a replay has null."""

    key: str | None
    signing_secret: str | None


async def _list(call: Call) -> Page[ApiKey]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    rows = await call.services.database.read_async(
        accounts.list_api_keys_page, *call.tenant, query.limit + 1, query.order == "desc", after
    )
    now_us = call.services.clock.now_us()
    return page(call, rows, [row["id"] for row in rows], lambda row: _api_key(row, now_us))


async def _get(call: Call) -> Raw:
    row = await call.services.database.read_async(accounts.api_key, *call.tenant, call.path["id"])
    shown = _api_key(found(row, "API key", call.path["id"]), call.services.clock.now_us())
    return Raw(encode(shown), "application/json", headers={"etag": etag_of(encode(_kept(shown)))})


async def _create(call: Call) -> Effect:
    request: ApiKeyRequest = call.body
    terms = terms_of(call, request)
    environment = request.environment or call.principal.environment
    if environment != call.principal.environment and call.principal.session is None:
        raise Forbidden(
            f"a key makes keys of its own environment, {call.principal.environment}; got {environment}; log in to make "
            "one of another environment"
        )

    def effect(tx: Tx) -> Once:
        _require_power(caller_now(tx, call), environment, terms.scopes, call.services.clock.now_us())
        return _issued(tx, call, environment, issuing.within(terms, _holder(tx, call)))

    return Effect(effect)


def _holder(tx: Tx, call: Call) -> dict[str, Any] | None:
    key = call.principal.key
    return None if key is None else found(accounts.api_key(tx, *call.tenant, key), "API key", key)


def _issued(tx: Tx, call: Call, environment: str, terms: Terms, replaces: str | None = None) -> Once:
    organization, now_us = call.principal.organization, call.services.clock.now_us()
    if accounts.count_api_keys(tx, organization, now_us) >= MAX_KEYS:
        raise Conflict(f"the organization has {MAX_KEYS} valid keys, and may have no more; revoke one first")
    issued = keys.issue(tx, call.services.vault, organization, environment, terms, now_us)
    keys.tell_made(tx, (organization, environment), call.who, issued.id, terms, now_us, replaces)
    row = accounts.api_key(tx, organization, environment, issued.id)
    return _once(found(row, "API key", issued.id), issued, now_us)


async def _change(call: Call) -> Effect:
    request: ApiKeyChange = call.body
    key = call.path["id"]
    values = changes_of(call, request)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> ApiKey:
        row = found(accounts.api_key(tx, *call.tenant, key), "API key", key)
        match(call, _kept(_api_key(row, now_us)))
        _refuse_ended(row, now_us)
        allowed = _allowed(tx, call, row, values, now_us)
        if allowed:
            accounts.change_api_key(tx, *call.tenant, key, allowed)
            audit.record(tx, *call.tenant, call.who, "api_key.update", key, {"fields": sorted(allowed)}, now_us)
        return _api_key(found(accounts.api_key(tx, *call.tenant, key), "API key", key), now_us)

    return Effect(effect, lambda: call.services.authenticator.forget(key))


def _require_power(caller: Principal, environment: str, scopes: Sequence[str], now_us: int) -> None:
    issuing.require_scopes(caller, scopes)
    if issuing.dangerous(environment, scopes):
        if caller.session is None:
            names = ", ".join(issuing.dangerous_scopes(environment, scopes))
            raise Forbidden(
                f"a key that holds {names} in {environment} is made and changed by persons only, not by API keys: "
                "leave the scope out, or log in with POST /v1/auth/login"
            )
        access.require_step_up(caller, now_us)


def _allowed(tx: Tx, call: Call, row: dict[str, Any], values: dict[str, Any], now_us: int) -> dict[str, Any]:
    # where and until when a key works is part of what it grants
    if set(values) <= {"name"}:
        return values
    _require_power(caller_now(tx, call), row["environment"], row["scopes"], now_us)
    holder = _holder(tx, call)
    if holder is None:
        return values
    bounded = issuing.within(_terms_of({**row, **values}, None, None), holder)
    whole = {"expires_at": bounded.expires_at, "addresses": list(bounded.networks) or None}
    return values | {name: value for name, value in whole.items() if name in values or value != row[name]}


def _refuse_ended(row: dict[str, Any], now_us: int) -> None:
    status = issuing.status_of(row, now_us)
    if status != "active":
        raise Conflict(f"the key is {status}; make a new one with POST /v1/api-keys")


async def _roll(call: Call) -> Effect:
    request: RollRequest = call.body
    key = call.path["id"]
    wanted, now_us = new_end_of(call, request), call.services.clock.now_us()

    def effect(tx: Tx) -> Once:
        row = found(accounts.api_key(tx, *call.tenant, key), "API key", key)
        _refuse_ended(row, now_us)
        _require_power(caller_now(tx, call), row["environment"], row["scopes"], now_us)
        terms = issuing.within(_terms_of(row, wanted, call.principal.user), _holder(tx, call))
        made = _issued(tx, call, row["environment"], terms, key)
        ends = now_us + request.overlap_s * 1_000_000
        if row["expires_at"] is not None:
            ends = min(ends, row["expires_at"])
        accounts.change_api_key(tx, *call.tenant, key, {"expires_at": ends, "replaced_by": made.kept.id})
        return made

    return Effect(effect, lambda: call.services.authenticator.forget(key))


def _terms_of(row: dict[str, Any], expires_at: int | None, user: str | None) -> Terms:
    return Terms(
        name=row["name"],
        scopes=tuple(row["scopes"]),
        expires_at=row["expires_at"] if expires_at is None else expires_at,
        networks=tuple(row["addresses"] or ()),
        signing=None if row["signing"] is None else Signing(**row["signing"]),
        created_by=user or row["created_by"],
    )


async def _delete(call: Call) -> Effect:
    key = call.path["id"]
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> None:
        found(accounts.api_key(tx, *call.tenant, key), "API key", key)
        keys.revoke(tx, call.principal.organization, key, call.who, now_us)

    return Effect(effect, lambda: call.services.authenticator.forget(key))


def _api_key(row: dict[str, Any], now_us: int) -> ApiKey:
    return ApiKey(**_fields(row, now_us))


def _kept(shown: ApiKey) -> ApiKey:
    # what its ETag stands for: not when it was used last, which changes by itself
    return msgspec.structs.replace(shown, last_used_at=None, last_used_address=None, last_used_agent=None)


def _once(row: dict[str, Any], issued: Issued, now_us: int) -> Once:
    kept = NewApiKey(**_fields(row, now_us), key=None, signing_secret=None)
    return Once(msgspec.structs.replace(kept, key=issued.text, signing_secret=issued.signing_secret), kept)


def _fields(row: dict[str, Any], now_us: int) -> dict[str, Any]:
    held = scopes_now(row, now_us)
    return {
        "id": row["id"],
        "name": row["name"],
        "environment": row["environment"],
        "public_id": keys.shown_prefix(row["environment"], row["public_id"]),
        "scopes": row["scopes"],
        "effective_scopes": [scope for scope in row["scopes"] if scope in held],
        "addresses": row["addresses"] or [],
        "signing": None if row["signing"] is None else KeySigning(**row["signing"]),
        "status": issuing.status_of(row, now_us),
        "created_at": moment(row["created_at"]) or "",
        "created_by": row["created_by"],
        "expires_at": moment(row["expires_at"]),
        "revoked_at": moment(row["revoked_at"]),
        "revoked_reason": row["revoked_reason"],
        "replaced_by": row["replaced_by"],
        "last_used_at": moment(row["last_used_at"]),
        "last_used_address": row["last_used_address"],
        "last_used_agent": row["last_used_agent"],
    }


_STEP_UP = "for a key that holds organization:admin, or orders:write or portfolios:write in live"
_GONE = ("not_found",)
_BODY = ("malformed_json", "unsupported_media_type", "too_large")
_MADE = (*_BODY, "malformed_header", "idempotency_running", "idempotency_mismatch", "conflict", "step_up_required")
_SCOPE = "organization:admin"
OPERATIONS = [
    Operation(
        "GET", "/v1/api-keys", "list_api_keys", "API keys of this environment", "api keys", _SCOPE,
        _list, Page[ApiKey], PageQuery,
    ),
    Operation(
        "POST", "/v1/api-keys", "create_api_key", "Make an API key; it is shown once", "api keys", _SCOPE,
        _create, NewApiKey, body=ApiKeyRequest, status=201, idempotent=True, errors=_MADE, step_up=_STEP_UP,
        description="A key never grants more than its maker holds: no other scopes, and when a key makes it, no later "
        "end, no other networks and no less signing.",
    ),
    Operation(
        "GET", "/v1/api-keys/{id}", "get_api_key", "One API key", "api keys", _SCOPE,
        _get, ApiKey, errors=_GONE, cacheable=True,
    ),
    Operation(
        "PATCH", "/v1/api-keys/{id}", "update_api_key", "Change name, addresses or expiry", "api keys", _SCOPE,
        _change, ApiKey, body=ApiKeyChange, errors=(*_GONE, *_BODY, "conflict", "precondition_failed",
        "step_up_required"), example={"name": "dashboard"}, step_up=_STEP_UP + ", unless only the name changes",
    ),
    Operation(
        "DELETE", "/v1/api-keys/{id}", "revoke_api_key", "Revoke an API key, at once", "api keys", _SCOPE,
        _delete, status=204, errors=_GONE,
        description="It is refused from then on, in every process within two seconds. The key stays in the list.",
    ),
    Operation(
        "POST", "/v1/api-keys/{id}/roll", "roll_api_key", "Replace a key; the old one works on for a while",
        "api keys", _SCOPE, _roll, NewApiKey, body=RollRequest, status=201, idempotent=True, errors=(*_GONE, *_MADE),
        example={"overlap_s": 3600},
        step_up=_STEP_UP,
        description="The new key has the scopes, networks and way of signing of the old one.",
    ),
]  # fmt: skip
