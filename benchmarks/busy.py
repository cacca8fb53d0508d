"""`tradewright up` under load while it trades and a model is trained beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median

from benchmarks import api
from benchmarks.machine import ROOT, cpu_seconds
from benchmarks.mix import drawn
from benchmarks.prepared import Up, prepared_folder
from benchmarks.table import Row

RATE, SECONDS, ROUNDS, ROWS_A_SECOND = 1_000, 5.0, 5, 1
STANDING = 0.0001  # rows a second: none while it is measured
NOTE = (
    "The mixed reads of `api` at the same rate and as warm, of one `tradewright up` with every guard on, whose replay "
    f"goes on at {ROWS_A_SECOND} row a second: features, predictions, decisions, fills and signals of 20 instruments. "
    "Beside it a process trains the walk-forward model that `up` trains at its start, again and again, and the client "
    "runs too: three busy processes on two cores, none with a core of its own. Beside it stands what the same `up` "
    "did right after, when it neither traded nor trained: what is the machine's own is in both."
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
        busy = _rounds(place, there, ROWS_A_SECOND, _training())
        idle = _rounds(place, there, STANDING, nullcontext())
    what = f"`up` while trading and training, mixed reads at {RATE:,}/s"
    told = {name: (median(one[name] for one in busy), median(one[name] for one in idle)) for name in busy[0]}
    peer = "doing neither"
    return [
        Row(f"{what}: client p99, ms", peer, *told["p99_ms"], limit=25.0),
        Row(f"{what}: client p50, ms", peer, *told["p50_ms"]),
        Row(f"{what}: processor cores that `up` used", peer, *told["cores"]),
    ]


def _rounds(
    place: Path, there: api.Installation, rows_a_second: float, beside: AbstractContextManager[object]
) -> list[dict[str, float]]:
    asked = drawn(there.times, there.portfolio, there.keys)
    path, pages = place.with_name("requests.json"), place.with_name("pages.json")
    with Up(place, ("--restart-feed", "--speed", str(rows_a_second)), settings=api.NO_LIMITS) as up, beside:
        up.answers("/readyz", 60)
        port = int(up.address(5).rpartition(":")[2])
        api.write_requests(path, asked, api.etags_of(asked, port, there.keys[0]))
        api.write_requests(pages, api.every_page(there), {})
        api.warm(port, pages, path)
        seen = []
        for number in range(ROUNDS):
            before = cpu_seconds(up.process.pid)
            told = api.run_load(port, path, RATE, SECONDS, int(RATE * SECONDS) * number)
            told["cores"] = (cpu_seconds(up.process.pid) - before) / SECONDS
            assert told["failed"] == told["lost"] == 0, told
            print("  up: " + ", ".join(f"{name} {value:.3g}" for name, value in told.items()), flush=True)
            seen.append(told)
    return seen


@contextmanager
def _training() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _TRAIN], cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
        assert process.poll() is None, "the training ended"
    finally:
        process.kill()
        process.wait()
