"""The whole document under schemathesis: all checks, all phases, thousands of cases, on each kind of database."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from fuzzing import fuzz

PHASES = ("examples", "coverage", "fuzzing", "stateful")


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_no_case_breaks_a_check_and_every_operation_succeeds(
    served: Any, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = fuzz(served, PHASES, examples=60, steps=8, seed=seed)
    with capsys.disabled():
        sys.stdout.write(f"\n{served.database.dialect}, seed {seed}\n{outcome.table()}\n")
    assert not outcome.faults, outcome.told()
    assert outcome.never_succeeded == set()
    assert outcome.cases > 8_000
