"""The child process that computes."""

from __future__ import annotations

import os
import subprocess
import time

from tradewright.app.child import COMMAND


def test_a_child_lets_trading_and_answers_go_first() -> None:
    child = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while (nice := os.getpriority(os.PRIO_PROCESS, child.pid)) == os.getpriority(os.PRIO_PROCESS, 0):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert nice > os.getpriority(os.PRIO_PROCESS, 0)
    finally:
        child.kill()
        child.communicate()
