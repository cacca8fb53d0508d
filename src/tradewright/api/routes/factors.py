"""Second factors: codes of an app, recovery codes, passkeys."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec

from tradewright import ids
from tradewright.accounts import passkeys, second_factors, throttling
from tradewright.api import sample_values
from tradewright.api.credentials import CREDENTIAL_BYTES, Code, Credential, PasskeyOptions, site_of
from tradewright.api.names import NAME
from tradewright.api.operations import PERSON, Call, Effect, Once, Operation
from tradewright.api.problems import FieldError, Refused
from tradewright.api.wire import moment
from tradewright.errors import Conflict, NotFound
from tradewright.storage import audit, factors, people
from tradewright.storage.database import IntegrityError, Tx

_MOST = 20


class Enrolled(msgspec.Struct, frozen=True):
    """What an authenticator app needs. Shown once; null in a replay."""

    secret: str | None
    uri: str | None


class ConfirmRequest(msgspec.Struct, frozen=True):
    """code: what the app shows."""

    code: Code


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Each lets you in once when your second factor is lost. Shown once; null in a replay."""

    recovery_codes: list[str] | None


class Passkey(msgspec.Struct, frozen=True):
    """A passkey you registered."""

    id: str
    name: str
    created_at: str
    last_used_at: str | None


class Passkeys(msgspec.Struct, frozen=True):
    """Your passkeys; there are never more than twenty."""

    data: list[Passkey]


class PasskeyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """credential: what the browser answered to options. name: to tell it from others."""

    credential: Credential
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100, examples=["phone"], extra=NAME)] = "passkey"


class NewPasskey(msgspec.Struct, frozen=True):
    """The passkey; with recovery codes when you had none, shown once."""

    passkey: Passkey
    recovery_codes: list[str] | None


async def _enrol(call: Call) -> Effect:
    now_us, user = call.services.clock.now_us(), _user(call)

    def effect(tx: Tx) -> Once:
        email = _row(people.get_user(tx, user))["email"]
        secret, uri = second_factors.enrol(tx, call.services.vault, user, email, now_us)
        audit.record(tx, "", "", call.who, "totp.enrol", user, {}, now_us)
        return Once(Enrolled(secret, uri), Enrolled(None, None))

    return Effect(effect)


async def _confirm(call: Call) -> Effect:
    request: ConfirmRequest = call.body
    now_us, user = call.services.clock.now_us(), _user(call)
    await call.services.database.write_async(throttling.count, [throttling.of_person(user)], now_us)

    def effect(tx: Tx) -> Once:
        if not second_factors.confirm(tx, call.services.vault, user, request.code, now_us):
            why = "is not what the app shows now; send the code of this moment, and see that the phone's clock is right"
            raise Refused("invalid_input", f"the code {why}", [FieldError("/code", why)])
        throttling.forget(tx, throttling.of_person(user))
        audit.record(tx, "", "", call.who, "totp.confirm", user, {}, now_us)
        return Once(RecoveryCodes(second_factors.make_recovery_codes(tx, user, now_us)), RecoveryCodes(None))

    return Effect(effect)


async def _disable(call: Call) -> Effect:
    now_us, user = call.services.clock.now_us(), _user(call)

    def effect(tx: Tx) -> None:
        if not factors.remove_authenticator(tx, user):
            raise NotFound("codes are not on; there is nothing to turn off")
        second_factors.drop_recovery_codes_without_factor(tx, user)
        audit.record(tx, "", "", call.who, "totp.remove", user, {}, now_us)

    return Effect(effect)


async def _renew_recovery_codes(call: Call) -> Effect:
    now_us, user = call.services.clock.now_us(), _user(call)

    def effect(tx: Tx) -> Once:
        if not second_factors.ways(tx, user):
            raise Conflict("you have no second factor to recover; begin with POST /v1/auth/totp or a passkey")
        audit.record(tx, "", "", call.who, "recovery_codes.make", user, {}, now_us)
        return Once(RecoveryCodes(second_factors.make_recovery_codes(tx, user, now_us)), RecoveryCodes(None))

    return Effect(effect)


async def _options(call: Call) -> Effect:
    now_us, user = call.services.clock.now_us(), _user(call)
    person = _row(await call.services.database.read_async(people.get_user, user))
    known = await call.services.database.read_async(factors.list_passkeys, user)
    challenge = passkeys.new_challenge()
    credentials = [bytes(row["credential"]) for row in known]
    options = await asyncio.to_thread(
        passkeys.registration_options, site_of(call), user, person["email"], person["name"], challenge, credentials
    )

    def effect(tx: Tx) -> PasskeyOptions:
        passkeys.asked(tx, challenge, passkeys.REGISTER, user, now_us)
        return PasskeyOptions(options)

    return Effect(effect)


async def _register(call: Call) -> Effect:
    request: PasskeyRequest = call.body
    now_us, user = call.services.clock.now_us(), _user(call)
    challenge = passkeys.challenge_of(request.credential)
    new = await asyncio.to_thread(passkeys.verify_registration, site_of(call), request.credential, challenge)

    def effect(tx: Tx) -> Once:
        passkeys.answered(tx, challenge, passkeys.REGISTER, user, now_us)
        if factors.count_passkeys(tx, user) >= _MOST:
            raise Conflict(f"you have {_MOST} passkeys; delete one first")
        row = {"id": ids.new("psk"), "user": user, "name": request.name, "created_at": now_us, "last_used_at": None}
        key = {"credential": new.credential, "public_key": new.public_key, "sign_count": new.sign_count}
        try:
            factors.add_passkey(tx, {**row, **key})
        except IntegrityError:
            raise Conflict("this passkey is registered already; choose another, or delete it first") from None
        audit.record(tx, "", "", call.who, "passkey.add", str(row["id"]), {}, now_us)
        codes = None
        if not factors.count_recovery_codes(tx, user):
            codes = second_factors.make_recovery_codes(tx, user, now_us)
        return Once(NewPasskey(_passkey(row), codes), NewPasskey(_passkey(row), None))

    return Effect(effect)


async def _list(call: Call) -> Passkeys:
    found = await call.services.database.read_async(factors.list_passkeys, _user(call))
    return Passkeys([_passkey(row) for row in found])


async def _delete(call: Call) -> Effect:
    passkey, user = call.path["id"], _user(call)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> None:
        if not factors.remove_passkey(tx, user, passkey):
            raise NotFound(f"you have no passkey {passkey!r}; GET /v1/auth/passkeys lists yours")
        second_factors.drop_recovery_codes_without_factor(tx, user)
        audit.record(tx, "", "", call.who, "passkey.remove", passkey, {}, now_us)

    return Effect(effect)


def _user(call: Call) -> str:
    assert call.principal.user is not None
    return call.principal.user


def _row(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        raise NotFound("this person was erased")
    return row


def _passkey(row: dict[str, Any]) -> Passkey:
    return Passkey(row["id"], row["name"], moment(row["created_at"]) or "", moment(row["last_used_at"]))


_REPLAYED = ("malformed_header", "idempotency_mismatch", "idempotency_running")
_BODY = ("malformed_json", "unsupported_media_type", "too_large", *_REPLAYED)
OPERATIONS = [
    Operation(
        "POST", "/v1/auth/totp", "enrol_totp", "Begin with codes of an authenticator app", "accounts", PERSON,
        _enrol, Enrolled, idempotent=True, step_up=True,
        errors=("step_up_required", "conflict", *_REPLAYED),
        description="The codes count once one of them was confirmed.",
    ),
    Operation(
        "POST", "/v1/auth/totp/confirm", "confirm_totp", "Let the codes count", "accounts", PERSON,
        _confirm, RecoveryCodes, body=ConfirmRequest, idempotent=True, step_up=True,
        errors=("step_up_required", "not_found", "rate_limited", *_BODY),
        description="From now on a login needs a code; each counts once. The answer holds ten recovery codes.",
    ),
    Operation(
        "DELETE", "/v1/auth/totp", "disable_totp", "Turn the codes off", "accounts", PERSON,
        _disable, status=204, step_up=True, errors=("step_up_required", "not_found"),
    ),
    Operation(
        "POST", "/v1/auth/recovery-codes", "renew_recovery_codes", "Ten new recovery codes", "accounts", PERSON,
        _renew_recovery_codes, RecoveryCodes, idempotent=True, step_up=True,
        errors=("step_up_required", "conflict", *_REPLAYED),
        description="The old ones are worth nothing from now on.",
    ),
    Operation(
        "POST", "/v1/auth/passkeys/options", "ask_new_passkey", "What the browser asks for a new passkey", "accounts",
        PERSON, _options, PasskeyOptions, idempotent=True, step_up=True, errors=("step_up_required", *_REPLAYED),
        description="For `navigator.credentials.create`. Answered once, within 5 minutes.",
    ),
    Operation(
        "POST", "/v1/auth/passkeys", "add_passkey", "Register a passkey", "accounts", PERSON,
        _register, NewPasskey, body=PasskeyRequest, status=201, idempotent=True, step_up=True,
        example={"credential": sample_values.NEW_PASSKEY}, body_bytes=CREDENTIAL_BYTES,
        errors=("step_up_required", "conflict", "wrong_credentials", *_BODY),
        description="From now on a password alone does not suffice to log in.",
    ),
    Operation(
        "GET", "/v1/auth/passkeys", "list_passkeys", "Your passkeys", "accounts", PERSON, _list, Passkeys,
    ),
    Operation(
        "DELETE", "/v1/auth/passkeys/{id}", "delete_passkey", "Remove a passkey", "accounts", PERSON,
        _delete, status=204, step_up=True, errors=("step_up_required", "not_found"),
    ),
]  # fmt: skip
