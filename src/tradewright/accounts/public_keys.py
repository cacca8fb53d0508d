"""Public keys that others hand in, and which of them prove nothing: anybody could sign for those. Pure."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tradewright.errors import InvalidInput

_RSA_BITS = (2048, 4096)
_SMALL = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)  # the eight points of small order, without the bit of the sign: RFC 8032, 5.1.2 and 5.1.3, computed by their test


def refuse_weak(key: object) -> None:
    """Return when a key that was loaded is one to rely on. Raises InvalidInput, which says what the key is instead."""
    if isinstance(key, RSAPublicKey) and not _RSA_BITS[0] <= key.key_size <= _RSA_BITS[1]:
        least, most = _RSA_BITS
        raise InvalidInput(f"is one of RSA with {key.key_size} bits; send one with {least} to {most}")
    if isinstance(key, Ed25519PublicKey):
        raw = key.public_bytes_raw()
        if raw[:-1] + bytes((raw[-1] & 0x7F,)) in _SMALL:
            raise InvalidInput(
                "is a point of small order, for which anybody can make valid signatures; send the public key of a pair "
                "that was made at random"
            )
