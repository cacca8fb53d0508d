"""API keys: `tw_<environment>_<public id><secret><checksum>`.

The secret has 256 random bits, so its SHA-256 is all that is stored; the checksum lets a scanner, and us, tell a
mistyped key from an unknown one without asking the database.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import zlib
from dataclasses import dataclass

from tradewright import ids
from tradewright.accounts.scopes import checked
from tradewright.errors import InvalidInput
from tradewright.storage import accounts
from tradewright.storage.database import Tx

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PUBLIC, _SECRET, _CHECK = 8, 43, 6


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What a well-formed key consists of."""

    environment: str
    public_id: str
    secret: str


def parse(text: str) -> KeyParts | None:
    """Return the parts of a key, None when it is not one or its checksum is wrong."""
    words = text.split("_")
    if len(words) != 3 or words[0] != "tw" or words[1] not in ids.ENVIRONMENTS:
        return None
    body = words[2]
    if len(body) != _PUBLIC + _SECRET + _CHECK or not body.isascii() or not body.isalnum():
        return None
    if not hmac.compare_digest(_checksum(text[:-_CHECK]), body[-_CHECK:]):
        return None
    return KeyParts(words[1], body[:_PUBLIC], body[_PUBLIC:-_CHECK])


def create(
    tx: Tx,
    organization: str,
    environment: str,
    name: str,
    scopes: list[str],
    now_us: int,
    expires_at: int | None = None,
    shown: bool = True,
) -> tuple[str, str]:
    """Store a new key; return its id and its text, which exists nowhere else.

    shown: False when the text has yet to reach a person (see `storage.accounts.mark_key_shown`). Raises InvalidInput
    for an unknown environment, UnknownName for an unknown scope.
    """
    if environment not in ids.ENVIRONMENTS:
        raise InvalidInput(f"there is no environment {environment!r}; choose one of {', '.join(ids.ENVIRONMENTS)}")
    public_id = "".join(secrets.choice(_DIGITS) for _ in range(_PUBLIC))
    secret = _base62(int.from_bytes(secrets.token_bytes(32), "big")).rjust(_SECRET, "0")
    start = f"tw_{environment}_{public_id}{secret}"
    key = ids.new("key")
    accounts.add_api_key(
        tx,
        {
            "id": key,
            "organization": organization,
            "environment": environment,
            "public_id": public_id,
            "name": name,
            "secret_hash": digest(secret),
            "scopes": checked(scopes),
            "created_at": now_us,
            "shown_at": now_us if shown else None,
            "expires_at": expires_at,
        },
    )
    return key, start + _checksum(start)


def digest(secret: str) -> bytes:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode())).rjust(_CHECK, "0")


def _base62(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 62)
        digits = _DIGITS[rest] + digits
    return digits
