"""One door to Numba, typed, so that strict type checking reaches the functions behind it.

Numba's cache notices a change in the file of a kernel, not in a file whose kernels it calls. So the cache has a folder
of its own for each state of all kernel files together: machine code of an older source is never run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

_PREFIX = "kernels-"
_KEPT_S = 7 * 86_400


def kernel(function: F) -> F:
    """Compile to machine code on first call and cache the result on disk.

    Strict IEEE arithmetic (no fastmath): the same numbers in the same order give the same bits.
    """
    return cast(F, numba.njit(cache=True, fastmath=False, error_model="numpy", nogil=True)(function))


def _cache_folder(package: Path) -> Path:
    hasher = hashlib.sha256(numba.__version__.encode())
    for path in sorted(package.rglob("*.py")):
        try:
            source = path.read_bytes()
        except FileNotFoundError:  # removed since it was listed
            continue
        if b"@kernel" in source:
            hasher.update(source)
    beside = package / "__pycache__"
    place = beside if os.access(beside if beside.exists() else package, os.W_OK) else _user_cache()
    return place / f"{_PREFIX}{hasher.hexdigest()[:16]}"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tradewright"


def _forget_older(folder: Path) -> None:
    if not folder.parent.exists():
        return
    for other in folder.parent.glob(f"{_PREFIX}*"):
        if other != folder and time.time() - other.stat().st_mtime > _KEPT_S:
            shutil.rmtree(other, ignore_errors=True)


if not numba.config.CACHE_DIR:
    _folder = _cache_folder(Path(__file__).parent)
    _forget_older(_folder)
    numba.config.CACHE_DIR = str(_folder)
