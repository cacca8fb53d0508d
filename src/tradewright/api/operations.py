"""What an operation of the API is: declared once, and everything else follows from the declaration.

Routing, authorization, parsing, idempotency, the OpenAPI document and the reference page all read the same `Operation`.
One without a scope does not exist: `scope` has no default, and `PUBLIC` must be written out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from tradewright.accounts.keys import Principal

if TYPE_CHECKING:
    from tradewright.api.services import Services

PUBLIC = "public"


class NoQuery(msgspec.Struct, frozen=True):
    """No query parameters."""


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is not JSON of a declared type."""

    body: bytes
    media_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: who asks, for what, with which values."""

    services: Services
    principal: Principal
    path: Mapping[str, str]
    query: Any
    body: Any
    request_id: str
    idempotency_key: str | None
    raw_body: bytes
    path_text: str

    @property
    def tenant(self) -> tuple[str, str]:
        """Organization and environment, as storage functions take them."""
        return self.principal.organization, self.principal.environment


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    path: with `{name}` parameters. id: the operation id of the OpenAPI document, set by hand. scope: what a key needs,
    or PUBLIC. query, body, answer: msgspec types; body None takes none; answer None means the handler returns `Raw`.
    status: of success. idempotent: takes an Idempotency-Key, and the handler returns the effect, a function of the
    transaction. errors: codes a caller can meet beyond those of every call.
    """

    method: str
    path: str
    id: str
    summary: str
    tag: str
    scope: str
    handler: Handler
    answer: Any = None
    query: type[msgspec.Struct] = NoQuery
    body: type[msgspec.Struct] | None = None
    status: int = 200
    idempotent: bool = False
    media_type: str = "application/json"
    errors: tuple[str, ...] = ()
    description: str = ""
