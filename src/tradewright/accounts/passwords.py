"""Passwords: what may be one, and what is kept of it. Hashing is slow on purpose, so few are hashed at once."""

from __future__ import annotations

import asyncio
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from tradewright.errors import TooManyRequests

if TYPE_CHECKING:
    from argon2 import PasswordHasher

R = TypeVar("R")
SHORTEST, LONGEST = 8, 128


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash costs. Source of the floor (1 round, 46 MiB, 1 lane): OWASP ASVS 5.0, appendix on cryptography."""

    rounds: int = 2
    memory_kib: int = 64 * 1024
    lanes: int = 1


def normalised(password: str) -> str:
    """Return the password in the one form in which it is hashed and compared."""
    return unicodedata.normalize("NFC", password)


def refusal(password: str, email: str) -> str | None:
    """Return why this may not be a new password, None when it may. Longer is better; no kind of character is asked for.

    Source of the common ones: the list of the package zxcvbn, 30,000 by frequency.
    """
    text = normalised(password)
    if not SHORTEST <= len(text) <= LONGEST:
        return f"must have {SHORTEST} to {LONGEST} characters; it has {len(text)}"
    if text.lower() in _common():
        return "is among the 30,000 most common ones, which are tried first; choose one that nobody else has"
    local = email.partition("@")[0]
    if local and text.lower() in (local, email):
        return "is the e-mail address or the part before its @; choose one that nobody can guess"
    return None


@cache
def _common() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # read at the first new password

    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST)


class Passwords:
    """Hashes and compares, `parallel` at a time in threads of its own; beyond `waiting` more it refuses."""

    def __init__(self, cost: Cost | None = None, parallel: int = 2, waiting: int = 32) -> None:
        self._cost = cost if cost is not None else Cost()
        self._places = parallel + waiting
        self._taken = 0
        self._guard = threading.Lock()
        self._pool = ThreadPoolExecutor(parallel, "passwords")
        self.runs = 0  # how many hashes were computed

    async def hash(self, password: str) -> str:
        """Return what is kept of a password. Raises TooManyRequests when too many wait."""
        return await self._run(lambda: self._hasher().hash(normalised(password)))

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """Return whether it is the password. Takes as long when there is none to compare with.

        Raises TooManyRequests when too many wait.
        """
        from argon2.exceptions import InvalidHashError, VerificationError

        if password_hash is None:
            await self.hash(password)
            return False
        kept = password_hash
        try:
            return await self._run(lambda: self._hasher().verify(kept, normalised(password)))
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, password_hash: str) -> bool:
        """Return whether it was made at another cost than is asked for now."""
        return self._hasher().check_needs_rehash(password_hash)

    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        cost = self._cost
        return PasswordHasher(cost.rounds, cost.memory_kib, cost.lanes)

    async def _run(self, work: Callable[[], R]) -> R:
        with self._guard:
            if self._taken >= self._places:
                raise TooManyRequests("too many people log in at this moment; try again in 2 s", retry_after_s=2)
            self._taken += 1
            self.runs += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._leave)  # when the work has ended, not when nobody waits for it any more
        return await asyncio.wrap_future(future)

    def _leave(self, _: object) -> None:
        with self._guard:
            self._taken -= 1
