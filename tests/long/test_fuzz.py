"""The whole document under schemathesis: all checks, all phases, thousands of cases, on each kind of database."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from fuzzing import fuzz

CHECKS = {
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header",
    "unsupported_method", "allow_header_conformance", "use_after_free", "ensure_resource_availability", "ignored_auth",
}  # fmt: skip
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
    assert all(outcome.checks[name] > 5_000 for name in CHECKS), outcome.checks
