"""Valkey or Redis: what several processes share for a moment and may lose. Today the buckets of the rate limits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tradewright.errors import SettingsInvalid, StorageFailed

TIMEOUT_S = 0.05
_CONNECTIONS = 32
_PREFIX = "tradewright:limit:"

# All buckets of a request at once, in the server's time: each key holds the moment at which its bucket is full again.
_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local cost = tonumber(ARGV[1])
local answer, refused = {}, false
for i, key in ipairs(KEYS) do
  local interval, quota, window = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local start = math.max(tonumber(redis.call('GET', key)) or now, now)
  if start > now + window then start = now end
  local after = start + cost * interval
  local wait = after - now - quota * interval
  if wait > 0 then
    refused = true
    answer[i] = {start - now, wait}
  else
    answer[i] = {after - now, 0}
  end
end
if cost > 0 and not refused then
  for i, key in ipairs(KEYS) do
    local ahead = answer[i][1]
    redis.call('SET', key, string.format('%.0f', now + ahead), 'PX', math.ceil(ahead / 1000) + 1)
  end
end
return answer
"""


@dataclass(frozen=True, slots=True)
class SharedBucket:
    """A bucket by name, and its policy in microseconds."""

    name: str
    interval_us: int
    quota: int
    window_us: int


class Cache:
    """A client with a pool of connections, made at the first use in the event loop that uses it.

    timeout_s: how long a request waits for the server before it goes on without.
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise SettingsInvalid("cache_url must be like redis://host:6379/0", name="cache_url")
        self._url = url
        self._timeout_s = timeout_s
        self._script: Any = None
        self._client: Any = None

    async def take(self, buckets: Sequence[SharedBucket], cost: int) -> list[tuple[int, int]]:
        """Take `cost` units from all the buckets or from none.

        Returns for each how many microseconds until it is full again, and how long to wait until it could give them,
        0 when it did. Raises StorageFailed when the server does not answer in time.
        """
        from redis.exceptions import RedisError  # not paid for where there is no cache

        values: list[int] = [cost]
        for bucket in buckets:
            values += (bucket.interval_us, bucket.quota, bucket.window_us)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._connected()(keys=[_PREFIX + bucket.name for bucket in buckets], args=values)
        except (RedisError, OSError, TimeoutError) as error:
            raise StorageFailed(f"the cache does not answer: {str(error) or type(error).__name__}") from error
        return [(int(ahead), int(wait)) for ahead, wait in answer]

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()
            await self._client.connection_pool.disconnect()
            self._client = self._script = None

    def _connected(self) -> Any:
        if self._script is None:
            from redis.asyncio import BlockingConnectionPool, Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            pool = BlockingConnectionPool.from_url(
                self._url,
                max_connections=_CONNECTIONS,
                timeout=None,
                socket_timeout=self._timeout_s,
                socket_connect_timeout=self._timeout_s,
                retry=Retry(NoBackoff(), 1),  # a connection that the server closed meanwhile is no outage
            )
            self._client = Redis(connection_pool=pool)
            self._script = self._client.register_script(_SCRIPT)
        return self._script
