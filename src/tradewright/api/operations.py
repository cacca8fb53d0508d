"""What an operation of the API is: declared once, and everything else follows from the declaration.

Routing, authorization, parsing, idempotency, rate limits, the OpenAPI document, the table of rights and the reference
page all read the same `Operation`. One without a scope does not exist: `scope` has no default, and `PUBLIC`, `KNOWN`
and `PERSON` must be written out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from tradewright.accounts.principal import ROLES, Principal
from tradewright.accounts.scopes import SCOPES
from tradewright.storage.audit import Actor
from tradewright.storage.database import Tx

if TYPE_CHECKING:
    from tradewright.api.services import Services

PUBLIC = "public"
"""Anybody may call it."""
KNOWN = "known"
"""Whoever holds a valid key or session may call it, whatever the scopes or the role."""
PERSON = "person"
"""Any person with a session may call it, whatever the organization; keys may not."""
UNSCOPED = (PUBLIC, KNOWN, PERSON)


class NoQuery(msgspec.Struct, frozen=True):
    """No query parameters."""


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is bytes already."""

    body: bytes
    media_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Effect:
    """What an operation changes. run: returns the answer, in the one transaction that also keeps it for replays.
    after: called once that has committed."""

    run: Callable[[Tx], Any]
    after: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Once:
    """An answer with a secret in it. shown: this time. kept: what a replay answers, without the secret."""

    shown: Any
    kept: Any


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: who asks, for what, with which values. headers: by lower-case name."""

    services: Services
    operation: Operation
    principal: Principal
    path: Mapping[str, str]
    query: Any
    body: Any
    headers: Mapping[str, str]
    request_id: str
    address: str
    raw_body: bytes
    path_text: str

    @property
    def tenant(self) -> tuple[str, str]:
        """Organization and environment, as storage functions take them."""
        return self.principal.organization, self.principal.environment

    @property
    def who(self) -> Actor:
        """The caller as the audit log names it."""
        principal = self.principal
        return Actor(
            actor=principal.actor or "anonymous",
            method="key" if principal.key else "session" if principal.session else "none",
            request=self.request_id,
            user=principal.user,
            address=self.address,
            agent=self.headers.get("user-agent", ""),
        )


BODY_BYTES = 65_536
"""Of a body, where an operation says nothing else."""
LARGE_BODY_BYTES = 1_048_576
"""Of the body of the operations that take the most."""
Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    path: with `{name}` parameters. id: the operation id of the OpenAPI document, set by hand. scope: what a key needs
    and the role of a person must hold, or one of UNSCOPED. roles: of persons, when not all that hold the scope may.
    step_up: True when only a person who was just asked again may; a text says when, and the handler then asks
    `access.require_step_up`. query, body, answer: msgspec types; body None takes none; answer None means the handler
    returns `Raw`. status: of success. idempotent: takes an Idempotency-Key. cacheable: carries an ETag. cost: in units
    of the rate limits; 0 takes none of a key and organization, and where it is public, none of an address either.
    body_bytes: at most; what reads a body holds the process up, and what is cheap to ask must be cheap to read.
    media_types: of the answer. errors: codes a caller can meet beyond those of every call. example: of the body, where
    the one made from its type would be refused.

    A handler that changes something returns an `Effect`.
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
    media_types: tuple[str, ...] = ("application/json",)
    errors: tuple[str, ...] = ()
    description: str = ""
    roles: tuple[str, ...] = ()
    step_up: bool | str = False
    cacheable: bool = False
    cost: int = 1
    example: Any = None
    body_bytes: int = BODY_BYTES

    def __post_init__(self) -> None:
        if self.scope not in (*UNSCOPED, *SCOPES):
            raise ValueError(f"{self.id} needs a scope, or one of {', '.join(UNSCOPED)}; it has {self.scope!r}")
        for role in self.roles:
            if self.scope not in ROLES[role]:
                raise ValueError(f"{self.id} names the role {role}, which does not hold {self.scope}")

    @property
    def body_types(self) -> tuple[str, ...]:
        """The media types that a body may have: a change is a merge patch and may say so."""
        return ("application/json", "application/merge-patch+json")[: 2 if self.method == "PATCH" else 1]

    @property
    def sessions_only(self) -> bool:
        """Whether no key may call it."""
        return self.scope == PERSON or self.step_up is True
