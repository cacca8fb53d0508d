"""The entry of a child process: one task, then gone. See `jobs.compute.run_child` for what is said on the pipes."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tradewright.errors import TradewrightError
from tradewright.jobs.compute import cancelled_error

_GIVES_WAY = 10
COMMAND = (sys.executable, "-m", "tradewright.app.child")


def main() -> None:
    """Read a task, do it, write the outcome."""
    give_way()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints goes to the error output
    request = json.loads(sys.stdin.readline())
    cancelled = threading.Event()
    threading.Thread(target=_listen, args=(cancelled,), daemon=True).start()

    def report(fraction: float, message: str) -> None:
        out.write(json.dumps({"progress": fraction, "message": message}) + "\n")
        if cancelled.is_set():
            raise cancelled_error()

    try:
        result = _task(request["task"])(request["payload"], report)
        out.write(json.dumps({"result": result}) + "\n")
    except MemoryError:
        message = "it needs more memory than there is; ask for less data at once, or for smaller parameters"
        out.write(json.dumps({"error": {"code": "invalid_input", "message": message}}) + "\n")
    except TradewrightError as error:
        told = {"code": error.code, "message": error.message, "cause": error.facts.get("cause")}
        out.write(json.dumps({"error": told}) + "\n")
    out.flush()


def give_way() -> None:
    """Let trading and answers go first wherever they want the processor too."""
    with suppress(OSError):
        os.nice(_GIVES_WAY)
    with suppress(OSError):  # Linux weighs sessions before it weighs processes, and a child has one of its own
        Path("/proc/self/autogroup").write_text(str(_GIVES_WAY))


def _task(name: str) -> Callable[[dict[str, Any], Callable[[float, str], None]], Any]:
    from tradewright.app.tasks import TASKS

    return TASKS[name]


def _listen(cancelled: threading.Event) -> None:
    for line in sys.stdin:
        if line.strip() == "cancel":
            cancelled.set()
    if not cancelled.is_set():
        os._exit(3)  # the parent is gone


if __name__ == "__main__":
    main()
