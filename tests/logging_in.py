"""Calls of people that many tests begin with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from asgi import Client, Reply
from seeds_people import PASSWORD
from tradewright.accounts.sessions import COOKIE
from tradewright.api.app import build
from tradewright.api.rules import Rules
from tradewright.storage.tables import audit_log

LOGIN = "/v1/auth/login"


def token_of(answer: Reply) -> str:
    """The session token in the cookie of an answer."""
    name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
    assert name == COOKIE
    return value


def login(client: Client, email: str = "trader@example.com", password: str = PASSWORD, **rest: Any) -> Any:
    return client.post(LOGIN, {"email": email, "password": password, **rest}, key=None)


def opened(served: Any, client: Client) -> Client:
    """The same application, open to everybody's registration."""
    services = replace(served.services, rules=Rules(open_registration=True))
    return replace(client, app=build(services))


def count_of(served: Any, table: Any) -> int:
    return int(served.database.read(lambda tx: len(tx.execute(table.select()).all())))


def actions(served: Any, user: str) -> list[str]:
    """What the audit log says that was done to somebody, oldest first."""
    query = audit_log.select().where(audit_log.c.object == user).order_by(audit_log.c.created_at, audit_log.c.id)
    return [row["action"] for row in served.database.read(lambda tx: tx.execute(query).mappings().all())]
