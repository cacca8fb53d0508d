"""Every protection, broken by one edit, turns the tests red that name it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "sabotage.py"


@pytest.mark.long
def test_every_sabotage_is_noticed() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    told = re.fullmatch(r"(\d+) of (\d+) sabotages were noticed", done.stdout.splitlines()[-1])
    assert told is not None
    assert told[1] == told[2]
    assert int(told[1]) >= 100
