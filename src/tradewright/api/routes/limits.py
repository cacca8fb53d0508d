"""What a caller may ask for, and what is left of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tradewright.accounts.issuing import MAX_KEYS, MAX_NETWORKS
from tradewright.accounts.limits import Taken
from tradewright.accounts.throttling import of_address
from tradewright.api import layers
from tradewright.api.doors import of_caller
from tradewright.api.operations import BODY_BYTES, KNOWN, Call, Operation
from tradewright.sources.turns import MAX_SCHEDULES
from tradewright.trading.opening import MAX_BROKER_ACCOUNTS, MAX_PORTFOLIOS


class RateLimit(msgspec.Struct, frozen=True):
    """quota units in window_s seconds, for each of what `name` says. remaining: now. reset_s: until all are back."""

    name: str
    quota: int
    window_s: int
    remaining: int
    reset_s: int


class Bounds(msgspec.Struct, frozen=True):
    """What holds for one request or one organization."""

    body_bytes: int
    target_bytes: int
    body_s: float
    page_rows: int
    bars_rows: int
    keys_per_organization: int
    networks_per_key: int
    portfolios_per_organization: int
    broker_accounts_per_organization: int
    ingestion_schedules_per_organization: int


class Cost(msgspec.Struct, frozen=True):
    """How many units the operations take that take more than one."""

    operation: str
    units: int


class BodySize(msgspec.Struct, frozen=True):
    """How many bytes a body may have, of the operations whose bodies may have more or less than others."""

    operation: str
    bytes: int


class Limits(msgspec.Struct, frozen=True):
    """The rate limits of the caller, other bounds, what operations cost, and how large their bodies may be; any other
    operation costs 1 unit and takes body_bytes, and looking at the limits costs none of a key."""

    rates: list[RateLimit]
    bounds: Bounds
    costs: list[Cost]
    bodies: list[BodySize]


def operations(others: Sequence[Operation]) -> list[Operation]:
    """Return the operation that shows the limits. others: all that there are besides, for what they cost."""
    costs = [Cost(one.id, one.cost) for one in others if one.cost > 1]
    bodies = [BodySize(one.id, one.body_bytes) for one in others if one.body_bytes != BODY_BYTES]

    async def get(call: Call) -> Limits:
        rules = call.services.rules
        buckets = [of_address(rules.address, call.address), *of_caller(rules, call.principal)]
        taken = await call.services.limiter.take(buckets, 0, call.services.clock.now_us())
        return Limits([_rate(one) for one in taken], _BOUNDS, costs, bodies)

    return [
        Operation(
            "GET", "/v1/limits", "get_limits", "Your limits and what is left of them", "organizations", KNOWN,
            get, Limits, cost=0,
        ),
    ]  # fmt: skip


def _rate(taken: Taken) -> RateLimit:
    policy = taken.policy
    return RateLimit(policy.name, policy.quota, policy.window_s, taken.remaining, -(-taken.reset_us // 1_000_000))


_BOUNDS = Bounds(
    body_bytes=BODY_BYTES,
    target_bytes=layers.MAX_TARGET,
    body_s=layers.BODY_S,
    page_rows=500,
    bars_rows=10_000,
    keys_per_organization=MAX_KEYS,
    networks_per_key=MAX_NETWORKS,
    portfolios_per_organization=MAX_PORTFOLIOS,
    broker_accounts_per_organization=MAX_BROKER_ACCOUNTS,
    ingestion_schedules_per_organization=MAX_SCHEDULES,
)
