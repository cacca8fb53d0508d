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
from typing import Any

from tradewright import ids
from tradewright.accounts.principal import Signing
from tradewright.accounts.scopes import checked
from tradewright.clock import format_us
from tradewright.errors import InvalidInput
from tradewright.storage import accounts, audit, outbox, people
from tradewright.storage.audit import Actor
from tradewright.storage.database import Tx
from tradewright.storage.vault import Vault

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


@dataclass(frozen=True, slots=True)
class Terms:
    """What a key may do, from where, until when, and how its requests are signed. networks: none means anywhere.
    created_by: the person who made it, or who made the key that made it; None at the command line."""

    name: str
    scopes: tuple[str, ...]
    expires_at: int | None = None
    networks: tuple[str, ...] = ()
    signing: Signing | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key. text and signing_secret exist nowhere else."""

    id: str
    text: str
    signing_secret: str | None = None


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
    """Store a new key that may be used from anywhere, unsigned; return its id and its text.

    shown: False when the text has yet to reach a person (see `storage.accounts.mark_key_shown`). Raises InvalidInput
    for an unknown environment, UnknownName for an unknown scope.
    """
    row, text = _new(organization, environment, Terms(name, tuple(scopes), expires_at), now_us)
    accounts.add_api_key(tx, {**row, "shown_at": now_us if shown else None})
    return row["id"], text


def issue(tx: Tx, vault: Vault, organization: str, environment: str, terms: Terms, now_us: int) -> Issued:
    """Store a new key; one that signs by HMAC gets a secret of its own, sealed in the vault.

    Raises InvalidInput for an unknown environment, UnknownName for an unknown scope.
    """
    row, text = _new(organization, environment, terms, now_us)
    secret = None
    if terms.signing is not None:
        row["signing"] = {
            "algorithm": terms.signing.algorithm,
            "required": terms.signing.required,
            "public_key": terms.signing.public_key,
        }
        if terms.signing.public_key is None:
            secret = "tws_" + _random(32, _SECRET)
            row["signing_secret"] = vault.seal(secret.encode(), place_of(row["id"]))
    accounts.add_api_key(tx, {**row, "shown_at": now_us})
    return Issued(row["id"], text, secret)


def tell_made(
    tx: Tx, tenant: tuple[str, str], who: Actor, key: str, terms: Terms, now_us: int, replaces: str | None = None
) -> None:
    """Write a new key to the audit log of (organization, environment), and tell of it. replaces: the one it rolls."""
    facts = {"environment": tenant[1], "scopes": list(terms.scopes), "expires_at": _written(terms.expires_at)}
    action, detail = (
        ("api_key.create", facts) if replaces is None else ("api_key.roll", {**facts, "replaces": replaces})
    )
    audit.record(tx, *tenant, who, action, key, detail, now_us)
    outbox.append(tx, *tenant, [("api_key.created", key, None, {"id": key, **facts})], now_us)


def revoke(tx: Tx, organization: str, key: str, who: Actor, now_us: int) -> bool:
    """Revoke a key of the organization, on the record; return False when it has none that is still valid."""
    people.lock_whole_organization(tx, organization)  # whoever uses the key at this moment comes before or after
    reason = f"revoked by {who.actor}"
    if not accounts.revoke_api_key(tx, organization, key, now_us, reason):
        return False
    tenant = (organization, accounts.environment_of_key(tx, organization, key))
    audit.record(tx, *tenant, who, "api_key.revoke", key, {}, now_us)
    outbox.append(tx, *tenant, [("api_key.revoked", key, None, {"id": key, "reason": reason})], now_us)
    return True


def place_of(key: str) -> str:
    """Return the place of a key's signing secret in the vault."""
    return f"api_keys/{key}"


def shown_prefix(environment: str, public_id: str) -> str:
    """Return the part of a key that may be shown: enough to recognise it, nothing of its secret."""
    return f"tw_{environment}_{public_id}"


def _new(organization: str, environment: str, terms: Terms, now_us: int) -> tuple[dict[str, Any], str]:
    if environment not in ids.ENVIRONMENTS:
        raise InvalidInput(f"there is no environment {environment!r}; choose one of {', '.join(ids.ENVIRONMENTS)}")
    public_id = "".join(secrets.choice(_DIGITS) for _ in range(_PUBLIC))
    secret = _random(32, _SECRET)
    start = shown_prefix(environment, public_id) + secret
    row = {
        "id": ids.new("key"),
        "organization": organization,
        "environment": environment,
        "public_id": public_id,
        "name": terms.name,
        "secret_hash": digest(secret),
        "scopes": checked(list(terms.scopes)),
        "addresses": list(terms.networks) or None,
        "created_by": terms.created_by,
        "created_at": now_us,
        "expires_at": terms.expires_at,
    }
    return row, start + _checksum(start)


def _written(moment: int | None) -> str | None:
    return None if moment is None else format_us(moment)


def _random(size: int, width: int) -> str:
    return _base62(int.from_bytes(secrets.token_bytes(size), "big")).rjust(width, "0")


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
