"""A statistic that may have no finite answer, with the reason beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Generic, ParamSpec

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Value:
    """A number, or None and the reason why there is none."""

    value: float | None
    reason: str = ""

    @classmethod
    def of(cls, value: float, reason: str = "the result is not a finite number") -> Value:
        """Return the value, or None with `reason` when it is not finite."""
        return cls(float(value)) if math.isfinite(value) else cls(None, reason)

    def to_json(self) -> dict[str, Any]:
        """Return {"value": ...}, with "reason" when there is no value."""
        return {"value": self.value} if self.value is not None else {"value": None, "reason": self.reason}


class Statistic(Generic[P]):
    """A function that returns a float, or None; `.explained(...)` of the same arguments says why there is none."""

    def __init__(self, function: Callable[P, Value]) -> None:
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> float | None:
        return self._function(*args, **kwargs).value

    def explained(self, *args: P.args, **kwargs: P.kwargs) -> Value:
        """Return the `Value` of the same arguments."""
        return self._function(*args, **kwargs)


def statistic(function: Callable[P, Value]) -> Statistic[P]:
    """Turn a function that returns a `Value` into a `Statistic`."""
    return Statistic(function)
