"""Passkeys: what a browser is asked, and whether its answer is right. Verification is pure, and no part of a
transaction; a challenge and the count of a passkey are used up inside one."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tradewright.accounts.public_keys import refuse_weak
from tradewright.accounts.sessions import digest
from tradewright.errors import InvalidInput, TradewrightError, WrongCredentials
from tradewright.storage import factors, sessions
from tradewright.storage.database import Tx

ASKED_US = 300 * 1_000_000
_TIMEOUT_MS = ASKED_US // 1000
REGISTER, LOGIN = "passkey.register", "passkey.login"
WRONG = "this passkey is not right, or is not known here."
_NO_ANSWER = (
    "the credential is no answer to the options of this site that can be checked: it is damaged, or was made for "
    "another site or purpose; ask anew with POST /v1/auth/passkeys/options and send what `credential.toJSON()` gives"
)
_NO_KEY = (
    "the public key of the passkey is none that a signature could be checked with; send one of ES256, Ed25519 or "
    "RS256, as the options ask for"
)
_VERIFIED = 0x04  # of the flags: a fingerprint, a face or a PIN was asked for
_STALE = (
    "what the browser answered was not asked, was answered before, or was asked more than 5 minutes ago; begin anew"
)


@dataclass(frozen=True, slots=True)
class Site:
    """What passkeys are bound to: a host name, and the origins whose pages may use them."""

    name: str
    origins: Sequence[str]


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A credential that was checked."""

    credential: bytes
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a known passkey that was checked, and has yet to be used up."""

    passkey: str
    user: str
    challenge: bytes
    sign_count: int


def new_challenge() -> bytes:
    """Return a fresh challenge; it counts once `asked` has stored it."""
    return secrets.token_bytes(32)


def asked(tx: Tx, challenge: bytes, purpose: str, user: str | None, now_us: int) -> None:
    """Store what is asked of a person, or of whoever answers."""
    sessions.add_challenge(tx, _digest(challenge), user, purpose, b"", now_us, now_us + ASKED_US)


def answered(tx: Tx, challenge: bytes, purpose: str, user: str | None, now_us: int) -> None:
    """Use a challenge up. Raises WrongCredentials when it was not asked, of this person, or was answered before."""
    row = sessions.take_challenge(tx, _digest(challenge), purpose, now_us)
    if row is None or row["user"] != user:
        raise WrongCredentials(_STALE)


def use(tx: Tx, answer: Answer, now_us: int) -> None:
    """Use up an answer: its challenge, and the count of its passkey. Raises WrongCredentials when it was used."""
    answered(tx, answer.challenge, LOGIN, None, now_us)
    if not factors.use_passkey(tx, answer.passkey, answer.sign_count, now_us):
        raise WrongCredentials(WRONG)


def registration_options(
    site: Site, user: str, email: str, name: str, challenge: bytes, known: Sequence[bytes]
) -> dict[str, Any]:
    """Return what `navigator.credentials.create` is given. known: credentials that must not be registered twice."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_registration_options(
        rp_id=site.name,
        rp_name="Tradewright",
        user_id=user.encode(),
        user_name=email,
        user_display_name=name,
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[structs.PublicKeyCredentialDescriptor(id=one) for one in known],
    )
    return dict(json.loads(webauthn.options_to_json(options)))


def login_options(site: Site, challenge: bytes) -> dict[str, Any]:
    """Return what `navigator.credentials.get` is given; it names no person."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_authentication_options(
        rp_id=site.name,
        challenge=challenge,
        timeout=_TIMEOUT_MS,
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return dict(json.loads(webauthn.options_to_json(options)))


def challenge_of(credential: dict[str, Any]) -> bytes:
    """Return the challenge that an answer of a browser claims to be for. Raises InvalidInput."""
    try:
        told = json.loads(_bytes(credential["response"]["clientDataJSON"]))
        return _bytes(told["challenge"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(
            "credential must be the JSON of a PublicKeyCredential, with response.clientDataJSON; send what "
            "`credential.toJSON()` gives",
            pointer="/credential",
        ) from error


def credential_of(credential: dict[str, Any]) -> bytes:
    """Return the id of the credential that answers. Raises InvalidInput."""
    try:
        return _bytes(credential["id"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            "credential must have its id, base64url; send what `credential.toJSON()` gives", pointer="/credential"
        ) from error


def verify_registration(site: Site, credential: dict[str, Any], challenge: bytes) -> NewPasskey:
    """Return the new credential. Raises InvalidInput."""
    import webauthn

    _refuse_what_was_not_asked(site, credential)
    with _refusing(InvalidInput(_NO_ANSWER, pointer="/credential")):
        checked = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.name,
            expected_origin=list(site.origins),
            require_user_verification=True,
        )
    _refuse_useless(checked.credential_public_key)
    return NewPasskey(checked.credential_id, checked.credential_public_key, checked.sign_count)


def _refuse_what_was_not_asked(site: Site, credential: dict[str, Any]) -> None:
    from webauthn.helpers import parse_cbor

    with _refusing(InvalidInput(_NO_ANSWER, pointer="/credential")):
        response = credential["response"]
        origin = str(json.loads(_bytes(response["clientDataJSON"]))["origin"])
        made = parse_cbor(_bytes(response["attestationObject"]))
        form, statement, verified = str(made["fmt"]), made["attStmt"], made["authData"][32] & _VERIFIED
        # browsers hand on a `packed` one without certificates, by which the passkey vouches for itself, unasked
        wanted = form == "none" or (form == "packed" and "x5c" not in statement)
    why = None
    if origin not in site.origins:
        why = f"was made at {origin[:200]!r}, and this site is {' or '.join(site.origins)}; make one there"
    elif not verified:
        why = "did not check who holds it; use one that asks for a fingerprint, a face or a PIN"
    elif not wanted:
        why = f"has an attestation of the form {form[:200]!r}, and `none` was asked for; leave the options as they were"
    if why is not None:
        raise InvalidInput(f"the passkey {why}", pointer="/credential")


def _refuse_useless(public_key: bytes) -> None:
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography

    kinds = {-8: Ed25519PublicKey, -7: EllipticCurvePublicKey, -257: RSAPublicKey}  # by what it says it signs with
    with _refusing(InvalidInput(_NO_KEY, pointer="/credential")):
        told = decode_credential_public_key(public_key)
        key = decoded_public_key_to_cryptography(told)
        if not isinstance(key, kinds[told.alg]):
            raise TypeError("of another kind")
    try:
        refuse_weak(key)
    except InvalidInput as error:
        raise InvalidInput(f"the public key of the passkey {error.message}", pointer="/credential") from None


@contextmanager
def _refusing(refusal: TradewrightError) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # over what is made to harm, the libraries raise errors of any kind
        raise refusal from error


def verify_login(site: Site, credential: dict[str, Any], challenge: bytes, passkey: dict[str, Any]) -> int:
    """Return the new count of a passkey that answered. Raises WrongCredentials, also when the count did not grow: then
    there are two of it."""
    import webauthn

    handle = credential["response"].get("userHandle")
    with _refusing(WrongCredentials(WRONG)):
        if handle is not None and _bytes(handle) != passkey["user"].encode():
            raise WrongCredentials(WRONG)
        checked = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.name,
            expected_origin=list(site.origins),
            credential_public_key=bytes(passkey["public_key"]),
            credential_current_sign_count=passkey["sign_count"],
            require_user_verification=True,
        )
    return checked.new_sign_count


def _digest(challenge: bytes) -> bytes:
    return digest(base64.b64encode(challenge).decode())


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not a text")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error
