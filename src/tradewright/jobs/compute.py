"""Heavy work in a child process: started when needed, told what to do on its input, gone when done or when we are."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tradewright import errors
from tradewright.errors import Cancelled, TradewrightError

Report = Callable[[float, str], bool]  # (fraction, message) -> True when the work should stop


class Interrupted(Exception):
    """The child got a SIGINT that was meant for all of us; its work is to be done again."""


def run_child(command: Sequence[str], task: str, payload: dict[str, Any], report: Report) -> Any:
    """Run one task in a child and return its result.

    The child reads one line of JSON, then "cancel" or the end of its input, which makes it leave at once: it cannot
    outlive this process. Ctrl-C does not reach it once it has a session of its own; ending it is our part. It writes
    lines of JSON: progress, and at last a result or an error. Raises what the child raised, Cancelled after `report`
    asked for it, Interrupted when a Ctrl-C came before that session, TradewrightError when the child died.
    """
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    outcome: dict[str, Any] | None = None
    cancelled = threading.Event()
    try:
        child.stdin.write(json.dumps({"task": task, "payload": payload}) + "\n")
        child.stdin.flush()
        for line in child.stdout:
            message = json.loads(line)
            if "progress" not in message:
                outcome = message
                break
            if report(message["progress"], message["message"]) and not cancelled.is_set():
                cancelled.set()
                child.stdin.write("cancel\n")
                child.stdin.flush()
    except BrokenPipeError:
        pass
    finally:
        _end(child)
    if outcome is None and child.returncode == -signal.SIGINT:
        raise Interrupted
    if outcome is None:
        raise TradewrightError(f"the process working on {task} ended early with exit status {child.returncode}")
    if "error" in outcome:
        raise _rebuilt(outcome["error"])
    return outcome["result"]


def _end(child: subprocess.Popen[str]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
    try:
        child.wait(10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _rebuilt(error: dict[str, Any]) -> TradewrightError:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, TradewrightError)]
    kind = next((k for k in kinds if k.code == error["code"]), TradewrightError)
    return kind(error["message"], cause=error.get("cause"))


def cancelled_error() -> Cancelled:
    """Return the error a task raises when it was asked to stop."""
    return Cancelled("it was cancelled while it ran; nothing of it was kept")
