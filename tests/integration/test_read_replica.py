"""A read replica answers what may be a moment old, and never what is older than this process's own commits."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from line import GOODBYE, Line
from tradewright.errors import SettingsInvalid
from tradewright.storage.database import Database, Tx

pytestmark = pytest.mark.postgres


def _tool(name: str) -> Path | None:
    found = shutil.which(name)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[4]))
    return Path(found) if found else versions[-1] if versions else None


@dataclass
class Servers:
    """A primary and a replica that streams from it, each with a URL, and the replica's process."""

    primary: str
    replica: str
    folder: Path
    port: int
    who: dict[str, Any]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [_tool("postgres"), "-D", self.folder, "-p", str(self.port), "-h", "127.0.0.1", "-k", self.folder]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.who
        )
        wait_for(self.port)

    def hold(self, sign: signal.Signals, answering: bool = False) -> None:
        """Stop every process of the replica where it stands, or let them all go on. answering: only those that answer
        connections, so that it still gives new ones."""
        assert self.process is not None
        pid = self.process.pid
        for one in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
            with suppress(OSError):  # the first goes on before the others, and some may end
                if not answering or b"127.0.0.1(" in Path(f"/proc/{one}/cmdline").read_bytes():
                    os.kill(one, sign)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with Database(f"postgresql://tradewright@127.0.0.1:{port}/postgres") as database:
                database.read(lambda tx: tx.exec_driver_sql("SELECT 1"))
                return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A replica of the session's server, made with pg_basebackup."""
    tool = _tool("pg_basebackup")
    if tool is None or os.environ.get("TRADEWRIGHT_TEST_POSTGRES"):
        if os.environ.get("CI") and tool is None:
            pytest.fail("a replica must be tested in CI: install the package postgresql")
        pytest.skip("no pg_basebackup, or a server of somebody else's")
    folder = tmp_path_factory.mktemp("replica")
    folder.chmod(0o700)
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        import pwd

        user = pwd.getpwnam("postgres" if any(u.pw_name == "postgres" for u in pwd.getpwall()) else "nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
        for place in folder.parents:
            if place == Path("/tmp") or place.owner() != "root":
                break
            place.chmod(0o755)
        who = {"user": user.pw_uid, "group": user.pw_gid}
    where = postgres_server.removeprefix("postgresql://tradewright@").partition(":")
    command = [
        tool,
        "-D",
        folder,
        "-h",
        where[0],
        "-p",
        where[2],
        "-U",
        "tradewright",
        "-X",
        "stream",
        "-R",
        "-c",
        "fast",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd="/tmp", **who)
    port = free_port()
    servers = Servers(postgres_server, f"postgresql://tradewright@127.0.0.1:{port}", folder, port, who)
    servers.start()
    yield servers
    assert servers.process is not None
    if servers.process.poll() is None:
        servers.kill()


@pytest.fixture
def both(cluster: Servers, postgres_url: str) -> Iterator[tuple[Database, Servers]]:
    """A database that writes to the primary and may read from the replica, with one table in it."""
    name = postgres_url.rpartition("/")[2]
    if cluster.process is None or cluster.process.poll() is not None:
        cluster.start()
    with Database(postgres_url, f"{cluster.replica}/{name}") as database:
        database.write(lambda tx: tx.exec_driver_sql("CREATE TABLE notes (id bigint PRIMARY KEY)"))
        wait_until_caught_up(database)
        yield database, cluster


def replayed(servers: Servers, command: str) -> None:
    with Database(f"{servers.replica}/postgres") as replica:
        replica.write(lambda tx: tx.exec_driver_sql(f"SELECT {command}()"))


def add(tx: Tx, number: int) -> None:
    tx.exec_driver_sql(f"INSERT INTO notes VALUES ({number})")


def look(tx: Tx) -> tuple[bool, int]:
    """Whether a replica answers, and how many notes it sees."""
    found = tx.exec_driver_sql("SELECT pg_is_in_recovery(), (SELECT count(*) FROM notes)").one()
    return bool(found[0]), int(found[1])


def wait_until_caught_up(database: Database) -> None:
    async def until() -> None:
        deadline = time.monotonic() + 20
        while not (await database.read_replica_async(look))[0]:
            assert time.monotonic() < deadline, "the replica never answered"
            await asyncio.sleep(0.05)

    asyncio.run(until())


def test_the_replica_answers_what_may_be_old_and_nothing_else(both: tuple[Database, Servers]) -> None:
    database, _ = both

    async def work() -> None:
        assert (await database.read_replica_async(look))[0]
        assert not (await database.read_short_async(look))[0]
        assert not (await database.read_async(look))[0]

    asyncio.run(work())


def test_a_process_always_sees_its_own_commits(both: tuple[Database, Servers]) -> None:
    database, _ = both

    async def work() -> None:
        for number in range(200):
            await database.write_async(add, number)
            for _ in range(3):
                assert (await database.read_replica_async(look))[1] == number + 1

    asyncio.run(work())
    wait_until_caught_up(database)
    assert asyncio.run(database.read_replica_async(look)) == (True, 200)


def test_a_replica_whose_replay_is_paused_is_left_alone_until_it_has_caught_up(both: tuple[Database, Servers]) -> None:
    database, servers = both
    replayed(servers, "pg_wal_replay_pause")
    try:

        async def paused() -> None:
            for number in range(20):
                await database.write_async(add, number)
                assert await database.read_replica_async(look) == (False, number + 1)

        asyncio.run(paused())
    finally:
        replayed(servers, "pg_wal_replay_resume")
    wait_until_caught_up(database)
    assert asyncio.run(database.read_replica_async(look)) == (True, 20)


def test_what_another_process_wrote_is_seen_within_two_seconds_though_the_replica_stands(
    both: tuple[Database, Servers],
) -> None:
    database, servers = both
    replayed(servers, "pg_wal_replay_pause")
    try:
        with Database(database.url) as other:
            other.write(add, 1)

        async def until() -> None:
            began = time.monotonic()
            while (await database.read_replica_async(look))[1] != 1:
                assert time.monotonic() - began < 2
                await asyncio.sleep(0.02)

        asyncio.run(until())
    finally:
        replayed(servers, "pg_wal_replay_resume")


def test_reads_go_on_when_the_replica_is_killed_and_return_to_it(both: tuple[Database, Servers]) -> None:
    database, servers = both

    async def work(first: int, last: int, killed_at: int | None) -> list[bool]:
        answered = []
        for number in range(first, last):
            if number == killed_at:
                servers.kill()
            await database.write_async(add, number)
            recovering, seen = await database.read_replica_async(look)
            assert seen == number + 1
            answered.append(recovering)
        return answered

    answered = asyncio.run(work(0, 40, 20))
    assert not any(answered[20:])
    servers.start()
    wait_until_caught_up(database)
    assert asyncio.run(database.read_replica_async(look)) == (True, 40)


def test_a_replica_that_hangs_is_waited_for_by_one_read_in_two_seconds(both: tuple[Database, Servers]) -> None:
    database, servers = both

    async def timed() -> float:
        began = time.monotonic()
        assert await database.read_replica_async(look) == (False, 1)
        return time.monotonic() - began

    async def while_it_hangs() -> tuple[list[float], float]:
        await database.write_async(add, 1)
        noticed = await asyncio.gather(*(timed() for _ in range(20)))
        waits, began = [], time.monotonic()
        while time.monotonic() - began < 6:
            waits += await asyncio.gather(*(timed() for _ in range(20)))
            await asyncio.sleep(0.02)
        return waits, max(noticed)

    servers.hold(signal.SIGSTOP)
    try:
        waits, noticed = asyncio.run(while_it_hangs())
    finally:
        servers.hold(signal.SIGCONT)
    assert noticed < 2
    assert max(waits) < 2
    # three where one waits every two seconds, forty where the twenty do; a busy machine makes twenty of its own
    assert sum(one > 0.5 for one in waits) < 30, [round(one, 2) for one in waits if one > 0.5]
    wait_until_caught_up(database)


def test_reads_that_hang_midway_are_answered_by_the_primary(both: tuple[Database, Servers]) -> None:
    database, servers = both

    async def timed() -> tuple[bool, float]:
        began = time.monotonic()
        recovering, seen = await database.read_replica_async(look)
        assert seen == 0
        return recovering, time.monotonic() - began

    async def through_the_hang() -> list[tuple[bool, float]]:
        for _ in range(3):  # afterwards connections are known to be far enough, and asked at once
            assert all(recovering for recovering, _ in await asyncio.gather(*(timed() for _ in range(10))))
        servers.hold(signal.SIGSTOP)
        return [one for _ in range(10) for one in await asyncio.gather(*(timed() for _ in range(10)))]

    try:
        answers = asyncio.run(through_the_hang())
    finally:
        servers.hold(signal.SIGCONT)
    assert not any(recovering for recovering, _ in answers)
    assert max(waited for _, waited in answers) < 1.5
    wait_until_caught_up(database)


def test_a_read_that_hangs_while_the_replica_gives_connections_is_ended_after_two_seconds(
    both: tuple[Database, Servers],
) -> None:
    database, servers = both

    async def through_the_hang() -> tuple[list[tuple[bool, int]], float]:
        for _ in range(3):
            assert all(seen[0] for seen in await asyncio.gather(*(database.read_replica_async(look) for _ in range(5))))
        servers.hold(signal.SIGSTOP, answering=True)
        began = time.monotonic()
        return await asyncio.gather(*(database.read_replica_async(look) for _ in range(5))), time.monotonic() - began

    try:
        answers, waited = asyncio.run(through_the_hang())
    finally:
        servers.hold(signal.SIGCONT)
    assert answers == [(False, 0)] * 5
    assert waited < 4, waited  # seven where the driver ends them
    wait_until_caught_up(database)


def test_a_read_that_takes_its_time_is_left_to_the_replica(both: tuple[Database, Servers]) -> None:
    database, _ = both

    def slowly(tx: Tx) -> tuple[bool, int]:
        tx.exec_driver_sql("SELECT pg_sleep(1.5)")
        return look(tx)

    assert asyncio.run(database.read_replica_async(slowly)) == (True, 0)
    assert asyncio.run(database.read_replica_async(look)) == (True, 0)


def test_a_replica_that_says_goodbye_and_does_not_hang_up_is_not_waited_for(both: tuple[Database, Servers]) -> None:
    database, servers = both
    line = Line(servers.port)
    name = database.url.rpartition("/")[2]

    with Database(database.url, f"postgresql://tradewright@127.0.0.1:{line.port}/{name}") as through:
        wait_until_caught_up(through)
        for number in range(3):
            through.write(add, number)  # so that the replica is asked how far it is
            wait_until_caught_up(database)
            line.say(GOODBYE)
            time.sleep(0.1)
            assert asyncio.run(through.read_replica_async(look))[1] == number + 1
    line.close()


def test_a_replica_that_is_none_is_not_asked(postgres_url: str) -> None:
    with Database(postgres_url, postgres_url) as database:
        database.write(lambda tx: tx.exec_driver_sql("CREATE TABLE notes (id bigint PRIMARY KEY)"))
        assert asyncio.run(database.read_replica_async(look)) == (False, 0)


def test_a_replica_beside_the_embedded_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="database_replica_url"):
        Database(f"sqlite:///{tmp_path / 'x.db'}", "postgresql://localhost/x")
