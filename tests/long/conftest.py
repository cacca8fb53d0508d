"""The long tests use the served installation of the integration tests too."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_PLACE = Path(__file__).parents[1] / "integration" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("served_installation", _PLACE)
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = _MODULE
_SPEC.loader.exec_module(_MODULE)

served = _MODULE.served
