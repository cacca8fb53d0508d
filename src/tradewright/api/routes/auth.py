"""Registering, logging in and out."""

from __future__ import annotations

import asyncio

import msgspec

from tradewright.accounts import passkeys, people, throttling
from tradewright.accounts.people import Registration, spelled
from tradewright.accounts.proofs import as_person, open_proved
from tradewright.accounts.sessions import open_session
from tradewright.api import sample_values
from tradewright.api.credentials import (
    CREDENTIAL_BYTES,
    Code,
    Credential,
    Email,
    LoggedIn,
    NewPassword,
    OrganizationName,
    PasskeyOptions,
    Password,
    PersonName,
    Token,
    ended,
    logged_in,
    refuse_password,
    site_of,
)
from tradewright.api.dispatch import encode
from tradewright.api.operations import PERSON, PUBLIC, Call, Effect, Operation, Raw
from tradewright.errors import Forbidden, InvalidInput
from tradewright.storage import audit, sessions
from tradewright.storage.database import Tx


class RegisterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """invitation: the token of one. organization_name: of the organization that one owns without one."""

    email: Email
    password: NewPassword
    name: PersonName
    invitation: Token | None = None
    organization_name: OrganizationName | None = None


class Registered(msgspec.Struct, frozen=True):
    """The same for every address, known or not."""

    message: str


class LoginRequest(msgspec.Struct, frozen=True, kw_only=True):
    """code: what an authenticator app shows, or a recovery code; needed by who has a second factor."""

    email: Email
    password: Password
    code: Code | None = None


class ResetRequest(msgspec.Struct, frozen=True, kw_only=True):
    """token: from `tradewright users reset`."""

    token: Token
    new_password: NewPassword


class PasskeyLoginRequest(msgspec.Struct, frozen=True):
    """What the passkey answered to login-options."""

    credential: Credential


_REGISTERED = Registered("If this address was not known before, it is now: log in with POST /v1/auth/login.")


async def _register(call: Call) -> Raw:
    request: RegisterRequest = call.body
    services = call.services
    email = spelled(request.email)
    if request.invitation is not None and request.organization_name is not None:
        why = "an invitation joins the organization that sent it, and names none; leave one of the two out"
        raise InvalidInput(why, pointer="/organization_name")
    refuse_password("/password", request.password, email)
    now_us = services.clock.now_us()

    def begin(tx: Tx) -> None:
        throttling.count(tx, [throttling.of_address(throttling.REGISTRATIONS, call.address)], now_us)
        if request.invitation is not None:
            people.find_invitation(tx, request.invitation, email, now_us)

    if request.invitation is None and not services.rules.open_registration:
        raise Forbidden("this installation takes new persons by invitation only: ask an owner or admin for one")
    await services.database.write_async(begin)
    hashed = await services.passwords.hash(request.password)
    organization = request.organization_name and request.organization_name.strip()
    wanted = Registration(email, request.name.strip(), hashed, organization, request.invitation)
    await services.database.write_async(people.register, wanted, call.who, now_us)
    return Raw(encode(_REGISTERED), "application/json", 202)


async def _login(call: Call) -> Effect:
    request: LoginRequest = call.body
    proved = await call.services.proofs.by_login(spelled(request.email), request.password, request.code, call.who)
    now_us = call.services.clock.now_us()
    return Effect(lambda tx: logged_in(open_proved(tx, proved, call.who, now_us), proved.user))


async def _logout(call: Call) -> Effect:
    principal = call.principal
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Raw:
        sessions.end(tx, principal.user or "", principal.session or "", now_us)
        audit.record(tx, "", "", call.who, "logout", principal.session or "", {}, now_us)
        return ended()

    return Effect(effect)


async def _reset(call: Call) -> Effect:
    request: ResetRequest = call.body
    services = call.services
    now_us = services.clock.now_us()
    bucket = throttling.of_address(throttling.ADDRESS, call.address)
    await services.database.write_async(throttling.count, [bucket], now_us)
    email = await services.database.read_async(people.email_of_reset, request.token, now_us)
    refuse_password("/new_password", request.new_password, email)
    hashed = await services.passwords.hash(request.new_password)
    return Effect(lambda tx: people.finish_reset(tx, request.token, hashed, call.who, now_us))


async def _passkey_options(call: Call) -> Effect:
    now_us = call.services.clock.now_us()
    challenge = passkeys.new_challenge()
    options = PasskeyOptions(await asyncio.to_thread(passkeys.login_options, site_of(call), challenge))

    def effect(tx: Tx) -> PasskeyOptions:
        throttling.count(tx, [throttling.of_address(throttling.CHALLENGES, call.address)], now_us)
        passkeys.asked(tx, challenge, passkeys.LOGIN, None, now_us)
        return options

    return Effect(effect)


async def _passkey_login(call: Call) -> Effect:
    request: PasskeyLoginRequest = call.body
    services = call.services
    now_us = services.clock.now_us()
    bucket = throttling.of_address(throttling.ADDRESS, call.address)
    await services.database.write_async(throttling.count, [bucket], now_us)
    answer = await services.proofs.by_passkey(site_of(call), request.credential, call.who)

    def effect(tx: Tx) -> Raw:
        passkeys.use(tx, answer, now_us)
        audit.record(tx, "", "", as_person(call.who, answer.user, "passkey"), "login", answer.user, {}, now_us)
        return logged_in(open_session(tx, answer.user, call.address, call.who.agent, now_us), answer.user)

    return Effect(effect)


_BODY = ("malformed_json", "unsupported_media_type", "too_large", "origin_refused", "rate_limited")
OPERATIONS = [
    Operation(
        "POST", "/v1/auth/register", "register", "Become a person of this installation", "accounts", PUBLIC,
        _register, Registered, body=RegisterRequest, status=202, errors=("forbidden", *_BODY),
        description="The answer is the same whether the address was known or not. With an invitation you join its "
        "organization; without one an organization of your own is made, where registration is open. The very first "
        "person becomes the owner of the organization that is there.",
    ),
    Operation(
        "POST", "/v1/auth/login", "login", "Log in", "accounts", PUBLIC,
        _login, LoggedIn, body=LoginRequest, errors=("wrong_credentials", "second_factor_required", *_BODY),
        description="Sets the cookie of the session. Ten tries of one account pass at once, then one each 30 seconds.",
    ),
    Operation(
        "POST", "/v1/auth/logout", "logout", "Log out", "accounts", PERSON, _logout, status=204,
        description="The session is dead at once, in every process.",
    ),
    Operation(
        "POST", "/v1/auth/reset", "reset_password", "Set a new password with a token of an operator", "accounts",
        PUBLIC, _reset, body=ResetRequest, status=204, errors=("forbidden", *_BODY),
        description="The token comes from `tradewright users reset` and is good once, for an hour. All sessions end.",
    ),
    Operation(
        "POST", "/v1/auth/passkeys/login-options", "ask_passkey", "What the browser asks a passkey to log in",
        "accounts", PUBLIC, _passkey_options, PasskeyOptions, errors=("origin_refused", "rate_limited"),
        description="For `navigator.credentials.get`. It names nobody. Answered once, within 5 minutes.",
    ),
    Operation(
        "POST", "/v1/auth/passkeys/login", "login_with_passkey", "Log in with a passkey", "accounts", PUBLIC,
        _passkey_login, LoggedIn, body=PasskeyLoginRequest, errors=("wrong_credentials", *_BODY),
        example={"credential": sample_values.PASSKEY}, body_bytes=CREDENTIAL_BYTES,
        description="A passkey is two factors in one: the device, and whatever unlocks it.",
    ),
]  # fmt: skip
