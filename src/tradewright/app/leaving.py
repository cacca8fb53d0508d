"""Ending at a signal. Its handler runs in the middle of whatever the main thread does, which may hold the very lock
that ending needs: so it only writes into a pipe, and a thread that waits there does the rest."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable


def at_signals(leave: Callable[[], None]) -> None:
    """Call `leave` once, in a thread of its own, at the first SIGINT or SIGTERM; later ones change nothing. To be
    called in the main thread."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def told(*_: object) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full of signals
            os.write(writing, b".")

    def wait() -> None:
        os.read(reading, 1)
        leave()

    threading.Thread(target=wait, name="leaving", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)
