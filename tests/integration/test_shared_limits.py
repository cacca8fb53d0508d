"""Rate limits over a real Valkey or Redis server, shared by processes, and its absence."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradewright.accounts.limits import Bucket, MemoryLimiter, Policy
from tradewright.accounts.shared_limits import SharedLimiter
from tradewright.storage.cache import Cache

KEY = Policy("key", 100, 3600)
PATIENT_S = 20.0  # a busy machine is no outage here
START = 1_700_000_000_000_000


class Server:
    """A cache server that can be stopped and started again on its port."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A cache server of the test's own."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("shared limits must be tested in CI: install the package valkey-server or redis-server")
        pytest.skip("no cache server: neither valkey-server nor redis-server is installed")
    started = Server(program, tmp_path)
    yield started
    started.stop()


def test_two_processes_share_one_bucket(server: Server) -> None:
    async def work() -> None:
        caches = [Cache(server.url, PATIENT_S), Cache(server.url, PATIENT_S)]
        limiters = [SharedLimiter(cache) for cache in caches]
        bucket = [Bucket(KEY, "key_1")]
        answers = await asyncio.gather(*(limiters[n % 2].take(bucket, 1, START) for n in range(150)))
        given = [one for (one,) in answers if one.wait_us == 0]
        assert len(given) == 100
        assert sorted(one.remaining for one in given) == list(range(100))
        refused = next(one for (one,) in answers if one.wait_us > 0)
        assert 0 < refused.wait_us <= KEY.interval_us
        (other,) = await limiters[0].take([Bucket(KEY, "key_2")], 1, START)
        assert other.remaining == 99
        for cache in caches:
            await cache.close()

    asyncio.run(work())


def test_a_refusal_of_one_bucket_takes_from_none(server: Server) -> None:
    small, large = Bucket(Policy("address", 2, 3600), "a"), Bucket(KEY, "k")

    async def work() -> None:
        cache = Cache(server.url, PATIENT_S)
        limiter = SharedLimiter(cache)
        await limiter.take([small], 2, START)
        first, second = await limiter.take([small, large], 1, START)
        assert first.wait_us > 0
        assert (second.wait_us, second.remaining) == (0, 99)
        (look,) = await limiter.take([large], 0, START)
        assert (look.remaining, look.reset_us) == (100, 0)
        await cache.close()

    asyncio.run(work())


def test_units_come_back_with_the_time_of_the_server(server: Server) -> None:
    quick = [Bucket(Policy("key", 10, 1), "k")]

    async def work() -> None:
        cache = Cache(server.url, PATIENT_S)
        limiter = SharedLimiter(cache)
        await limiter.take(quick, 10, START)
        (refused,) = await limiter.take(quick, 2, START)
        assert 0 < refused.wait_us <= 200_000
        await asyncio.sleep(refused.wait_us / 1e6 + 0.005)
        (given,) = await limiter.take(quick, 2, START)
        assert given.wait_us == 0
        await cache.close()

    asyncio.run(work())


def test_what_is_dearer_than_a_tenth_passes_once_while_the_server_is_away() -> None:
    bucket = [Bucket(KEY, "k")]

    async def work() -> None:
        cache = Cache("redis://127.0.0.1:1/0", PATIENT_S)
        limiter = SharedLimiter(cache)
        (given,) = await limiter.take(bucket, KEY.quota // 2, START, True)
        assert given.wait_us == 0
        (refused,) = await limiter.take(bucket, KEY.quota // 2, START, True)
        assert 0 < refused.wait_us <= KEY.window_s * 1_000_000
        (later,) = await limiter.take(bucket, KEY.quota // 2, START + refused.wait_us, True)
        assert later.wait_us == 0
        await cache.close()

    asyncio.run(work())


def test_it_answers_as_the_limiter_of_one_process_does(server: Server) -> None:
    async def work() -> None:
        cache = Cache(server.url, PATIENT_S)
        shared, alone = SharedLimiter(cache), MemoryLimiter()
        for cost in (1, 30, 50, 40, 19, 1):
            (one,) = await shared.take([Bucket(KEY, "k")], cost, START)
            (two,) = await alone.take([Bucket(KEY, "k")], cost, START)
            assert (one.remaining, one.wait_us == 0) == (two.remaining, two.wait_us == 0)
            assert abs(one.reset_us - two.reset_us) < 5_000_000
        await cache.close()

    asyncio.run(work())


def test_while_the_server_is_away_reads_pass_and_changes_get_a_tenth(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = [Bucket(KEY, "k")]

    async def work() -> None:
        cache = Cache(server.url, PATIENT_S)
        limiter = SharedLimiter(cache)
        await limiter.take(bucket, 95, START)
        server.stop()
        now_us = START
        reads = [(await limiter.take(bucket, 1, now_us))[0].wait_us for _ in range(100)]
        assert reads == [0] * 100
        changes = [(await limiter.take(bucket, 1, now_us, changes=True))[0].wait_us == 0 for _ in range(20)]
        assert changes == [True] * 10 + [False] * 10
        now_us += 1_000_001
        assert (await limiter.take(bucket, 1, now_us, changes=True))[0].wait_us > 0
        server.start()
        now_us += 1_000_001
        (back,) = await limiter.take(bucket, 1, now_us, changes=True)
        assert (back.wait_us, back.remaining) == (0, 99)
        await cache.close()

    with caplog.at_level(logging.WARNING, "tradewright.limits"):
        asyncio.run(work())
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_server_that_hangs_delays_one_request_a_second_by_fifty_milliseconds() -> None:
    async def work() -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(16)
            cache = Cache(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
            limiter = SharedLimiter(cache)
            began = time.monotonic()
            for _ in range(200):
                await limiter.take([Bucket(KEY, "k")], 0, START)
            assert 0.04 < time.monotonic() - began < 5.0
            await cache.close()

    asyncio.run(work())


def test_a_restart_of_the_server_is_no_outage(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        cache = Cache(server.url, PATIENT_S)
        limiter = SharedLimiter(cache)
        await limiter.take([Bucket(KEY, "k")], 1, START)
        server.stop()
        server.start()
        (taken,) = await limiter.take([Bucket(KEY, "k")], 1, START)
        assert taken.remaining == 99
        await cache.close()

    asyncio.run(work())
    assert not caplog.records
