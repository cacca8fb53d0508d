"""What routes are handed: the things one process made once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tradewright.accounts.authentication import Authenticator
from tradewright.accounts.limits import Limiter, MemoryLimiter
from tradewright.accounts.passwords import Passwords
from tradewright.accounts.proofs import Proofs
from tradewright.accounts.sessions import Sessions
from tradewright.accounts.signatures import Signatures
from tradewright.api.glances import Glances
from tradewright.api.market_data import MarketData
from tradewright.api.pages import Pages
from tradewright.api.results import Results
from tradewright.api.rules import Rules
from tradewright.api.turns import Turns
from tradewright.clock import Clock
from tradewright.storage.database import Database
from tradewright.storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far this process is. ready: everything answers. phase: one word. progress: 0..1. message: for a person."""

    ready: bool
    phase: str
    progress: float
    message: str
    error: str = ""


class Progress(Protocol):
    """Where the present readiness can be read."""

    def now(self) -> Readiness: ...


@dataclass(frozen=True, slots=True)
class Documents:
    """What says what the API is: the OpenAPI document and the reference page."""

    openapi: bytes
    reference: bytes


@dataclass(frozen=True, slots=True)
class Services:
    """The parts behind the routes."""

    database: Database
    clock: Clock
    authenticator: Authenticator
    market_data: MarketData
    progress: Progress
    wake_worker: Callable[[], None]
    version: str
    documents: Documents
    sessions: Sessions
    vault: Vault
    rules: Rules = field(default=Rules())
    limiter: Limiter = field(default_factory=MemoryLimiter)
    passwords: Passwords = field(default_factory=Passwords)
    proofs: Proofs = field(init=False)
    signatures: Signatures = field(init=False)
    pages: Pages = field(default_factory=Pages)
    results: Results = field(default_factory=Results)
    archives: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while one is read
    turns: Turns = field(default_factory=Turns)
    glances: Glances = field(init=False)
    floods: Limiter = field(init=False)

    def __post_init__(self) -> None:
        alone = isinstance(self.limiter, MemoryLimiter)
        object.__setattr__(self, "floods", self.limiter if alone else MemoryLimiter())
        object.__setattr__(self, "proofs", Proofs(self.database, self.clock, self.passwords, self.vault))
        object.__setattr__(self, "signatures", Signatures(self.database, self.clock, self.vault))
        object.__setattr__(self, "glances", Glances(self.database))
