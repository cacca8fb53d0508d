"""Shared fixtures: an empty database of each kind, the folder of recorded data, worlds with known truth."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

SHARED = Path(os.environ.get("TRADEWRIGHT_SHARED", "../shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings and data sets; the test is skipped where it is missing."""
    if not (SHARED / "recordings").is_dir():
        pytest.skip(f"no recorded data: {SHARED.resolve()} is missing (set TRADEWRIGHT_SHARED)")
    return SHARED


def _initdb() -> str | None:
    found = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    return found or (str(versions[-1]) if versions else None)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a PostgreSQL server: the one named by TRADEWRIGHT_TEST_POSTGRES, or one started for this session."""
    given = os.environ.get("TRADEWRIGHT_TEST_POSTGRES")
    if given:
        yield given.rstrip("/")
        return
    initdb = _initdb()
    if initdb is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL must be tested in CI: install the package postgresql")
        pytest.skip("no PostgreSQL: initdb was not found and TRADEWRIGHT_TEST_POSTGRES is not set")
    folder = tmp_path_factory.mktemp("postgres")
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres" if any(u.pw_name == "postgres" for u in pwd.getpwall()) else "nobody")
        for place in (folder, *folder.parents):
            if place == Path("/tmp") or place.owner() != "root":
                break
            place.chmod(0o755)
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid}
    data = folder / "data"
    run = {"check": True, "capture_output": True, "cwd": folder, **as_user}
    subprocess.run([initdb, "-D", data, "-U", "tradewright", "-A", "trust", "-E", "UTF8", "--no-sync"], **run)  # type: ignore[call-overload]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(initdb).with_name("postgres"), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline or server.poll() is not None:
                    raise
                time.sleep(0.05)
        yield f"postgresql://tradewright@127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def _execute(server: str, statement: str) -> None:
    import asyncio

    import asyncpg

    async def run() -> None:
        for attempt in range(50):
            try:
                connection = await asyncpg.connect(f"{server}/postgres")
                break
            except (OSError, asyncpg.CannotConnectNowError):
                if attempt == 49:
                    raise
                await asyncio.sleep(0.1)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


@contextmanager
def _postgres_database(server: str, template: str = "template1") -> Iterator[str]:
    name = f"t{uuid.uuid4().hex}"
    _execute(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield f"{server}/{name}"
    _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Address of an empty PostgreSQL database."""
    with _postgres_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """Name of a PostgreSQL database with every table, to be copied."""
    with _postgres_database(postgres_server) as url:
        with Database(url) as opened:
            upgrade(opened)
        yield url.rpartition("/")[2]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with every table, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "migrated.db"
    with Database(f"sqlite:///{path}") as opened:
        upgrade(opened)
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database, once for each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
    else:
        yield request.getfixturevalue("postgres_url")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database with every table, once for each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "test.db")
        yield f"sqlite:///{tmp_path / 'test.db'}"
    else:
        server = request.getfixturevalue("postgres_server")
        with _postgres_database(server, request.getfixturevalue("migrated_postgres")) as url:
            yield url


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """An open database with every table, once for each kind."""
    with Database(migrated_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A data folder with data and model, its replay of 250 rows not begun. Copy it; it is shared by all tests."""
    import fcntl

    from running import Up

    root = tmp_path_factory.getbasetemp()
    root = root if worker_id == "master" else root.parent
    folder = root / "prepared"
    with open(root / "prepared.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "prepared.done").exists():
            with Up(folder, speed="0.001") as up:
                up.wait_until_ready()
                (root / "prepared.key").write_text(up.key())
                assert up.stop() == 0
            (root / "prepared.done").touch()
    return folder


@pytest.fixture
def data_folder(prepared_folder: Path, tmp_path: Path) -> Path:
    """A prepared data folder of the test's own."""
    return Path(shutil.copytree(prepared_folder, tmp_path / "data"))


@pytest.fixture(scope="session")
def first_key(prepared_folder: Path) -> str:
    """The key that the first start on the prepared folder printed."""
    return (prepared_folder.parent / "prepared.key").read_text()
