"""One door to Numba, typed, so that strict type checking reaches the functions behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile to machine code on first call and cache the result on disk.

    Strict IEEE arithmetic (no fastmath): the same numbers in the same order give the same bits.
    """
    return cast(F, numba.njit(cache=True, fastmath=False, error_model="numpy", nogil=True)(function))
