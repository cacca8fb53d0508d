"""`tradewright up` as a process of its own, as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPLAY_ROWS = 250


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Up:
    """One start of `tradewright up` on a data folder. Use as a context manager: it is ended in any case."""

    folder: Path
    speed: str = "max"
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    output: str = ""

    def __enter__(self) -> Up:
        self._log = self.folder.with_name(f"{self.folder.name}.log")
        # anew, and always at the end: two on one folder write into one file, and neither over the other
        self._file = open(
            self._log, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags | os.O_APPEND)
        )
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWRIGHT_")}
        replay = {"TRADEWRIGHT_FEED": "replay", "TRADEWRIGHT_REPLAY_ROWS": str(REPLAY_ROWS)}
        environment |= {**replay, "PYTHONUNBUFFERED": "1", **self.environment}
        command = [sys.executable, "-m", "tradewright", "up", "--data-folder", str(self.folder), "--port", "0"]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*command, "--speed", self.speed, *self.arguments],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=self.folder.parent,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._file.close()

    def said(self) -> str:
        """Everything it printed so far."""
        return self._log.read_text(encoding="utf-8")

    def wait_for(self, pattern: str, seconds: float = 300) -> re.Match[str]:
        """Wait until it has printed something that matches."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.said())
            if found is not None:
                return found
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.said()}"
            assert time.monotonic() < deadline, f"did not say {pattern!r} in {seconds} s:\n{self.said()}"
            time.sleep(0.02)

    def address(self) -> str:
        """Where it serves."""
        return self.wait_for(r"serves on (http://\S+)")[1]

    def key(self) -> str:
        """The key it printed."""
        return self.wait_for(r"(tw_paper_\w+)")[1]

    def wait_until_ready(self) -> None:
        """Wait until data and model are prepared and the feed runs."""
        self.wait_for(r"(?m)^Feed ")

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """End it as a user does, Ctrl-C reaching every process of the terminal, or as a supervisor that repeats itself;
        return its exit status."""
        if sign is signal.SIGINT:
            os.killpg(self.process.pid, sign)
        else:
            for _ in range(3):
                os.kill(self.process.pid, sign)
        return self.process.wait(30)


def call(
    address: str, path: str, key: str | None = None, method: str = "GET", body: Any = None, headers: Any = None
) -> Answer:
    """Make one request; refusals are answers too."""
    sent = dict(headers or {})
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    data = None
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent.setdefault("Content-Type", "application/json")
    request = urllib.request.Request(address + path, data=data, headers=sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


def traces(folder: Path) -> dict[str, list[Any]]:
    """What a run left in its database, in order of (subject, bar time), without ids, sequence and wall times."""
    import sqlalchemy as sa

    from tradewright.storage.database import Database
    from tradewright.storage.tables import orders, outbox, postings, signal_scores, signals

    said = ("signal.", "order.", "position.", "portfolio.")

    def read(tx: sa.Connection) -> dict[str, list[Any]]:
        about = {row.id: f"{row.instrument}@{row.decided_time}" for row in tx.execute(sa.select(orders))}
        about |= {row.id: f"{row.instrument}@{row.bar_time}" for row in tx.execute(sa.select(signals))}
        hidden = {"id", "client_order_id", "portfolio"}
        events = []
        for row in tx.execute(sa.select(outbox)):
            if row.type.startswith(said):
                data = json.dumps({k: v for k, v in row.data.items() if k not in hidden}, sort_keys=True)
                events.append((about.get(row.subject, "portfolio"), row.bar_time, row.type, data, row.version))
        signal = [c for c in signals.c if c.name not in ("id", "organization", "feed_session", "created_at")]
        score = [c for c in signal_scores.c if c.name not in ("signal", "organization", "created_at")]
        posting = [postings.c[n] for n in ("time", "account", "currency", "amount", "line", "environment")]
        joined = sa.select(signals.c.instrument, signals.c.bar_time, *score).join(
            signals, signals.c.id == signal_scores.c.signal
        )
        return {
            "signals": sorted(map(tuple, tx.execute(sa.select(*signal)))),
            "scores": sorted(map(tuple, tx.execute(joined))),
            "postings": sorted(map(tuple, tx.execute(sa.select(*posting)))),
            "events": sorted(events),
            "gaps": _gaps([row.sequence for row in tx.execute(sa.select(outbox.c.sequence))]),  # None: not yet numbered
        }

    with Database(f"sqlite:///{folder / 'tradewright.db'}") as database:
        return database.read(read)


def _gaps(numbers: list[int | None]) -> list[int]:
    """Sequence numbers that are missing or doubled."""
    known = sorted(number for number in numbers if number is not None)
    return [number for place, number in enumerate(known, 1) if number != place]
