"""The page about security names what is there: places, tests, sabotages, all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import sabotage

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "docs/security.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| requirement")
]


def test_every_sabotage_stands_on_the_page_and_every_one_of_the_page_is_made() -> None:
    named = {name.strip() for row in ROWS if len(row) == 5 for name in row[4].rstrip("|").split(";") if name.strip()}
    assert named == {one.name for one in sabotage.read()}


def test_every_test_and_place_of_the_page_exists() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(ROWS) > 45
    for row in ROWS:
        for name in re.findall(r"`(test_\w+)`", row[3]):
            assert f"def {name}(" in tests, name
        assert "`test_" in row[3], row[0]
        for place in re.findall(r"`([\w/.]+)`", row[2]):
            assert (ROOT / "src/tradewright" / place).exists() or (ROOT / place).exists(), place


def test_every_sabotage_is_possible() -> None:
    names = [one.name for one in sabotage.read()]
    assert len(names) == len(set(names))
    for one in sabotage.read():
        source = (ROOT / sabotage.PACKAGE / one.file).read_text(encoding="utf-8")
        spoiled = sabotage.broken(source, one)
        assert spoiled != source
        if one.file.endswith(".py"):
            ast.parse(spoiled, one.name)  # else its tests end before they see anything
        for test in one.tests:
            path, _, name = test.partition("::")
            assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8") or not name, test
