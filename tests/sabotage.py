"""Breaks one protection at a time, in a copy of the source, and reports whether the tests that name it notice.

    python tests/sabotage.py [NAME ...]

Each sabotage of `tests/sabotages.toml` has a name, the requirement it is about, a file of the package, a piece of its
text, what that piece becomes, and the tests that must turn red. First every one of those tests must pass on the source
as it is. A sabotage whose text is not found exactly once, or whose tests end in anything but failed assertions, is a
fault too. As many run beside each other as there are processors. Exit status 0 when every sabotage was noticed.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "src/tradewright"
_FAILED = 1  # pytest: tests were run and some of them failed


@dataclass(frozen=True)
class Sabotage:
    """One protection, broken. file: inside the package."""

    name: str
    requirement: str
    file: str
    text: str
    becomes: str
    tests: list[str]


def read() -> list[Sabotage]:
    """Every sabotage, in the order of the file."""
    table = tomllib.loads((ROOT / "tests/sabotages.toml").read_text(encoding="utf-8"))
    return [Sabotage(**one) for one in table["sabotage"]]


def broken(source: str, sabotage: Sabotage) -> str:
    """The text of the file with the protection broken. Raises ValueError when it is not there exactly once."""
    count = source.count(sabotage.text)
    if count != 1:
        raise ValueError(f"{sabotage.name}: its text stands {count} times in {sabotage.file}; it must stand there once")
    return source.replace(sabotage.text, sabotage.becomes)


def run_tests(folder: Path, tests: list[str]) -> tuple[int, str]:
    """Exit status and output of these tests on the copy of the package in the folder."""
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, f"--basetemp={folder / 'tmp'}", *tests],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def noticed(sabotage: Sabotage, folder: Path) -> str:
    """Apply one sabotage to the copy in the folder; return "" when its tests turned red, else what was wrong."""
    place = folder / "src/tradewright" / sabotage.file
    whole = place.read_text(encoding="utf-8")
    try:
        place.write_text(broken(whole, sabotage), encoding="utf-8")
        status, said = run_tests(folder, sabotage.tests)
    except ValueError as error:
        return str(error)
    finally:
        place.write_text(whole, encoding="utf-8")
        for compiled in place.parent.glob(f"__pycache__/{place.stem}.*.pyc"):
            compiled.unlink()
    last = said.splitlines()[-1]
    if status == _FAILED and "failed" in last and " error" not in last:
        return ""
    return "its tests still pass" if status == 0 else f"its tests ended with status {status}:\n{said[-2000:]}"


def main(names: list[str]) -> int:
    """Run the sabotages with these names, or all."""
    chosen = [one for one in read() if not names or one.name in names]
    unknown = set(names) - {one.name for one in chosen}
    if unknown:
        print(f"no sabotage is named {', '.join(sorted(unknown))}")
        return 2
    beside = min(os.cpu_count() or 1, 8, len(chosen))
    missed = []
    with tempfile.TemporaryDirectory(prefix="sabotage-") as text, ThreadPoolExecutor(beside) as pool:
        folders: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(beside):
            folder = Path(text, str(number))
            shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
            folders.put(folder)
        tests = sorted({test for one in chosen for test in one.tests})

        def ran(part: list[str]) -> tuple[int, str]:
            folder = folders.get()
            try:
                return run_tests(folder, part)
            finally:
                folders.put(folder)

        def tried(sabotage: Sabotage) -> str:
            folder = folders.get()
            try:
                return noticed(sabotage, folder)
            finally:
                folders.put(folder)

        for status, said in pool.map(ran, [tests[n::beside] for n in range(min(beside, len(tests)))]):
            if status != 0:
                print(f"the tests fail before anything is broken:\n{said[-3000:]}")
                return 1
        for number, (one, wrong) in enumerate(zip(chosen, pool.map(tried, chosen), strict=True), 1):
            print(f"{number:3}/{len(chosen)}  {'noticed' if not wrong else 'MISSED '}  {one.name}  ({one.requirement})")
            if wrong:
                missed.append(one.name)
                print(wrong)
            sys.stdout.flush()
    print(f"{len(chosen) - len(missed)} of {len(chosen)} sabotages were noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
