"""Everything that generators rarely make, sent to every operation: never an error of ours, always a problem
that says why."""

from __future__ import annotations

from typing import Any

import pytest

from nasty import send_all


@pytest.mark.long
def test_no_nasty_input_is_an_error_of_ours(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    sent, faults = served.run(lambda client: send_all(served, 0, 1))
    assert not faults, "\n".join(faults)
    assert sent > 15_000
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
