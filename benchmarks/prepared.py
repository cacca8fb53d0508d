"""A data folder in which `tradewright up` has run to the end of its replay, made once and reused."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PREPARE_S = 300


@dataclass
class Up:
    """A running `tradewright up`; use it as a context manager. database_url: empty for the embedded database.
    settings: more of its environment."""

    folder: Path
    arguments: tuple[str, ...] = ()
    database_url: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)

    def __enter__(self) -> Up:
        self.log = self.folder.with_name(f"{self.folder.name}.log")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWRIGHT_")}
        command = [sys.executable, "-m", "tradewright", "up", "--data-folder", str(self.folder), "--port", "0"]
        self._file = open(self.log, "w", encoding="utf-8")
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, *self.arguments],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            cwd=self.folder.parent,
            env={
                **environment,
                "PYTHONUNBUFFERED": "1",
                "TRADEWRIGHT_FEED": "replay",
                "TRADEWRIGHT_DATABASE_URL": self.database_url,
                **self.settings,
            },
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._file.close()

    def said(self, pattern: str, seconds: float) -> re.Match[str]:
        """Wait until it has printed what matches."""
        deadline = time.monotonic() + seconds
        while True:
            text = self.log.read_text(encoding="utf-8")
            found = re.search(pattern, text)
            if found is not None:
                return found
            assert self.process.poll() is None, f"tradewright up ended:\n{text}"
            assert time.monotonic() < deadline, f"it did not say {pattern!r} in {seconds} s:\n{text}"
            time.sleep(0.002)

    def address(self, seconds: float) -> str:
        """Return where it serves, once it says so."""
        return self.said(r"serves on (http://\S+)", seconds).group(1)

    def answers(self, path: str, seconds: float) -> float:
        """Return the seconds from the start to the first 200 at `path`."""
        address = self.address(seconds)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(address + path, timeout=5) as answer:
                    if answer.status == 200:
                        return time.perf_counter() - self.began
            except (urllib.error.HTTPError, urllib.error.URLError):
                time.sleep(0.002)
        raise AssertionError(f"{path} did not answer 200 within {seconds} s")


def prepared_folder(folder: Path) -> Path:
    """Return the data folder, prepared by `tradewright up` on the first call (about a minute)."""
    place = folder / "data"
    mark = folder / "data.ready"
    if not mark.exists():
        print("  preparing a data folder with `tradewright up` (once)", flush=True)
        _replay(place)
        mark.touch()
    return place


def prepare_on(database_url: str, place: Path) -> None:
    """Make a data folder at `place` whose database is the one named, by `tradewright up` (about a minute)."""
    print("  preparing a data folder on PostgreSQL with `tradewright up`", flush=True)
    _replay(place, database_url)


def _replay(place: Path, database_url: str = "") -> None:
    with Up(place, ("--speed", "max"), database_url) as up:
        up.said(r"The replay has ended", PREPARE_S)
