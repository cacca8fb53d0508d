"""One call that succeeds for each operation: what the matrix of rights, the index test and the fuzzer start from.

`made` holds the ids of the seeded installation. A resource's samples stand beside its seeds, in `samples_<area>.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Made = Mapping[str, str]


@dataclass(frozen=True)
class Sample:
    """target: path and query. caller: a key with every scope, a person's session, or one that was just asked again.
    shared: organizations and environments see the same, so a stranger succeeds too. everywhere: the environments of one
    organization see the same. status: when it is not the operation's own."""

    target: str
    body: Any = None
    caller: Literal["key", "session", "stepped up", "nobody"] = "key"
    headers: Mapping[str, str] = field(default_factory=dict)
    shared: bool = False
    everywhere: bool = False
    status: int | None = None


SampleOf = Callable[[Made], Sample]
