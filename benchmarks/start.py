"""How long it takes to import and to start, and how much memory an idle `tradewright up` holds."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from benchmarks.machine import ROOT, memory_mb
from benchmarks.prepared import Up, prepared_folder
from benchmarks.table import Row

ROUNDS, IDLE_S = 5, 5.0
NOTE = (
    "Wall-clock seconds of fresh processes, the interpreter's own start included; the file cache is warm. `up` "
    "starts on a folder that was prepared before; its memory is read (PSS of all its processes) after it was "
    "ready and idle for 5 s. The first back-test is a moving-average cross on the packaged data set, read from "
    "the package."
)
_BACKTEST = """
import tradewright as tw
panel = tw.load_panel("us-stocks")
result = tw.backtest(tw.strategies.MovingAverageCross(fast=20, slow=50, units=1), panel, cash=1_000_000)
assert len(result.fills) > 0
"""


def run(folder: Path) -> list[Row]:
    """Return the measured rows."""
    return [*_imports(), *_first_backtest(folder), *_up(folder)]


def _python(code: str, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> float:
    return _process(code, environment, folder)[0]


def _process(code: str, environment: Mapping[str, str] | None, folder: Path | None) -> tuple[float, float]:
    """Seconds on the wall, and of processor time."""
    command = [sys.executable, "-c", code]
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, cwd=folder or ROOT, env={**os.environ, **(environment or {})})
    now, taken = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return taken, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def _imports() -> list[Row]:
    for code in ("import tradewright", "import pandas"):
        _python(code)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_python("import tradewright"))
        theirs.append(_python("import pandas"))
    mine, peer = median(ours), median(theirs)
    return [Row("import tradewright in a fresh process, s", "import pandas", mine, peer, peer / mine, 0.5)]


def _first_backtest(folder: Path) -> list[Row]:
    empty, warm = [], []
    for _ in range(3):
        cache = folder / "numba-cache"
        shutil.rmtree(cache, ignore_errors=True)
        environment = {"NUMBA_CACHE_DIR": str(cache)}
        empty.append(_process(_BACKTEST, environment, folder))
        warm.append(_process(_BACKTEST, environment, folder))
    table = []
    for name, times, limit in (("", warm, 3.0), (", empty Numba cache", empty, 20.0)):
        what = f"first back-test in a fresh process{name}"
        table.append(Row(f"{what}, s", "", median(wall for wall, _ in times), limit=limit))
        table.append(Row(f"{what}, processor time, s", "", median(used for _, used in times)))
    return table


def _up(folder: Path) -> list[Row]:
    place = prepared_folder(folder)
    first, ready, memory = [], [], []
    for _ in range(3):
        with Up(place) as up:
            first.append(up.answers("/livez", 60))
            ready.append(up.answers("/readyz", 60))
            time.sleep(IDLE_S)
            memory.append(memory_mb(up.process.pid))
    return [
        Row("`tradewright up`, second start, to the first 200, s", "", median(first), limit=5.0),
        Row("`tradewright up`, second start, to ready, s", "", median(ready)),
        Row("`tradewright up` idle, all its processes, MB", "", median(memory), limit=500.0),
    ]
