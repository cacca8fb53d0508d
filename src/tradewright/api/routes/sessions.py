"""The sessions one has, proving again who one is, changing the password."""

from __future__ import annotations

from typing import Any

import msgspec

from tradewright.accounts import passkeys
from tradewright.accounts.proofs import Proved, settle
from tradewright.accounts.sessions import IDLE_US, renew
from tradewright.api import sample_values
from tradewright.api.credentials import (
    CREDENTIAL_BYTES,
    Code,
    Credential,
    NewPassword,
    Password,
    Renewed,
    SteppedUp,
    refuse_password,
    renewed,
    site_of,
    stepped_up,
)
from tradewright.api.operations import PERSON, Call, Effect, Operation, Raw
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import FieldError, Refused
from tradewright.api.wire import moment
from tradewright.errors import NotFound, WrongCredentials
from tradewright.storage import audit, sessions
from tradewright.storage import people as rows
from tradewright.storage.database import Tx


class StepUpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A password (and a code, of who has a second factor), or the answer of a passkey to login-options."""

    password: Password | None = None
    code: Code | None = None
    credential: Credential | None = None


class PasswordRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The present password and the new one."""

    current_password: Password
    new_password: NewPassword


class Session(msgspec.Struct, frozen=True):
    """One place where somebody is logged in. current: whether it is the one that asks."""

    id: str
    current: bool
    address: str
    agent: str
    created_at: str
    last_seen_at: str
    expires_at: str
    stepped_up_until: str | None


class EndedSessions(msgspec.Struct, frozen=True):
    """How many sessions ended."""

    ended: int


async def _list_sessions(call: Call) -> Page[Session]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    now_us = call.services.clock.now_us()
    found = await call.services.database.read_async(
        sessions.list_page,
        call.principal.user or "",
        now_us,
        now_us - IDLE_US,
        query.limit + 1,
        query.order == "desc",
        after,
    )
    return page(call, found, [row["id"] for row in found], lambda row: _session(row, call.principal.session))


async def _end_session(call: Call) -> Effect:
    session, user = call.path["id"], call.principal.user or ""
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> None:
        if not sessions.end(tx, user, session, now_us):
            raise NotFound(f"you have no session {session!r} that has not ended; GET /v1/auth/sessions lists yours")
        audit.record(tx, "", "", call.who, "session.end", session, {}, now_us)

    return Effect(effect)


async def _end_others(call: Call) -> Effect:
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> EndedSessions:
        ended = sessions.end_all(tx, call.principal.user or "", now_us, besides=call.principal.session or "")
        audit.record(tx, "", "", call.who, "session.end_others", call.principal.user or "", {"ended": ended}, now_us)
        return EndedSessions(ended)

    return Effect(effect)


async def _step_up(call: Call) -> Effect:
    request: StepUpRequest = call.body
    if (request.password is None) == (request.credential is None):
        raise Refused(
            "invalid_input",
            "send either a password or the credential of a passkey",
            [FieldError("/password", "one of password and credential is required, and not both")],
        )
    user, session = call.principal.user or "", call.principal.session or ""
    if request.credential is not None:
        return await _step_up_by_passkey(call, request.credential)
    proved = await call.services.proofs.again(user, request.password or "", request.code, call.who)
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Raw:
        _still_right(tx, proved)
        settle(tx, proved)
        audit.record(tx, "", "", call.who, "step_up", session, {"by": proved.method}, now_us)
        return stepped_up(session, renew(tx, session, now_us, step_up=True), now_us)

    return Effect(effect)


async def _step_up_by_passkey(call: Call, credential: dict[str, Any]) -> Effect:
    answer = await call.services.proofs.by_passkey(site_of(call), credential, call.who)
    if answer.user != call.principal.user:
        raise WrongCredentials(passkeys.WRONG)
    session = call.principal.session or ""
    now_us = call.services.clock.now_us()

    def effect(tx: Tx) -> Raw:
        passkeys.use(tx, answer, now_us)
        audit.record(tx, "", "", call.who, "step_up", session, {"by": "passkey"}, now_us)
        return stepped_up(session, renew(tx, session, now_us, step_up=True), now_us)

    return Effect(effect)


async def _change_password(call: Call) -> Effect:
    request: PasswordRequest = call.body
    services, user, session = call.services, call.principal.user or "", call.principal.session or ""
    person = await services.database.read_async(rows.get_user, user)
    refuse_password("/new_password", request.new_password, "" if person is None else person["email"])
    proved = await services.proofs.password_again(user, request.current_password, call.who)
    hashed = await services.passwords.hash(request.new_password)
    now_us = services.clock.now_us()

    def effect(tx: Tx) -> Raw:
        _still_right(tx, proved)
        settle(tx, proved)
        rows.set_password(tx, user, hashed, now_us)
        sessions.end_all(tx, user, now_us, besides=session)
        sessions.drop_challenges(tx, user)
        audit.record(tx, "", "", call.who, "password.change", user, {}, now_us)
        token = renew(tx, session, now_us, step_up=False)
        return renewed(session, token)

    return Effect(effect)


def _still_right(tx: Tx, proved: Proved) -> None:
    current = rows.get_user(tx, proved.user, lock=True)
    if current is None or current["password_hash"] != proved.password_hash:
        raise WrongCredentials("the password was changed at this moment; send it again")


def _session(row: dict[str, Any], current: str | None) -> Session:
    return Session(
        id=row["id"],
        current=row["id"] == current,
        address=row["address"],
        agent=row["agent"],
        created_at=moment(row["created_at"]) or "",
        last_seen_at=moment(row["last_seen_at"]) or "",
        expires_at=moment(row["expires_at"]) or "",
        stepped_up_until=moment(row["stepped_up_until"]),
    )


_BODY = ("malformed_json", "unsupported_media_type", "too_large")
_REPLAYED = ("malformed_header", "idempotency_mismatch", "idempotency_running")
OPERATIONS = [
    Operation(
        "GET", "/v1/auth/sessions", "list_sessions", "Where you are logged in", "accounts", PERSON,
        _list_sessions, Page[Session], PageQuery,
        description="Sessions end when you end them, after 24 hours without use, and after 14 days.",
    ),
    Operation(
        "DELETE", "/v1/auth/sessions/{id}", "end_session", "End one of your sessions now", "accounts", PERSON,
        _end_session, status=204, errors=("not_found",),
    ),
    Operation(
        "POST", "/v1/auth/sessions/end-others", "end_other_sessions", "End every session but this one", "accounts",
        PERSON, _end_others, EndedSessions, idempotent=True, errors=_REPLAYED,
    ),
    Operation(
        "POST", "/v1/auth/step-up", "step_up", "Prove again who you are", "accounts", PERSON,
        _step_up, SteppedUp, body=StepUpRequest, body_bytes=CREDENTIAL_BYTES,
        errors=(*_BODY, "wrong_credentials", "second_factor_required", "rate_limited"),
        example={"password": sample_values.PASSWORD},
        description="For ten minutes you may then do what needs it. The session gets a new token. It takes no "
        "Idempotency-Key: of a body that holds a password nothing is kept, no digest either.",
    ),
    Operation(
        "POST", "/v1/auth/password", "change_password", "Change your password", "accounts", PERSON,
        _change_password, Renewed, body=PasswordRequest, errors=(*_BODY, "wrong_credentials", "rate_limited"),
        example={"current_password": sample_values.PASSWORD, "new_password": sample_values.NEW_PASSWORD},
        description="Your other sessions end, and this one gets a new token. It takes no Idempotency-Key: of a body "
        "that holds a password nothing is kept, no digest either.",
    ),
]  # fmt: skip
