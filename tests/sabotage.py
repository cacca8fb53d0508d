"""Breaks one protection at a time, in a copy of the source, and reports whether the tests that name it notice.

    python tests/sabotage.py [NAME ...]

Each sabotage of `tests/sabotages.toml` has a name, the requirement it is about, a file of the package, a piece of its
text, what that piece becomes, and the tests that must turn red. First every one of those tests must pass on the source
as it is. A sabotage whose text is not found exactly once, or whose tests end in anything but failed assertions, is a
fault too. Exit status 0 when every sabotage was noticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
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


def run_tests(source: Path, tests: list[str], folder: Path) -> tuple[int, str]:
    """Exit status and output of these tests on the package in `source`."""
    environment = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, f"--basetemp={folder / 'tmp'}", *tests],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def noticed(sabotage: Sabotage, folder: Path) -> str:
    """Apply one sabotage to a copy; return "" when its tests turned red, else what was wrong."""
    source = folder / "src"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    place = source / "tradewright" / sabotage.file
    place.write_text(broken(place.read_text(encoding="utf-8"), sabotage), encoding="utf-8")
    status, said = run_tests(source, sabotage.tests, folder)
    if status == _FAILED and "failed" in said.splitlines()[-1] and " error" not in said.splitlines()[-1]:
        return ""
    return "its tests still pass" if status == 0 else f"its tests ended with status {status}:\n{said[-2000:]}"


def main(names: list[str]) -> int:
    """Run the sabotages with these names, or all."""
    chosen = [one for one in read() if not names or one.name in names]
    unknown = set(names) - {one.name for one in chosen}
    if unknown:
        print(f"no sabotage is named {', '.join(sorted(unknown))}")
        return 2
    missed = []
    with tempfile.TemporaryDirectory(prefix="sabotage-") as text:
        folder = Path(text)
        status, said = run_tests(ROOT / "src", sorted({test for one in chosen for test in one.tests}), folder)
        if status != 0:
            print(f"the tests fail before anything is broken:\n{said[-3000:]}")
            return 1
        for number, one in enumerate(chosen, 1):
            wrong = noticed(one, folder)
            print(f"{number:3}/{len(chosen)}  {'noticed' if not wrong else 'MISSED '}  {one.name}  ({one.requirement})")
            if wrong:
                missed.append(one.name)
                print(wrong)
            sys.stdout.flush()
    print(f"{len(chosen) - len(missed)} of {len(chosen)} sabotages were noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
