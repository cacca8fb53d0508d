"""From the text of a key to the one who holds it, remembered for two seconds."""

from __future__ import annotations

import hmac
import itertools
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from tradewright.accounts import keys
from tradewright.accounts.principal import Principal
from tradewright.clock import Clock
from tradewright.errors import Unauthenticated
from tradewright.storage import accounts
from tradewright.storage.database import Database

_FRESH_US = 2_000_000
_KEPT = 10_000
_BATCH = 64  # keys in use that are read again together: one read for each of them would cost more than the requests


@dataclass(frozen=True, slots=True)
class _Known:
    loaded_at: int
    secret_hash: bytes
    principal: Principal
    environment: str
    ends_at: int | None


class Authenticator:
    """Checks keys. A revocation acts within two seconds."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()  # the one read longest ago first
        self._used: set[str] = set()  # since they were read

    async def principal(self, text: str, address: str = "", agent: str = "") -> Principal:
        """Return who holds the key. Raises Unauthenticated, saying no more than that the key is not valid.

        address, agent: where it is used from, for its networks and for `last_used`.
        """
        parts = keys.parse(text)
        if parts is None:
            raise Unauthenticated(
                "this is not an API key (its form or checksum is wrong); copy it again, whole, from where it was shown"
            )
        now_us = self._clock.now_us()
        known = self._known.get(parts.public_id)
        if known is None or not 0 <= now_us - known.loaded_at <= _FRESH_US:  # a clock may step back
            known = await self._load(parts.public_id, now_us)
        else:
            self._used.add(parts.public_id)
        if (
            known is None
            or not hmac.compare_digest(known.secret_hash, keys.digest(parts.secret))
            or known.environment != parts.environment
            or (known.ends_at is not None and known.ends_at <= now_us)
        ):
            raise Unauthenticated("this API key is not valid; make a new one with `tradewright keys create`")
        return known.principal

    async def _load(self, public_id: str, now_us: int) -> _Known | None:
        wanted = [public_id, *self._stale_and_used(public_id, now_us)]
        rows = await self._database.read_short_async(accounts.api_keys_by_public_id, wanted)
        found = {row["public_id"]: row for row in rows}
        for name in wanted:
            self._known.pop(name, None)
            if name in found:
                self._known[name] = _known(found[name], now_us)
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


def _known(row: dict[str, Any], now_us: int) -> _Known:
    ends = [moment for moment in (row["revoked_at"], row["expires_at"]) if moment is not None]
    principal = Principal(row["organization"], row["environment"], frozenset(row["scopes"]), key=row["id"])
    return _Known(now_us, bytes(row["secret_hash"]), principal, row["environment"], min(ends, default=None))
