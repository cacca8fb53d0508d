"""Rate limits that several processes share, and what each of them does while the shared truth is out of reach."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tradewright.accounts.limits import Bucket, MemoryLimiter, Policy, Taken
from tradewright.errors import StorageFailed
from tradewright.storage.cache import Cache, SharedBucket

ALLOWANCE = 10
"""The part of a quota, one in ten, that requests which change something get from a process on its own."""
_RETRY_US = 1_000_000
_log = logging.getLogger("tradewright.limits")


class SharedLimiter:
    """The buckets of all processes, in the cache.

    While it does not answer, requests that only read get the whole quota from this process, others a tenth of it, and
    one that is dearer than that takes it whole. One request a second tries whether it is back.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._local = MemoryLimiter()
        self._allowance = MemoryLimiter()
        self._retry_at: int | None = None  # None while the cache answers

    async def take(self, buckets: Sequence[Bucket], cost: int, now_us: int, changes: bool = False) -> list[Taken]:
        """Return what each bucket gave; all of them or none."""
        if self._retry_at is not None and 0 < self._retry_at - now_us <= _RETRY_US:
            return await self._take_alone(buckets, cost, now_us, changes)
        if self._retry_at is not None:
            self._retry_at = now_us + _RETRY_US  # others do not wait for the answer to this one
        try:
            found = await self._cache.take([_shared(bucket) for bucket in buckets], cost)
        except StorageFailed as error:
            if self._retry_at is None:
                _log.error("%s; until it does, each process limits on its own", error.message)
            self._retry_at = now_us + _RETRY_US
            return await self._take_alone(buckets, cost, now_us, changes)
        if self._retry_at is not None:
            _log.warning("the cache answers again; limits are shared")
            self._retry_at = None
        return [_taken(bucket.policy, *one) for bucket, one in zip(buckets, found, strict=True)]

    async def _take_alone(self, buckets: Sequence[Bucket], cost: int, now_us: int, changes: bool) -> list[Taken]:
        if not changes:
            return await self._local.take(buckets, cost, now_us)
        return await self._allowance.take(
            [one._replace(policy=_part(one.policy, cost)) for one in buckets], cost, now_us
        )


def _shared(bucket: Bucket) -> SharedBucket:
    policy = bucket.policy
    name = f"{policy.name}:{bucket.owner}"
    return SharedBucket(name, policy.interval_us, policy.quota, policy.window_s * 1_000_000)


def _taken(policy: Policy, ahead_us: int, wait_us: int) -> Taken:
    remaining = policy.quota - -(-ahead_us // policy.interval_us)
    return Taken(policy, max(0, remaining), ahead_us, wait_us)


def _part(policy: Policy, cost: int) -> Policy:
    return policy._replace(quota=max(policy.quota // ALLOWANCE, cost))  # what is dearer comes through once a window
