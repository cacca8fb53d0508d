"""What is asked of an API key: its name, scopes, networks, end and signing, checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from tradewright.accounts import issuing, signatures
from tradewright.accounts.issuing import MAX_NETWORKS
from tradewright.accounts.keys import Terms
from tradewright.accounts.principal import Signing
from tradewright.accounts.scopes import SCOPES, checked
from tradewright.api.names import NAME
from tradewright.api.operations import Call
from tradewright.api.problems import FieldError, Refused
from tradewright.api.wire import Moment, micros
from tradewright.clock import DAY_US
from tradewright.errors import InvalidInput, UnknownName

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
    """How requests are signed. required: unsigned ones are refused; false lets the key alone suffice, too. public_key:
    of ed25519 only, its 32 raw bytes in base64."""

    algorithm: Literal["hmac-sha256", "ed25519"]
    required: bool = True
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


def terms_of(call: Call, request: ApiKeyRequest) -> Terms:
    """Return what a new key is to be. Raises Refused, naming every value that is wrong."""
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


def changes_of(call: Call, request: ApiKeyChange) -> dict[str, Any]:
    """Return the columns of a key that change. Raises Refused, naming every value that is wrong."""
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


def new_end_of(call: Call, request: RollRequest) -> int | None:
    """Return when the new key ends, None for when the old one does. Raises Refused."""
    faults: list[FieldError] = []
    wanted = _expiry(call, request.expires_at, faults)
    _refuse(faults)
    return wanted


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
