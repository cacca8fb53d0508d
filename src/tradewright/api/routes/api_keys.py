"""API keys: made, shown once, changed, rolled, revoked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tradewright.accounts import issuing, keys, signatures
from tradewright.accounts.authentication import scopes_now
from tradewright.accounts.issuing import MAX_KEYS, MAX_NETWORKS
from tradewright.accounts.keys import Issued, Terms
from tradewright.accounts.principal import Signing
from tradewright.accounts.scopes import SCOPES, checked
from tradewright.api import access
from tradewright.api.dispatch import confirm, encode, etag_of, match
from tradewright.api.names import NAME
from tradewright.api.operations import Call, Effect, Once, Operation, Raw
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import FieldError, Refused
from tradewright.api.wire import Moment, found, micros, moment
from tradewright.clock import DAY_US
from tradewright.errors import Conflict, Forbidden, InvalidInput, UnknownName
from tradewright.storage import accounts, audit
from tradewright.storage.database import Tx

_LONGEST_US = 36_500 * DAY_US
Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[^\x00-\x1f\x7f]{1,80}\Z",
        examples=["dashboard"],
        extra={**NAME, "words": "1 to 80 characters, without line breaks and other controls"},
    ),
]
Addresses = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=64, examples=["203.0.113.0/24"])]],
    msgspec.Meta(max_length=MAX_NETWORKS, description="Addresses or networks it may be used from; none: anywhere."),
]
Scopes = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=32, extra_json_schema={"enum": list(SCOPES)})]],
    msgspec.Meta(min_length=1, max_length=len(SCOPES), examples=[["market:read", "signals:read"]]),
]


class SigningRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How requests are signed. public_key: of ed25519 only, its 32 raw bytes in base64."""

    algorithm: Literal["hmac-sha256", "ed25519"]
    required: bool = False
    public_key: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class ApiKeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the new key may do. environment: of persons only; left out, it is that of the caller."""

    name: Name
    scopes: Scopes
    environment: Literal["sandbox", "paper", "live"] | None = None
    addresses: Addresses = []
    expires_at: Moment | None = None
    signing: SigningRequest | None = None


class ApiKeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change; what is left out stays. expires_at: null for never. addresses: empty for anywhere."""

    name: Name | UnsetType = UNSET
    addresses: Addresses | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET


class RollRequest(msgspec.Struct, frozen=True, kw_only=True):
    """overlap_s: for how long the old key still works. expires_at: of the new one; left out, that of the old one."""

    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=604_800)] = 86_400
    expires_at: Moment | None = None


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
    terms = _terms(call, request)
    environment = request.environment or call.principal.environment
    if environment != call.principal.environment and call.principal.session is None:
        raise Forbidden(
            f"a key makes keys of its own environment, {call.principal.environment}; got {environment}; log in to make "
            "one of another environment"
        )
    issuing.require_scopes(call.principal, terms.scopes)
    if issuing.dangerous(environment, terms.scopes):
        access.require_step_up(call.principal, call.services.clock.now_us())

    def effect(tx: Tx) -> Once:
        return _issued(tx, call, environment, issuing.within(terms, _holder(tx, call)))

    return Effect(effect)


def _terms(call: Call, request: ApiKeyRequest) -> Terms:
    faults: list[FieldError] = []
    scopes: list[str] = []
    try:
        scopes = checked(request.scopes)
    except UnknownName as error:
        faults.append(FieldError(f"/scopes/{request.scopes.index(error.name)}", error.message))
    terms = Terms(
        name=request.name,
        scopes=tuple(scopes),
        expires_at=_expiry(call, request.expires_at, faults),
        networks=_networks(request.addresses, faults),
        signing=_signing(request.signing, faults),
        created_by=call.principal.user,
    )
    _refuse(faults)
    return terms


def _expiry(call: Call, wanted: Any, faults: list[FieldError]) -> int | None:
    expires_at = micros(wanted)
    now_us = call.services.clock.now_us()
    if expires_at is not None and not now_us < expires_at <= now_us + _LONGEST_US:
        faults.append(FieldError("/expires_at", f"must lie in the next hundred years; got {wanted.isoformat()}"))
    return expires_at


def _networks(wanted: list[str], faults: list[FieldError]) -> tuple[str, ...]:
    try:
        return issuing.networks(wanted)
    except InvalidInput as error:
        faults.append(FieldError(f"/addresses/{error.place}", error.message))
        return ()


def _signing(wanted: SigningRequest | None, faults: list[FieldError]) -> Signing | None:
    if wanted is None:
        return None
    if wanted.algorithm == signatures.HMAC:
        if wanted.public_key is not None:
            faults.append(FieldError("/signing/public_key", "hmac-sha256 has none; its secret is made here"))
        return Signing(wanted.algorithm, wanted.required)
    if wanted.public_key is None:
        faults.append(FieldError("/signing/public_key", "required for ed25519, and missing"))
        return None
    try:
        return Signing(wanted.algorithm, wanted.required, signatures.public_key(wanted.public_key))
    except InvalidInput as error:
        faults.append(FieldError("/signing/public_key", error.message))
        return None


def _refuse(faults: list[FieldError]) -> None:
    if faults:
        named = ", ".join(fault.pointer for fault in faults)
        raise Refused("invalid_input", f"{len(faults)} value(s) were refused: {named}", faults)


def _holder(tx: Tx, call: Call) -> dict[str, Any] | None:
    key = call.principal.key
    return None if key is None else found(accounts.api_key(tx, *call.tenant, key), "API key", key)


def _issued(tx: Tx, call: Call, environment: str, terms: Terms, replaces: str | None = None) -> Once:
    organization, now_us = call.principal.organization, call.services.clock.now_us()
    if accounts.lock_api_keys(tx, organization, now_us) >= MAX_KEYS:
        raise Conflict(f"the organization has {MAX_KEYS} valid keys, and may have no more; revoke one first")
    confirm(tx, call)  # who is removed at this moment leaves no key: members change under the same lock
    issued = keys.issue(tx, call.services.vault, organization, environment, terms, now_us)
    keys.tell_made(tx, (organization, environment), call.who, issued.id, terms, now_us, replaces)
    row = accounts.api_key(tx, organization, environment, issued.id)
    return _once(found(row, "API key", issued.id), issued, now_us)


async def _change(call: Call) -> Effect:
    request: ApiKeyChange = call.body
    key = call.path["id"]
    values = _changed(call, request)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> ApiKey:
        accounts.lock_api_keys(tx, call.principal.organization, now_us)
        row = found(accounts.api_key(tx, *call.tenant, key), "API key", key)
        match(call, _kept(_api_key(row, now_us)))
        _refuse_ended(row, now_us)
        allowed = _require_power(tx, call, row, values, now_us)
        if allowed:
            accounts.change_api_key(tx, *call.tenant, key, allowed)
            audit.record(tx, *call.tenant, call.who, "api_key.update", key, {"fields": sorted(allowed)}, now_us)
        return _api_key(found(accounts.api_key(tx, *call.tenant, key), "API key", key), now_us)

    return Effect(effect, lambda: call.services.authenticator.forget(key))


def _changed(call: Call, request: ApiKeyChange) -> dict[str, Any]:
    faults: list[FieldError] = []
    values: dict[str, Any] = {}
    if request.name is not UNSET:
        values["name"] = request.name
    if request.addresses is not UNSET:
        values["addresses"] = list(_networks(request.addresses, faults)) or None
    if request.expires_at is not UNSET:
        values["expires_at"] = _expiry(call, request.expires_at, faults)
    _refuse(faults)
    return values


def _require_power(tx: Tx, call: Call, row: dict[str, Any], values: dict[str, Any], now_us: int) -> dict[str, Any]:
    # where and until when a key works is part of what it grants
    if set(values) <= {"name"}:
        return values
    issuing.require_scopes(call.principal, row["scopes"])
    if issuing.dangerous(row["environment"], row["scopes"]):
        access.require_step_up(call.principal, now_us)
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
    faults: list[FieldError] = []
    wanted = _expiry(call, request.expires_at, faults)
    _refuse(faults)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Once:
        accounts.lock_api_keys(tx, call.principal.organization, now_us)
        row = found(accounts.api_key(tx, *call.tenant, key), "API key", key)
        _refuse_ended(row, now_us)
        issuing.require_scopes(call.principal, row["scopes"])
        if issuing.dangerous(row["environment"], row["scopes"]):
            access.require_step_up(call.principal, now_us)
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
    ended = row["revoked_at"] is not None or (row["expires_at"] is not None and row["expires_at"] <= now_us)
    held = frozenset() if ended else scopes_now(row)
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
