"""A short run of the fuzzer over the whole document; the long one is in tests/long."""

from __future__ import annotations

from typing import Any

import pytest

from fuzzing import fuzz


@pytest.mark.parametrize(("phases", "examples"), [(("examples", "fuzzing"), 3), (("stateful",), 40)])
def test_no_case_breaks_a_check(served: Any, phases: tuple[str, ...], examples: int) -> None:
    outcome = fuzz(served, phases, examples, steps=5)
    assert not outcome.faults, outcome.told()
    if "examples" in phases:
        assert outcome.never_succeeded == set(), outcome.table()
    assert outcome.cases > 100, outcome.table()
