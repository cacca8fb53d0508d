"""Rate limits: never more than agreed, and whoever waits as long as told gets through."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tradewright.accounts.limits import Bucket, MemoryLimiter, Policy, advance

START = 1_700_000_000_000_000
POLICIES = st.builds(Policy, st.just("key"), st.integers(1, 5_000), st.integers(1, 120))
Asked = list[tuple[int, int]]
ASKED = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(0, 60)), max_size=60)


def given_units(policy: Policy, asked: Asked) -> list[tuple[int, int]]:
    """When how many units were given. asked: microseconds since the one before, and units."""
    now_us, arrives_at, given_at = START, None, []
    for pause_us, cost in asked:
        now_us += pause_us
        arrives_at, taken = advance(policy, arrives_at, cost, now_us)
        if taken.wait_us == 0:
            given_at.append((now_us, cost))
    return given_at


@given(POLICIES, ASKED)
def test_in_no_span_more_is_given_than_the_quota_and_what_comes_back_in_it(policy: Policy, asked: Asked) -> None:
    found = given_units(policy, asked)
    for first, (begin, _) in enumerate(found):
        for end, _ in found[first:]:
            units = sum(cost for at, cost in found if begin <= at <= end)
            assert units <= policy.quota + (end - begin) // policy.interval_us + 1


@given(POLICIES, ASKED, st.integers(1, 60))
def test_whoever_waits_as_long_as_told_gets_through_and_not_earlier(policy: Policy, asked: Asked, cost: int) -> None:
    cost = min(cost, policy.quota)
    arrives_at, now_us = None, START
    for pause_us, units in asked:
        now_us += pause_us
        arrives_at, _ = advance(policy, arrives_at, units, now_us)
    _, taken = advance(policy, arrives_at, cost, now_us)
    if taken.wait_us > 0:
        assert advance(policy, arrives_at, cost, now_us + taken.wait_us)[1].wait_us == 0
        assert advance(policy, arrives_at, cost, now_us + taken.wait_us - 1)[1].wait_us > 0


@given(POLICIES, st.lists(st.integers(1, 40), max_size=40))
def test_at_one_moment_units_are_neither_lost_nor_made(policy: Policy, costs: list[int]) -> None:
    arrives_at, left = None, policy.quota
    for cost in costs:
        arrives_at, taken = advance(policy, arrives_at, cost, START)
        assert (taken.wait_us == 0) == (cost <= left)
        left -= cost if taken.wait_us == 0 else 0
        assert taken.remaining == left
        assert taken.reset_us == (policy.quota - left) * policy.interval_us


@given(POLICIES, ASKED)
def test_after_the_reset_the_bucket_is_full(policy: Policy, asked: Asked) -> None:
    arrives_at, now_us = None, START
    for pause_us, cost in asked:
        now_us += pause_us
        arrives_at, _ = advance(policy, arrives_at, cost, now_us)
    _, look = advance(policy, arrives_at, 0, now_us)
    assert advance(policy, arrives_at, 0, now_us + look.reset_us)[1].remaining == policy.quota


@given(POLICIES, st.integers(1, 10))
def test_what_costs_more_than_the_quota_is_never_given(policy: Policy, more: int) -> None:
    cost = policy.quota + more
    assert advance(policy, None, cost, START)[1].wait_us > 0


@given(POLICIES, st.integers(2, 40))
def test_a_clock_that_steps_back_locks_nobody_out(policy: Policy, windows: int) -> None:
    arrives_at, _ = advance(policy, None, policy.quota, START)
    earlier = START - windows * policy.window_s * 1_000_000
    assert advance(policy, arrives_at, 1, earlier)[1].wait_us == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=60))
def test_a_request_takes_from_all_of_its_buckets_or_from_none(asked: list[tuple[str, int]]) -> None:
    key, organization = Policy("key", 10, 3600), Policy("organization", 15, 3600)

    async def work() -> None:
        limiter = MemoryLimiter()
        used = {"a": 0, "b": 0, "c": 0, "all": 0}
        for name, cost in asked:
            taken = await limiter.take([Bucket(key, name), Bucket(organization, "all")], cost, START)
            if all(one.wait_us == 0 for one in taken):
                used[name] += cost
                used["all"] += cost
        for name, units in used.items():
            policy = organization if name == "all" else key
            (look,) = await limiter.take([Bucket(policy, name)], 0, START)
            assert look.remaining == policy.quota - units

    asyncio.run(work())


def test_the_buckets_used_longest_ago_are_forgotten_first() -> None:
    policy = Policy("address", 5, 3600)

    async def remaining(limiter: MemoryLimiter, owner: str, cost: int) -> int:
        (taken,) = await limiter.take([Bucket(policy, owner)], cost, START)
        return taken.remaining

    async def work() -> None:
        limiter = MemoryLimiter(kept=2)
        assert await remaining(limiter, "a", 1) == 4
        assert await remaining(limiter, "b", 1) == 4
        assert await remaining(limiter, "a", 1) == 3
        assert await remaining(limiter, "c", 1) == 4
        assert await remaining(limiter, "a", 1) == 2
        assert await remaining(limiter, "b", 0) == 5

    asyncio.run(work())
