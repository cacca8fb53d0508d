"""A Redis server for one benchmark, where this machine has one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def redis_server(folder: Path, before: Sequence[str] = ()) -> Iterator[str | None]:
    """Give the address of a server of its own that keeps nothing, None where there is no redis-server.

    before: the start of its command line, as `machine.pinned` gives it.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        print("  Redis is left out: there is no redis-server on this machine", flush=True)
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen([*before, found, *options], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, f"{found} does not listen"
                time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()
