"""docs/quality.md says what the checks do."""

from __future__ import annotations

import re
from pathlib import Path

from tradewright.market import (
    action_intake,
    checks,
    consensus,
    fact_checks,
    freshness,
    levels,
    pairs,
    provenance,
    rewriting,
    span,
)
from tradewright.market.checks import moves, presence, repetition, series, shapes, sifting, thresholds, volumes
from tradewright.market.instruments import Interval

PAGE = (Path(__file__).parents[2] / "docs" / "quality.md").read_text(encoding="utf-8")
CHECKS = (checks, moves, presence, repetition, series, shapes, sifting, thresholds, volumes)
MODULES = (
    *CHECKS,
    action_intake,
    consensus,
    fact_checks,
    freshness,
    levels,
    pairs,
    provenance,
    rewriting,
    span,
)
TABLE = re.compile(r"(?m)^\| ([a-z_]+) +\|")


def _codes() -> set[str]:
    return {code for module in MODULES for code in TABLE.findall(module.__doc__ or "")} - {"code"}


def test_every_code_of_the_checks_has_a_row_and_no_other() -> None:
    assert set(re.findall(r"(?m)^\| `([a-z_]+)` \|", PAGE)) == _codes() | {"unparseable"}


def test_every_code_that_a_check_can_give_is_in_the_table_of_its_module() -> None:
    for module in MODULES:
        source = Path(module.__file__ or "").read_text(encoding="utf-8").split('"""', 2)[2]
        given = set(re.findall(r'(?:finding|Finding)\(\s*"([a-z_]+)"', source))
        given |= set(re.findall(r'\.then\(pl\.lit\("([a-z_]+)"\)\)', source))
        assert given <= _codes(), given - _codes()


def test_every_threshold_has_the_value_of_the_code() -> None:
    written = dict(re.findall(r"(?m)^\| `([A-Z_]+)` \| ([\d.]+) \|", PAGE))
    for module in MODULES:
        for name, value in vars(module).items():
            if name.isupper() and not name.startswith("_") and isinstance(value, float):
                assert name in written or name in ("MAD_TO_SIGMA", "TIE"), f"{name} = {value} is not on the page"
    for name, value in written.items():
        (found,) = {getattr(module, name) for module in MODULES if hasattr(module, name)}
        assert float(value) == float(found), name


def test_what_the_sentences_say_is_what_counts() -> None:
    assert repetition.STALE_ROWS == {Interval.DAY: 10, Interval.HOUR: 24}
    assert "10 days, 24 hours or 60 shorter bars" in PAGE
    assert consensus.FLOOR == {Interval.DAY: 0.002, Interval.HOUR: 0.0015}
    assert "0.2% for days, 0.15% for hours" in PAGE
    assert "one interval, at most an hour" in PAGE
    assert (fact_checks.LEAST_PERIODS, fact_checks.UNIT_PERIODS, fact_checks.OUTLIER_PERIODS) == (8, 6, 30)
    assert fact_checks.UNIT_STEPS == (3.0, 6.0)
    assert freshness.GRACE_MOST_US == 3_600_000_000
