"""Many POSTs at once with few idempotency keys, to processes that may die in between."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

_AGAIN = {409, 429, 502, 503}


@dataclass
class Outcome:
    """What came of a storm. bodies: the different answers of each idempotency key. made: answers not marked as
    replays, by key. retries: sendings that ended in no answer, or in one that says to come again."""

    statuses: Counter[int] = field(default_factory=Counter)
    bodies: dict[str, set[bytes]] = field(default_factory=dict)
    made: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)


async def storm(
    addresses: Sequence[str],
    path: str,
    api_key: str,
    body: Any,
    posts: int,
    keys: int,
    at_once: int = 200,
    during: Callable[[Outcome], Awaitable[None]] | None = None,
) -> Outcome:
    """Send `posts` requests with `keys` different idempotency keys, each until it is answered; `during` runs beside."""
    outcome = Outcome()
    order = [f"storm-{number % keys}" for number in range(posts)]
    random.Random(7).shuffle(order)
    queue = iter(order)
    connector = aiohttp.TCPConnector(limit=at_once, force_close=False)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:

        async def sender(number: int) -> None:
            for name in queue:
                await _until_answered(session, addresses, number, path, api_key, body, name, outcome)

        beside = [] if during is None else [during(outcome)]
        await asyncio.gather(*(sender(number) for number in range(at_once)), *beside)
    return outcome


async def _until_answered(
    session: aiohttp.ClientSession,
    addresses: Sequence[str],
    number: int,
    path: str,
    api_key: str,
    body: Any,
    name: str,
    outcome: Outcome,
) -> None:
    headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": name}
    for attempt in range(200):
        address = addresses[(number + attempt) % len(addresses)]
        try:
            async with session.post(address + path, json=body, headers=headers) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            outcome.retries[type(error).__name__] += 1
            await asyncio.sleep(0.05)
            continue
        if answer.status in _AGAIN:
            outcome.retries[str(answer.status)] += 1
            await asyncio.sleep(0.05)
            continue
        outcome.statuses[answer.status] += 1
        outcome.bodies.setdefault(name, set()).add(text)
        outcome.made[name] += "Idempotency-Replayed" not in answer.headers
        return
    raise AssertionError(f"{name} was not answered in 200 attempts: {outcome.retries}")
