"""The machine, its processes, and environments of their own for the peers."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def describe() -> str:
    """Return the line that says on what was measured."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}; load average at the start {load:.1f}"
    )


def peer_python(folder: Path, name: str, packages: Sequence[str]) -> Path:
    """Return the Python of a peer's environment, made on the first call and kept in `folder`."""
    place = folder / f"peer-{name}"
    python, mark = place / "bin" / "python", place / ".ready"
    wanted = " ".join(packages)
    if not mark.exists() or mark.read_text() != wanted:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "-q", "--clear", str(place), "--python", sys.executable], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *packages], check=True)
        mark.write_text(wanted)
    return python


def versions(folder: Path) -> str:
    """Return the packages of every peer's environment, in one line."""
    shown = []
    for place in sorted(folder.glob("peer-*")):
        uv = str(Path(sys.executable).with_name("uv"))
        told = subprocess.run(
            [uv, "pip", "freeze", "--python", str(place / "bin" / "python")],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        main = ("fastapi", "pydantic", "granian", "uvloop", "vectorbt", "backtesting")
        shown += [line for line in told if line.partition("==")[0].lower() in main]
    return ", ".join(dict.fromkeys(shown))


def tree(pid: int) -> list[int]:
    """Return a process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time, user and system, that a process and its descendants have used."""
    ticks = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Return the memory of a process and its descendants, shared pages counted once (PSS), in MB."""
    total = 0
    for one in tree(pid):
        with open(f"/proc/{one}/smaps_rollup", encoding="ascii") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total / 1_000


def pinned(core: int) -> list[str]:
    """Return the start of a command line that keeps a process on one core, as far as the machine has so many."""
    return ["taskset", "-c", str(core % (os.cpu_count() or 1))]
