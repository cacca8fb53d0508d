"""From a path to the operations declared on it. Pure.

A path matches when its segments do, one for one; `{name}` takes any one segment that could be an id, and a written-out
segment goes before it. Each place has one spelling: a slash at the end makes another path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tradewright.api.operations import Operation

ID_PATTERN = r"[A-Za-z0-9_.:@+&~-]{1,64}"
"""What can stand for a parameter of a path; anything else is no id of ours, and nothing is looked up for it."""
_ID = re.compile(ID_PATTERN)


@dataclass(frozen=True, slots=True)
class Place:
    """One path: its operations by method, and the names of its parameters by position."""

    operations: dict[str, Operation]
    parameters: tuple[tuple[int, str], ...]

    def operation(self, method: str) -> Operation | None:
        """Return what a method does here, None when it does not exist. HEAD is GET, of which the body is not sent."""
        return self.operations.get("GET" if method == "HEAD" else method)

    @property
    def allow(self) -> str:
        """The methods that exist here, as the Allow header lists them."""
        also = ["HEAD", "OPTIONS"] if "GET" in self.operations else ["OPTIONS"]
        return ", ".join(sorted([*self.operations, *also]))


class Router:
    """Finds the place of a path. Two operations of one method and path, paths that differ in names only, and a HEAD are
    refused at the start: raises ValueError."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._plain: dict[str, Place] = {}
        self._patterns: dict[tuple[str | None, ...], Place] = {}
        self._shapes: dict[int, list[tuple[str | None, ...]]] = {}
        for operation in operations:
            self._add(operation)
        for shapes in self._shapes.values():
            shapes.sort(key=lambda shape: [part is None for part in shape])

    def find(self, path: str) -> tuple[Place, dict[str, str]] | None:
        """Return the place of a path and the values of its parameters, None when there is none."""
        place = self._plain.get(path)
        if place is not None:
            return place, {}
        parts = path.split("/")
        for shape in self._shapes.get(len(parts), ()):
            pairs = zip(shape, parts, strict=True)
            if all(_ID.fullmatch(part) if wanted is None else part == wanted for wanted, part in pairs):
                place = self._patterns[shape]
                return place, {name: parts[position] for position, name in place.parameters}
        return None

    def _add(self, operation: Operation) -> None:
        parts = operation.path.split("/")
        names = tuple((n, part[1:-1]) for n, part in enumerate(parts) if part.startswith("{"))
        shape = tuple(None if part.startswith("{") else part for part in parts)
        if names and shape not in self._patterns:
            self._shapes.setdefault(len(parts), []).append(shape)
        place = (
            self._patterns.setdefault(shape, Place({}, names))
            if names
            else self._plain.setdefault(operation.path, Place({}, ()))
        )
        if operation.method == "HEAD":
            raise ValueError(f"{operation.id} is a HEAD; GET answers that too")
        if operation.method in place.operations or place.parameters != names:
            raise ValueError(f"{operation.method} {operation.path} ({operation.id}) is declared twice")
        place.operations[operation.method] = operation
