"""From a declared operation to an answer: scope, values, effect, encoding. The same few steps for every route."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from tradewright.accounts.keys import Principal
from tradewright.api import parsing
from tradewright.api.operations import PUBLIC, Call, Operation, Raw
from tradewright.api.problems import Refused
from tradewright.api.services import Services
from tradewright.errors import Forbidden
from tradewright.storage import idempotency
from tradewright.storage.database import IntegrityError, Tx
from tradewright.storage.idempotency import StoredAnswer

Effect = Callable[[Tx], Any]
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_encode = msgspec.json.Encoder(order="deterministic", decimal_format="string").encode
_NOBODY = Principal("", "", "", frozenset())


def encode(value: Any) -> bytes:
    """Return the JSON of an answer. NaN and infinities become null."""
    return _encode(value)


async def run(
    operation: Operation,
    services: Services,
    principal: Principal | None,
    path: dict[str, str],
    query: bytes,
    headers: dict[str, str],
    body: bytes,
    request_id: str,
    path_text: str,
) -> Raw:
    """Return the answer of an operation. Raises Refused and TradewrightError."""
    if operation.scope != PUBLIC:
        assert principal is not None
        if operation.scope not in principal.scopes:
            raise Forbidden(f"this key does not hold the scope {operation.scope}", scope=operation.scope)
    parsed = parsing.parse_query(query, operation.query)
    value = None
    if operation.body is not None:
        value = parsing.parse_body(body, headers.get("content-type", ""), operation.body)
    elif body:
        raise Refused("invalid_input", "this operation takes no body; leave it out")
    key = _idempotency_key(headers) if operation.idempotent else None
    call = Call(services, principal or _NOBODY, path, parsed, value, request_id, key, body, path_text)
    result = await operation.handler(call)
    if operation.idempotent:
        return await _take_effect(operation, call, result)
    if isinstance(result, Raw):
        return result
    return Raw(encode(result), "application/json", operation.status)


async def _take_effect(operation: Operation, call: Call, effect: Effect) -> Raw:
    fingerprint = hashlib.sha256(call.path_text.encode() + b"\0" + call.raw_body).digest()
    transaction = _transaction(operation, call, effect, fingerprint)
    database = call.services.database
    try:
        stored, replayed = await database.write_async(transaction)
    except IntegrityError:
        if call.idempotency_key is None:
            raise
        stored, replayed = await database.write_async(transaction)  # the first one has committed meanwhile
    call.services.wake_worker()
    headers = {**stored.headers, **({"Idempotency-Replayed": "true"} if replayed else {})}
    return Raw(stored.body, "application/json", stored.status, headers)


def _transaction(
    operation: Operation, call: Call, effect: Effect, fingerprint: bytes
) -> Callable[[Tx], tuple[StoredAnswer, bool]]:
    now_us = call.services.clock.now_us()

    def transaction(tx: Tx) -> tuple[StoredAnswer, bool]:
        scope = None
        if call.idempotency_key is not None:
            scope = idempotency.Scope(*call.tenant, operation.id, call.idempotency_key)
            known = idempotency.find(tx, scope, now_us)
            if known is not None:
                if known.fingerprint != fingerprint:
                    raise Refused(
                        "idempotency_mismatch", "this Idempotency-Key was used before with another path or body"
                    )
                return known, True
        answer = StoredAnswer(fingerprint, operation.status, {}, encode(effect(tx)))
        if scope is not None:
            idempotency.store(tx, scope, answer, now_us)
        return answer, False

    return transaction


def _idempotency_key(headers: dict[str, str]) -> str | None:
    given = headers.get("idempotency-key")
    if given is None:
        return None
    if len(given) >= 2 and given[0] == given[-1] == '"':
        given = given[1:-1]
    if not _KEY.fullmatch(given):
        raise Refused("malformed_header", "Idempotency-Key must be 1 to 255 visible ASCII characters")
    return given
