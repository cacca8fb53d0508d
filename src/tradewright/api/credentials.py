"""What the operations of people share: the values they take, and the answers that carry a session."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tradewright.accounts.passkeys import Site
from tradewright.accounts.passwords import LONGEST, SHORTEST, refusal
from tradewright.accounts.sessions import COOKIE, STEP_UP_US, Opened, csrf_token
from tradewright.api.dispatch import encode
from tradewright.api.names import NAME
from tradewright.api.operations import Call, Raw
from tradewright.api.problems import FieldError, Refused
from tradewright.api.wire import moment

_PART = r"[^@\x00-\x20\x7f-\xa0\u2000-\u206f\u3000]+"
Email = Annotated[
    str,
    msgspec.Meta(
        min_length=3,
        max_length=254,
        pattern=rf"^{_PART}@{_PART}\Z",
        examples=["ada@example.com"],
        extra={"words": "an e-mail address: one @, something before and after it, and no space"},
    ),
]
NAMED = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f-\xa0][^\x00-\x1f\x7f]*\Z"
PersonName = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=NAMED, examples=["Ada"], extra=NAME)]
OrganizationName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=100, pattern=NAMED, examples=["Acme"], extra=NAME)
]
NewPassword = Annotated[
    str, msgspec.Meta(min_length=SHORTEST, max_length=LONGEST, examples=["a sentence nobody else says"])
]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=512, examples=["a sentence nobody else says"])]
Code = Annotated[str, msgspec.Meta(min_length=6, max_length=32, examples=["123456"])]
Token = Annotated[str, msgspec.Meta(min_length=20, max_length=128)]
Credential = Annotated[dict[str, Any], msgspec.Meta(description="The JSON of a PublicKeyCredential.")]
CREDENTIAL_BYTES = 16_384
"""Of a body with a credential, several times those of any that is asked for: what is packed inside may say that
it is a number of any length, or a pattern, and to read one takes a time that grows with the square of its length."""


class PasskeyOptions(msgspec.Struct, frozen=True):
    """What `navigator.credentials` is given, as JSON: `PublicKeyCredential.parse...OptionsFromJSON` reads it."""

    options: dict[str, Any]


class LoggedIn(msgspec.Struct, frozen=True):
    """The session now in the cookie. csrf_token: to send back in Tradewright-CSRF with every change."""

    session: str
    csrf_token: str
    user: str
    expires_at: str


class SteppedUp(msgspec.Struct, frozen=True):
    """The session has a new token now, in the cookie, and with it a new csrf_token."""

    session: str
    csrf_token: str
    stepped_up_until: str


class Renewed(msgspec.Struct, frozen=True):
    """The session has a new token now, in the cookie, and with it a new csrf_token."""

    session: str
    csrf_token: str


def refuse_password(pointer: str, password: str, email: str) -> None:
    """Return when this may be a new password. Raises Refused."""
    why = refusal(password, email)
    if why is not None:
        raise Refused("invalid_input", f"the password was refused: it {why}", [FieldError(pointer, why)])


def site_of(call: Call) -> Site:
    """Return what passkeys of this installation are bound to."""
    rules = call.services.rules
    return Site(rules.site_name, sorted(rules.browser_origins))


def logged_in(opened: Opened, user: str) -> Raw:
    """Return the answer to a login: the session in a cookie, and what a page needs to use it."""
    answer = LoggedIn(opened.id, csrf_token(opened.token), user, moment(opened.expires_at) or "")
    return Raw(encode(answer), "application/json", 200, {"Set-Cookie": _cookie(opened.token)})


def stepped_up(session: str, token: str, now_us: int) -> Raw:
    """Return the answer to a proof within a session."""
    answer = SteppedUp(session, csrf_token(token), moment(now_us + STEP_UP_US) or "")
    return Raw(encode(answer), "application/json", 200, {"Set-Cookie": _cookie(token)})


def renewed(session: str, token: str) -> Raw:
    """Return the answer that carries another token of the same session."""
    return Raw(encode(Renewed(session, csrf_token(token))), "application/json", 200, {"Set-Cookie": _cookie(token)})


def ended() -> Raw:
    """Return the answer after which a browser has nothing of the session left."""
    gone = f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"
    headers = {"Set-Cookie": gone, "Clear-Site-Data": '"cache", "cookies", "storage"'}
    return Raw(b"", "application/json", 204, headers)


def _cookie(token: str) -> str:
    return f"{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Lax"
