"""`tradewright up` under load while it trades and a model is trained beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks import api
from benchmarks.machine import ROOT, cpu_seconds
from benchmarks.mix import drawn
from benchmarks.prepared import Up, prepared_folder
from benchmarks.table import Row

RATE, SECONDS, ROUNDS, ROWS_A_SECOND = 1_000, 5.0, 5, 1
NOTE = (
    "The mixed reads of `api` at the same rate and as warm, of one `tradewright up` with every guard on, whose replay "
    f"goes on at {ROWS_A_SECOND} row a second: features, predictions, decisions, fills and signals of 20 instruments. "
    "Beside it a process trains the walk-forward model that `up` trains at its start, again and again, and the client "
    "runs too: three busy processes on two cores, none with a core of its own."
)
_TRAIN = """
import tradewright as tw
from tradewright.app.child import give_way
from tradewright.learning.learners import GradientBoosting
from tradewright.research.walk_forward import walk_forward
give_way()
panel = tw.load_panel("us-stocks")
while True:
    walk_forward(GradientBoosting(), panel, horizon=5, splits=8)
    print("trained", flush=True)
"""


def run(folder: Path) -> list[Row]:
    """Return the measured rows."""
    with tempfile.TemporaryDirectory(prefix="tradewright-bench-", dir=folder) as text:
        place = Path(text, "data")
        shutil.copytree(prepared_folder(folder), place)
        there = api.installed(place, f"sqlite:///{place / 'tradewright.db'}")
        asked = drawn(there.times, there.portfolio, there.keys)
        arguments = ("--restart-feed", "--speed", str(ROWS_A_SECOND))
        with Up(place, arguments, settings=api.NO_LIMITS) as up, _training() as training:
            up.answers("/readyz", 60)
            port = int(up.address(5).rpartition(":")[2])
            etags = api.etags_of(asked, port, there.keys[0])
            path, pages = Path(text, "requests.json"), Path(text, "pages.json")
            api.write_requests(path, asked, etags)
            api.write_requests(pages, api.every_page(there), {})
            api.warm(port, pages, path)
            seen = []
            for number in range(ROUNDS):
                before = cpu_seconds(up.process.pid)
                told = api.run_load(port, path, RATE, SECONDS, int(RATE * SECONDS) * number)
                told["cores"] = (cpu_seconds(up.process.pid) - before) / SECONDS
                assert told["failed"] == told["lost"] == 0, told
                assert training.poll() is None, "the training ended"
                print("  up: " + ", ".join(f"{name} {value:.3g}" for name, value in told.items()), flush=True)
                seen.append(told)
    what = f"`up` while trading and training, mixed reads at {RATE:,}/s"
    return [
        Row(f"{what}: client p99, ms", "", median(one["p99_ms"] for one in seen), limit=25.0),
        Row(f"{what}: client p50, ms", "", median(one["p50_ms"] for one in seen)),
        Row(f"{what}: processor cores that `up` used", "", median(one["cores"] for one in seen)),
    ]


@contextmanager
def _training() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _TRAIN], cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
