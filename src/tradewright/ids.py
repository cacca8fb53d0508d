"""Identifiers: a type prefix and 26 characters, random or derived from what the thing is.

A derived id makes doing something twice visible: the same inputs give the same id, and a unique index refuses the
second.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from typing import NewType

Organization = NewType("Organization", str)
Environment = NewType("Environment", str)
Owner = NewType("Owner", str)

SYSTEM = Owner("system")
ENVIRONMENTS = ("sandbox", "paper", "live")

_ALPHABET = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz")


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).translate(_ALPHABET).decode().rstrip("=")[:26]


def new(prefix: str) -> str:
    """Return a fresh id whose text order is the order of creation: milliseconds, then 80 random bits."""
    stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    return f"{prefix}_{_text(stamp + os.urandom(10) + b'0000')}"


def derive(prefix: str, *parts: object) -> str:
    """Return the id that these parts always give. Parts are joined with a byte that text does not contain."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return f"{prefix}_{_text(digest[:17])}"
