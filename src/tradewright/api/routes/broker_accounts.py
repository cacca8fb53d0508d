"""Broker accounts: where portfolios stand. Credentials go in sealed and never come out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from tradewright import ids
from tradewright.api import dispatch
from tradewright.api.operations import Call, Effect, Operation
from tradewright.api.pagination import Page, PageQuery, decode_cursor, page
from tradewright.api.problems import Refused
from tradewright.api.wire import CredentialName, Name, Rfc3339, found, moment
from tradewright.errors import Conflict
from tradewright.storage import audit, bounds, broker_accounts
from tradewright.storage.database import Tx
from tradewright.trading.opening import MAX_BROKER_ACCOUNTS

Credential = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class BrokerAccount(msgspec.Struct, frozen=True):
    """An account at a broker. has_credentials: whether some are kept, sealed."""

    id: str
    broker: Literal["paper"]
    name: Name
    has_credentials: bool
    created_at: Rfc3339


class BrokerAccountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new broker account. credentials: what the broker wants to see, by name; sealed, and never shown again. The
    paper broker needs none."""

    broker: Literal["paper"]
    name: Name
    credentials: Annotated[dict[CredentialName, Credential], msgspec.Meta(min_length=1, max_length=8)] | None = None


class BrokerAccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """What may change; a field left out stays as it is."""

    name: Name | msgspec.UnsetType = msgspec.UNSET


async def _create(call: Call) -> Effect:
    request: BrokerAccountRequest = call.body
    key, now_us = ids.new("bra"), call.services.clock.now_us()
    sealed = None
    if request.credentials is not None:
        sealed = call.services.vault.seal(msgspec.json.encode(request.credentials), f"broker_accounts/{key}")
    organization, environment = call.tenant
    row = {
        "id": key,
        "organization": organization,
        "environment": environment,
        "broker": request.broker,
        "name": request.name,
        "credentials": sealed,
        "created_at": now_us,
    }

    def effect(tx: Tx) -> BrokerAccount:
        if bounds.held(tx, "broker_accounts", organization) >= MAX_BROKER_ACCOUNTS:
            raise Conflict(
                f"the organization has {MAX_BROKER_ACCOUNTS} broker accounts, and may have no more; remove one on "
                "which no portfolio stands"
            )
        broker_accounts.add(tx, row)
        detail = {"broker": request.broker, "credentials": sealed is not None}
        audit.record(tx, *call.tenant, call.who, "broker_account.create", key, detail, now_us)
        return _account(row)

    return Effect(effect)


async def _list(call: Call) -> Page[BrokerAccount]:
    query: PageQuery = call.query
    after = decode_cursor(call, str)
    rows = await call.services.database.read_short_async(
        broker_accounts.list_page, *call.tenant, query.limit + 1, query.order == "desc", after
    )
    return page(call, rows, [row["id"] for row in rows], _account)


async def _get(call: Call) -> BrokerAccount:
    key = call.path["id"]
    row = await call.services.database.read_short_async(broker_accounts.get, *call.tenant, key)
    return _account(found(row, "broker account", key))


async def _change(call: Call) -> Effect:
    key, change, now_us = call.path["id"], call.body, call.services.clock.now_us()

    def effect(tx: Tx) -> BrokerAccount:
        row = found(broker_accounts.get(tx, *call.tenant, key, lock=True), "broker account", key)
        dispatch.match(call, _account(row))
        if change.name is not msgspec.UNSET and change.name != row["name"]:
            broker_accounts.rename(tx, *call.tenant, key, change.name)
            audit.record(tx, *call.tenant, call.who, "broker_account.update", key, {"changed": ["name"]}, now_us)
            row["name"] = change.name
        return _account(row)

    return Effect(effect)


async def _delete(call: Call) -> Effect:
    key, now_us = call.path["id"], call.services.clock.now_us()

    def effect(tx: Tx) -> None:
        found(broker_accounts.get(tx, *call.tenant, key, lock=True), "broker account", key)
        standing = broker_accounts.portfolio_on(tx, *call.tenant, key)
        if standing is not None:
            raise Refused("conflict", f"the portfolio {standing} stands on this broker account; it has to stay")
        broker_accounts.remove(tx, *call.tenant, key)
        audit.record(tx, *call.tenant, call.who, "broker_account.delete", key, {}, now_us)

    return Effect(effect)


def _account(row: dict[str, Any]) -> BrokerAccount:
    return BrokerAccount(
        row["id"], row["broker"], row["name"], row["credentials"] is not None, moment(row["created_at"]) or ""
    )


OPERATIONS = [
    Operation(
        "GET", "/v1/broker-accounts", "list_broker_accounts", "Broker accounts", "broker accounts", "portfolios:read",
        _list, Page[BrokerAccount], PageQuery, description="The accounts that portfolios can stand on, newest first.",
    ),
    Operation(
        "POST", "/v1/broker-accounts", "create_broker_account", "Add a broker account", "broker accounts",
        "portfolios:write", _create, BrokerAccount, body=BrokerAccountRequest, status=201, idempotent=True,
        errors=("conflict",),
        description="The paper broker simulates fills from the feed of this environment. Credentials are sealed at "
        "rest and are in no answer.",
    ),
    Operation(
        "GET", "/v1/broker-accounts/{id}", "get_broker_account", "One broker account", "broker accounts",
        "portfolios:read", _get, BrokerAccount, cacheable=True, errors=("not_found",),
        description="Its name and broker, and whether credentials are kept.",
    ),
    Operation(
        "PATCH", "/v1/broker-accounts/{id}", "update_broker_account", "Rename a broker account", "broker accounts",
        "portfolios:write", _change, BrokerAccount, body=BrokerAccountChange, example={"name": "growth"},
        errors=("not_found", "precondition_failed"),
        description="A merge patch: what is left out stays as it is.",
    ),
    Operation(
        "DELETE", "/v1/broker-accounts/{id}", "delete_broker_account", "Remove a broker account", "broker accounts",
        "portfolios:write", _delete, status=204, errors=("not_found", "conflict"),
        description="Only while no open portfolio stands on it. Its credentials are deleted with it.",
    ),
]  # fmt: skip
