"""A signal ends a process also in the middle of what holds a lock that ending needs."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, threading
from tradewright.app.leaving import at_signals

lock, left, calls = threading.Lock(), threading.Event(), []

def leave():
    with lock:
        calls.append(1)
        left.set()

at_signals(leave)
with lock:
    for _ in range(100_000):  # more than a pipe takes
        os.kill(os.getpid(), {signal})
    assert not left.is_set()
assert left.wait(10)
os.kill(os.getpid(), {signal})
print("left", len(calls))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_whatever_is_locked_and_once(number: signal.Signals) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(signal=int(number))], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "left 1\n", "")
