"""Secrets at rest: sealed under a main key that can be replaced, each bound to the place it belongs to.

A sealed value is: format (1 byte), key id (4 bytes), nonce (12 bytes), AES-256-GCM of the secret. The place
(`table/id`) is authenticated with it, so a value copied to another row does not open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tradewright.errors import SettingsInvalid, StorageFailed

_FORMAT = b"\x01"


def new_main_key() -> str:
    """Return a fresh main key as text: base64 of 32 random bytes."""
    return base64.b64encode(os.urandom(32)).decode()


class Vault:
    """Seals with the first main key, opens with any. Raises SettingsInvalid for keys that are none.

    read_again: where the main keys stand when they may be replaced while this process runs. They are read before each
    seal, and when a secret was sealed with one that is not known yet.
    """

    def __init__(self, main_keys: Sequence[str], read_again: Callable[[], Sequence[str]] | None = None) -> None:
        self._ciphers: dict[bytes, AESGCM] = {}
        self._marking: dict[bytes, bytes] = {}
        self._read_again = read_again
        self._first = self._take(main_keys)

    def _take(self, main_keys: Sequence[str]) -> bytes:
        if not main_keys:
            raise SettingsInvalid("there is no main key; main_keys needs at least one, the base64 of 32 random bytes")
        raws = {_name(raw): raw for raw in map(_raw, main_keys)}
        found = {name: AESGCM(raw) for name, raw in raws.items()}
        self._ciphers = {**self._ciphers, **found}  # one that was dropped still opens what this process holds
        self._marking = {**self._marking, **{name: _of_marks(raw) for name, raw in raws.items()}}
        self._first = next(iter(found))
        return self._first

    def seal(self, secret: bytes, place: str) -> bytes:
        """Return the secret, sealed for this place."""
        if self._read_again is not None:
            self._take(self._read_again())
        first, nonce = self._first, os.urandom(12)
        return _FORMAT + first + nonce + self._ciphers[first].encrypt(nonce, secret, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Return the secret. Raises StorageFailed when no main key of ours sealed it, or it belongs elsewhere."""
        known = sealed[:1] == _FORMAT
        if known and sealed[1:5] not in self._ciphers and self._read_again is not None:
            self._take(self._read_again())
        cipher = self._ciphers.get(sealed[1:5]) if known else None
        if cipher is None:
            raise StorageFailed(
                f"the secret of {place} was sealed with a main key that is not in main_keys; add the old key after the "
                "new one"
            )
        try:
            return cipher.decrypt(sealed[5:17], sealed[17:], place.encode())
        except InvalidTag:
            raise StorageFailed(
                f"the secret of {place} does not open: it was changed, or moved from elsewhere"
            ) from None

    def marks(self, data: bytes) -> list[bytes]:
        """Return what may be kept to know this data again: the first is for keeping, any of them was kept for it.

        Without a main key nobody can tell what data a mark is of, however short the data is.
        """
        if self._read_again is not None:
            self._take(self._read_again())
        first, keys = self._first, self._marking
        names = [first, *(name for name in keys if name != first)]
        return [hmac.digest(keys[name], data, "sha256") for name in names]

    def is_current(self, sealed: bytes) -> bool:
        """Return whether it is sealed with the first main key."""
        return sealed[:5] == _FORMAT + self._first


def _name(raw: bytes) -> bytes:
    return hashlib.sha256(b"tradewright main key\0" + raw).digest()[:4]


def _of_marks(raw: bytes) -> bytes:
    return hmac.digest(raw, b"tradewright marks", "sha256")  # one key for one use


def _raw(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise SettingsInvalid(
            "a main key must be the base64 of exactly 32 random bytes; make one with `openssl rand -base64 32`"
        )
    return raw
