"""Credentials of sources: an organization hands them in, they are kept sealed, and nobody sees them again."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tradewright.api.operations import Call, Effect, Operation
from tradewright.api.problems import FieldError, Refused
from tradewright.api.routes.sources import KeptCredentials, no_source
from tradewright.api.wire import CredentialName
from tradewright.clock import format_us
from tradewright.sources import asking
from tradewright.storage import audit, third_parties
from tradewright.storage.database import Tx

_Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, examples=["an-example-and-nobody-s-key"])]


class CredentialsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """fields: what the source wants to see, by the names of `declared.credentials`: all of them."""

    fields: Annotated[dict[CredentialName, _Secret], msgspec.Meta(min_length=1, max_length=8)]


async def _keep(call: Call) -> Effect:
    name, request, now_us = call.path["name"], call.body, call.services.clock.now_us()
    if not asking.exists(name):
        raise no_source(name)
    faults = [
        FieldError(f"/fields/{field}" if field else "/fields", error.message)
        for field, error in asking.credential_faults(name, request.fields)
    ]
    if faults:
        names = ", ".join(fault.pointer for fault in faults)
        raise Refused("invalid_input", f"{len(faults)} value(s) were refused: {names}", faults)
    content = msgspec.json.encode(request.fields)

    def effect(tx: Tx) -> KeptCredentials:
        organization = call.principal.organization
        key = third_parties.credentials_id(tx, organization, name)
        sealed = call.services.vault.seal(content, f"source_credentials/{key}")
        third_parties.keep_credentials(tx, organization, name, key, sealed, now_us)
        audit.record(tx, *call.tenant, call.who, "source.credentials", name, {"kept": True}, now_us)
        return KeptCredentials(format_us(now_us))

    return Effect(effect)


async def _forget(call: Call) -> Effect:
    name, now_us = call.path["name"], call.services.clock.now_us()

    def effect(tx: Tx) -> None:
        if not third_parties.remove_credentials(tx, call.principal.organization, name):
            raise Refused("not_found", f"no credentials of a source {name!r} are kept; GET /v1/sources shows which are")
        audit.record(tx, *call.tenant, call.who, "source.credentials", name, {"kept": False}, now_us)

    return Effect(effect)


OPERATIONS = [
    Operation(
        "PUT", "/v1/sources/{name}/credentials", "keep_source_credentials", "Hand in credentials of a source",
        "sources", "sources:write", _keep, KeptCredentials, body=CredentialsRequest, errors=("not_found",),
        example={"fields": {"api_key": "an-example-and-nobody-s-key"}},
        description="In the place of those that were there, for every environment of the organization. They are sealed "
        "at rest and in no answer; what is fetched with them is shown to no other organization.",
    ),
    Operation(
        "DELETE", "/v1/sources/{name}/credentials", "forget_source_credentials", "Forget credentials of a source",
        "sources", "sources:write", _forget, status=204, errors=("not_found",),
        description="What was fetched with them stays.",
    ),
]  # fmt: skip
