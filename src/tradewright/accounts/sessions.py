"""Sessions of people: a random token in a cookie, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from tradewright import ids
from tradewright.accounts.principal import ROLES, Principal
from tradewright.clock import Clock
from tradewright.errors import InvalidInput, NotFound, Unauthenticated
from tradewright.storage import sessions
from tradewright.storage.database import Database, Tx

COOKIE = "__Host-tradewright"
IDLE_US = 24 * 3600 * 1_000_000
LONGEST_US = 14 * IDLE_US
STEP_UP_US = 600 * 1_000_000
_SEEN_US = 60_000_000  # how often it is written down that a session is in use
_ENDED = "this session has ended; log in again with POST /v1/auth/login."


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and its token, which exists nowhere else."""

    id: str
    token: str
    expires_at: int


def csrf_token(token: str) -> str:
    """Return what a page must send back in Tradewright-CSRF with every request that changes something."""
    return hmac.new(token.encode(), b"tradewright csrf", hashlib.sha256).hexdigest()


def open_session(tx: Tx, user: str, address: str, agent: str, now_us: int, stepped_up: bool = False) -> Opened:
    """Store a new session of a person and return it. stepped_up: whether they count as asked again just now."""
    session, token = ids.new("ses"), secrets.token_urlsafe(32)
    sessions.add(
        tx,
        {
            "id": session,
            "token_hash": digest(token),
            "user": user,
            "address": address,
            "agent": agent[:256],
            "created_at": now_us,
            "last_seen_at": now_us,
            "expires_at": now_us + LONGEST_US,
            "stepped_up_until": now_us + STEP_UP_US if stepped_up else None,
        },
    )
    return Opened(session, token, now_us + LONGEST_US)


def renew(tx: Tx, session: str, now_us: int, step_up: bool) -> str:
    """Give a session a new token, as after every proof, and return it. Raises Unauthenticated when it has ended.

    step_up: the person counts as asked again for ten minutes.
    """
    token = secrets.token_urlsafe(32)
    if not sessions.renew(tx, session, digest(token), now_us + STEP_UP_US if step_up else None):
        raise Unauthenticated(_ENDED)
    return token


def confirm(tx: Tx, principal: Principal, now_us: int) -> Principal:
    """Return who holds the session now, in the transaction of what they asked for. Raises Unauthenticated where it has
    ended, NotFound where they belong to the organization no longer."""
    row = sessions.with_role(tx, principal.session or "", principal.organization)
    return _as_member(_alive(row, now_us), principal.organization, principal.environment)


def _alive(row: dict[str, Any] | None, now_us: int) -> dict[str, Any]:
    if row is None or row["ended_at"] is not None or row["expires_at"] <= now_us:
        raise Unauthenticated(_ENDED)
    return row


def _as_member(row: dict[str, Any], organization: str, environment: str) -> Principal:
    if organization and row["role"] is None:
        raise NotFound(f"there is no organization {organization!r} among yours; GET /v1/organizations lists them")
    role = row["role"] if organization else None
    return Principal(
        organization,
        environment if organization else "",
        ROLES[role] if role is not None else frozenset(),
        user=row["user"],
        session=row["id"],
        role=role,
        stepped_up_until=row["stepped_up_until"] or 0,
    )


def digest(token: str) -> bytes:
    """Return what is stored of a token; it has 256 random bits, so that one round is enough."""
    return hashlib.sha256(token.encode()).digest()


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
        now_us = self._clock.now_us()
        found = await self._database.read_short_async(sessions.by_token, digest(token), organization)
        row = _alive(found, now_us)
        if row["last_seen_at"] <= now_us - IDLE_US:
            raise Unauthenticated(
                "this session was not used for 24 hours and has ended; log in again with POST /v1/auth/login."
            )
        principal = _as_member(row, organization, environment)
        if (organization or environment) and environment not in ids.ENVIRONMENTS:
            raise InvalidInput(
                f"there is no environment {environment!r}; name one of {', '.join(ids.ENVIRONMENTS)} in "
                "Tradewright-Environment"
            )
        if now_us - row["last_seen_at"] >= _SEEN_US:
            await self._database.write_async(sessions.touch, row["id"], now_us)
        return principal
