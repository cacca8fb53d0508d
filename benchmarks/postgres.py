"""A PostgreSQL server for one benchmark, where this machine has one."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def server(before: Sequence[str] = ()) -> Iterator[str | None]:
    """Give the address of an empty database on a server of its own (fsync on), None where there is no initdb.

    before: the start of its command line, as `machine.pinned` gives it.
    """
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    found = shutil.which("initdb") or (str(installed[-1]) if installed else None)
    if found is None:
        print("  PostgreSQL is left out: there is no initdb on this machine", flush=True)
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="tradewright-bench-"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("postgres" if any(u.pw_name == "postgres" for u in pwd.getpwall()) else "nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid}
    data = str(folder / "data")
    make = [found, "-D", data, "-U", "tradewright", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, cwd=folder, **as_user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *before,
        str(Path(found).with_name("postgres")),
        "-D",
        data,
        "-p",
        str(port),
        "-h",
        "127.0.0.1",
        "-k",
        str(folder),
    ]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=folder, **quiet, **as_user)  # type: ignore[call-overload]
    try:
        _wait(port)
        yield f"postgresql://tradewright@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            time.sleep(0.5)  # it listens a moment before it lets anybody in
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
