"""Passwords: which may be one, and that hashing many at once is bounded."""

from __future__ import annotations

import asyncio

import pytest

from tradewright.accounts.passwords import Cost, Passwords, refusal
from tradewright.errors import TooManyRequests

CHEAP = Cost(rounds=1, memory_kib=8)


@pytest.mark.parametrize("password", ["correct horse battery", "        ", "ü" * 8, "x" * 128, "😀" * 8])
def test_any_characters_will_do(password: str) -> None:
    assert refusal(password, "ada@example.com") is None


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("seven77", "8 to 128"),
        ("x" * 129, "8 to 128"),
        ("u\u0308" * 7, "it has 7"),
        ("password", "common"),
        ("PassWord1", "common"),
        ("lovelace-ada", "before its @"),
        ("Lovelace-Ada@example.com", "e-mail address"),
    ],
)
def test_what_is_tried_first_is_refused(password: str, why: str) -> None:
    assert why in (refusal(password, "lovelace-ada@example.com") or "")


def test_the_present_cost_is_above_the_floor() -> None:
    cost = Cost()
    assert (cost.rounds >= 1, cost.memory_kib >= 46 * 1024, cost.lanes) == (True, True, 1)


def test_a_password_matches_however_its_letters_were_composed() -> None:
    async def work() -> None:
        passwords = Passwords(CHEAP)
        kept = await passwords.hash("cafe\u0301 au lait")
        assert kept.startswith("$argon2id$v=19$m=8,t=1,p=1$")
        assert await passwords.matches(kept, "caf\u00e9 au lait")
        assert not await passwords.matches(kept, "cafe au lait")
        assert not await passwords.matches("no hash at all", "cafe au lait")

    asyncio.run(work())


def test_the_same_is_done_when_there_is_nothing_to_compare_with() -> None:
    async def work() -> None:
        passwords = Passwords(CHEAP)
        kept = await passwords.hash("a sentence of mine")
        runs = []
        for against in (kept, None):
            before = passwords.runs
            assert not await passwords.matches(against, "another sentence")
            runs.append(passwords.runs - before)
        assert runs == [1, 1]

    asyncio.run(work())


def test_a_hash_of_another_cost_is_outdated() -> None:
    async def work() -> None:
        kept = await Passwords(CHEAP).hash("a sentence of mine")
        assert not Passwords(CHEAP).is_outdated(kept)
        assert Passwords(Cost(rounds=2, memory_kib=8)).is_outdated(kept)

    asyncio.run(work())


def test_beyond_the_queue_it_is_refused_and_places_come_back() -> None:
    async def work() -> None:
        passwords = Passwords(CHEAP, parallel=1, waiting=3)
        results = await asyncio.gather(*(passwords.hash("a sentence") for _ in range(20)), return_exceptions=True)
        refused = [result for result in results if isinstance(result, TooManyRequests)]
        assert len(refused) + sum(isinstance(result, str) for result in results) == 20
        assert refused
        assert refused[0].retry_after_s == 2
        assert passwords.runs == 20 - len(refused)
        assert (await passwords.hash("a sentence")).startswith("$argon2id$")

    asyncio.run(work())


def test_who_stops_waiting_leaves_no_place_taken() -> None:
    async def work() -> None:
        passwords = Passwords(CHEAP, parallel=1, waiting=0)
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await passwords.hash("a sentence")
            await asyncio.sleep(0.05)
        assert await passwords.hash("a sentence")

    asyncio.run(work())
