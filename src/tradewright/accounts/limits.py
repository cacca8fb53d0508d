"""How much a caller may ask for: the generic cell rate algorithm over named buckets.

A bucket holds one number, the moment at which it would be full again (its theoretical arrival time). Asking for `cost`
units moves it on by `cost` intervals; when it would come to lie further ahead than the window, nothing is taken and
the answer says how long to wait. So `quota` units pass at once after a pause, and `quota` per window for ever.
Pure; `MemoryLimiter` keeps the numbers of one process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

_KEPT = 200_000


class Policy(NamedTuple):
    """quota units in window_s seconds. name: as it stands in the headers."""

    name: str
    quota: int
    window_s: int

    @property
    def interval_us(self) -> int:
        """Microseconds in which one unit comes back."""
        return self.window_s * 1_000_000 // self.quota


class Bucket(NamedTuple):
    """Whose units: one policy for one key, organization or address."""

    policy: Policy
    owner: str


class Taken(NamedTuple):
    """What asking a bucket gave. remaining: whole units that can be taken now. reset_us: until it is full again.
    wait_us: 0 when the units were taken, else how long until they could be."""

    policy: Policy
    remaining: int
    reset_us: int
    wait_us: int


class Limiter(Protocol):
    """Takes units from buckets, from all of them or from none.

    changes: whether it is for a request that may change something. Where the truth about the buckets is out of reach,
    such requests get less than their share and others all of it. A cost of 0 only looks.
    """

    async def take(self, buckets: Sequence[Bucket], cost: int, now_us: int, changes: bool = False) -> list[Taken]: ...


def advance(policy: Policy, arrives_at: int | None, cost: int, now_us: int) -> tuple[int, Taken]:
    """Return the new arrival time of a bucket, and what was taken. The time is unchanged when nothing was.

    arrives_at: None for a bucket that was never used. cost above the quota can never be taken.
    Source: ITU-T I.371, the virtual scheduling form.
    """
    interval, quota = policy.interval_us, policy.quota
    start = now_us if arrives_at is None or arrives_at < now_us else arrives_at
    if start > now_us + policy.window_s * 1_000_000:
        start = now_us  # only a clock that stepped back leaves this behind; it must not lock anybody out
    after = start + cost * interval
    wait = after - now_us - quota * interval
    if wait <= 0:
        start, wait = after, 0
    left = quota + (now_us - start) // interval
    return start, Taken(policy, left if left > 0 else 0, start - now_us, wait)


class MemoryLimiter:
    """The buckets of one process, the ones used longest ago forgotten first."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._arrivals: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def take(self, buckets: Sequence[Bucket], cost: int, now_us: int, changes: bool = False) -> list[Taken]:
        """Return what each bucket gave; one that refuses keeps the others untouched."""
        return self.take_now(buckets, cost, now_us)

    def take_now(self, buckets: Sequence[Bucket], cost: int, now_us: int) -> list[Taken]:
        """As `take`, for callers that cannot wait."""
        arrivals = self._arrivals
        found, results, refused = [], [], False
        for policy, owner in buckets:
            place = (policy.name, owner)
            ahead, taken = advance(policy, arrivals.get(place), cost, now_us)
            found.append((place, ahead))
            results.append(taken)
            refused = refused or taken.wait_us > 0
        if not refused:
            for place, ahead in found:
                arrivals[place] = ahead
                arrivals.move_to_end(place)
            while len(arrivals) > self._kept:
                arrivals.popitem(last=False)
        return results
