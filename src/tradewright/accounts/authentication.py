"""Who a request comes from: keys, remembered for as long as a revocation may take to act elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import itertools
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from tradewright.accounts import keys
from tradewright.accounts.principal import ROLES, Network, Principal, Signing
from tradewright.clock import Clock, format_us
from tradewright.errors import Forbidden, Unauthenticated
from tradewright.storage import accounts
from tradewright.storage.database import Database, Tx

_FRESH_US = 1_500_000  # a key revoked elsewhere is refused within two seconds
_KEPT = 10_000
_BATCH = 63  # keys in use that are read again together: one read for each of them would cost more than the requests
_ANOTHER = "ask who gave it to you, or make a new one with POST /v1/api-keys or `tradewright keys create`."
_NOT_VALID = f"this API key is not valid; {_ANOTHER}"
_MAKER_GONE = "who made it belongs to the organization no longer"
USES_APART_US = 60_000_000
"""How far apart the stored moments of a key's use are, at least."""


@dataclass(frozen=True, slots=True)
class _Known:
    loaded_at: int
    state: Hashable
    secret_hash: bytes
    principal: Principal
    environment: str
    ends_at: int | None

    def ended(self, now_us: int) -> bool:
        return self.ends_at is not None and self.ends_at <= now_us


@dataclass(frozen=True, slots=True)
class _Parts:
    environment: str
    public_id: str
    secret_hash: bytes


class Authenticator:
    """Checks keys. A revocation acts at once where `forget` was called, elsewhere within two seconds."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()  # the one read longest ago first
        self._texts: dict[bytes, _Parts] = {}  # by the digest of the whole key
        self._used: set[str] = set()  # since they were read
        self._uses: dict[str, tuple[int, str, str]] = {}  # by id, not stored yet
        self._noted: dict[str, int] = {}  # by id, when this process noted a use
        self._forgotten = 0

    async def principal(self, text: str, address: str = "") -> Principal:
        """Return who holds the key. Raises Unauthenticated, saying no more than that the key is not valid to who does
        not hold all of it, and Forbidden for an address outside of the key's networks.

        address: where it is used from, for its networks. A use is noted only by `note_use`: there may be a signature to
        check first.
        """
        parts = self._read(text)
        now_us = self._clock.now_us()
        known = self._known.get(parts.public_id)
        if known is None or not self._holds(known, now_us):
            known = await self._load(parts.public_id, now_us)
        else:
            self._used.add(parts.public_id)
        if (
            known is None
            or not hmac.compare_digest(known.secret_hash, parts.secret_hash)
            or known.environment != parts.environment
        ):
            raise Unauthenticated(_NOT_VALID)
        if known.ended(now_us):
            raise _ended(known)
        return _used_from(known.principal, address)

    def _holds(self, known: _Known, now_us: int) -> bool:
        # a clock may step back; and while nothing of it was changed, a key is what it was
        return 0 <= now_us - known.loaded_at <= _FRESH_US or known.state == self._state()

    def _state(self) -> Hashable:
        return self._database.state(accounts.api_keys_by_public_id)

    def note_use(self, principal: Principal, address: str, agent: str) -> None:
        """Remember where a key was used from, once all that a request proves itself with was checked."""
        now_us, key = self._clock.now_us(), principal.actor
        before = self._noted.get(key, principal.used_at)
        if before is None or now_us - before >= USES_APART_US:
            if len(self._noted) >= _KEPT:
                self._noted.clear()
            self._noted[key] = now_us
            self._uses[key] = (now_us, address, agent[:256])

    def _read(self, text: str) -> _Parts:
        place = hashlib.sha256(text.encode()).digest()  # so that no key stands in memory longer than its request
        known = self._texts.get(place)
        if known is not None:
            return known
        parts = keys.parse(text)
        if parts is None:
            raise Unauthenticated(
                "this is not an API key (its form or checksum is wrong); copy it again, whole, from where it was shown"
            )
        if len(self._texts) >= _KEPT:
            self._texts.clear()
        made = self._texts[place] = _Parts(parts.environment, parts.public_id, keys.digest(parts.secret))
        return made

    def forget(self, *wanted: str) -> None:
        """Read these keys anew before they are believed again: to be called once their change is committed."""
        self._forgotten += 1  # a read that is under way may have seen them as they were
        for name in [name for name, known in self._known.items() if known.principal.key in wanted]:
            del self._known[name]

    def forget_all(self) -> None:
        """Read every key anew: to be called once a change of an organization or of its people is committed."""
        self._forgotten += 1
        self._known.clear()

    def take_uses(self) -> list[tuple[str, int, str, str]]:
        """Return (key, time, address, agent) of uses that are to be stored, and hold them no longer. Any thread."""
        taken, self._uses = self._uses, {}
        return [(key, *use) for key, use in list(taken.items())]

    async def _load(self, public_id: str, now_us: int) -> _Known | None:
        wanted = [public_id, *self._stale_and_used(public_id, now_us)]
        while True:
            seen, state = self._forgotten, self._state()
            rows = await self._database.read_short_async(accounts.api_keys_by_public_id, wanted)
            if seen == self._forgotten:
                break
        found = {row["public_id"]: row for row in rows}
        for name in wanted:
            self._known.pop(name, None)
            if name in found:
                self._known[name] = _known(found[name], now_us, state)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return self._known.get(public_id)

    def _stale_and_used(self, besides: str, now_us: int) -> list[str]:
        while self._known:  # what nobody used in its time would only stand before those in use
            name = next(iter(self._known))
            if name in self._used or now_us - self._known[name].loaded_at <= _FRESH_US:
                break
            del self._known[name]
        # half the time a key is remembered: so that keys in use are read again before a request has to wait for it
        oldest = itertools.takewhile(
            lambda name: now_us - self._known[name].loaded_at > _FRESH_US // 2, itertools.islice(self._known, _BATCH)
        )
        names = [name for name in oldest if name in self._used and name != besides]
        self._used.difference_update(names, (besides,))
        return names


def confirm(tx: Tx, principal: Principal, address: str, now_us: int) -> Principal:
    """Return who holds the key now, in the transaction of what was asked with it. Raises as `Authenticator.principal`
    does."""
    row = accounts.api_key_with_role(tx, principal.key or "")
    known = None if row is None else _known(row, now_us, None)
    if known is None:
        raise Unauthenticated(_NOT_VALID)
    if known.ended(now_us):
        raise _ended(known)
    return _used_from(known.principal, address)


def _ended(known: _Known) -> Unauthenticated:
    # whoever hears this has shown the whole key
    why = f"it was revoked, or expired, at {format_us(known.ends_at)}" if known.ends_at else _MAKER_GONE
    return Unauthenticated(f"this API key is not valid any more: {why}; {_ANOTHER}")


def _used_from(principal: Principal, address: str) -> Principal:
    if principal.networks and not _within(address, principal.networks):
        raise Forbidden(
            f"this API key may not be used from {address or 'an unknown address'}; its networks are those that "
            "GET /v1/api-keys shows",
            address=address,
        )
    return principal


def scopes_now(row: Mapping[str, Any], now_us: int) -> frozenset[str]:
    """Return the scopes of a key that hold now: none when it has ended, else those that the role of who made it holds
    too, if a person did."""
    ends_at = _ends_at(row)
    return _scopes(row) if ends_at is None or now_us < ends_at else frozenset()


def _ends_at(row: Mapping[str, Any]) -> int | None:
    ends = [moment for moment in (row["revoked_at"], row["expires_at"]) if moment is not None]
    if row["created_by"] is not None and row["creator_role"] is None:
        ends.append(0)  # who made it belongs to the organization no longer
    return min(ends, default=None)


def _scopes(row: Mapping[str, Any]) -> frozenset[str]:
    scopes = frozenset(row["scopes"])
    return scopes if row["created_by"] is None else scopes & ROLES.get(row["creator_role"] or "", frozenset())


def _known(row: dict[str, Any], now_us: int, state: Hashable) -> _Known:
    principal = Principal(
        row["organization"],
        row["environment"],
        _scopes(row),
        key=row["id"],
        user=row["created_by"],
        signing=_signing(row),
        networks=tuple(ipaddress.ip_network(text) for text in row["addresses"] or ()),
        used_at=row["last_used_at"],
    )
    return _Known(now_us, state, bytes(row["secret_hash"]), principal, row["environment"], _ends_at(row))


def _signing(row: dict[str, Any]) -> Signing | None:
    if row["signing"] is None:
        return None
    return Signing(**row["signing"], secret=row["signing_secret"])


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return any((mapped or parsed) in network for network in networks)
