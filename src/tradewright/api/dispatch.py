"""From a declared operation to an answer: rights, values, effect, encoding. The same few steps for every route."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tradewright.accounts import authentication, sessions
from tradewright.accounts.principal import Principal
from tradewright.api import access, parsing, wording
from tradewright.api.operations import PERSON, PUBLIC, Call, Effect, Once, Operation, Raw
from tradewright.api.problems import Refused
from tradewright.api.services import Services
from tradewright.errors import StillRunning, StorageFailed
from tradewright.storage import idempotency, people
from tradewright.storage.database import Tx
from tradewright.storage.idempotency import StoredAnswer

ETAGS = r'\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*'
"""What If-Match can be."""
_ETAGS = re.compile(ETAGS)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_JSON = "application/json"
_encode = msgspec.json.Encoder(order="deterministic", decimal_format="string").encode


def encode(value: Any) -> bytes:
    """Return the JSON of an answer. NaN and infinities become null."""
    return _encode(value)


def etag_of(body: bytes) -> str:
    """Return the strong ETag of these bytes."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def match(call: Call, current: Any) -> None:
    """Return when the caller's If-Match names the present state of the thing, or is not there. Raises Refused.

    current: the answer that its GET would give now, read in the transaction of the change.
    """
    wanted = call.headers.get("if-match")
    if wanted is not None and not _ETAGS.fullmatch(wanted.strip()):
        raise Refused(
            "malformed_header",
            f"If-Match must be an ETag as GET gives it, in double quotes; got {wording.cut(repr(wanted))}; send the "
            "one of the last GET, or leave If-Match out.",
        )
    if wanted is not None and not _names(wanted, now := etag_of(encode(current))):
        raise Refused(
            "precondition_failed",
            f"it has changed since you read it: If-Match names {wording.cut(wanted)}, and its ETag is {now} now",
        )


async def run(services: Services, state: Mapping[str, Any], path_text: str, query: bytes, body: bytes) -> Raw:
    """Return the answer of the operation that the layers found. state: what they learned about the request.

    Raises Refused and TradewrightError.
    """
    operation: Operation = state["operation"]
    access.authorize(operation, state["principal"], services.clock.now_us())
    value = None
    if operation.body is not None:
        parsing.refuse_packed(state["headers"].get("content-encoding", ""))
        given = state["headers"].get("content-type", "")
        value = parsing.parse_body(body, given, operation.body, operation.body_types)
    elif body:
        raise Refused("invalid_input", "this operation takes no body; leave it out")
    call = Call(
        services,
        operation,
        state["principal"],
        state["parameters"],
        parsing.parse_query(query, operation.query),
        value,
        state["headers"],
        state["request_id"],
        state["address"],
        body,
        path_text,
    )
    claim = _claim(operation, call)
    if claim is None:
        return await _answer(operation, call, None)
    async with services.turns.of([repr(claim.scope)], StillRunning()):
        replay = await services.database.read_async(_earlier, call, claim)
        return replay or await _answer(operation, call, claim)


async def _answer(operation: Operation, call: Call, claim: _Claim | None) -> Raw:
    result = await operation.handler(call)
    if isinstance(result, Effect):
        return await _take_effect(operation, call, result, claim)
    answer = result if isinstance(result, Raw) else Raw(encode(result), _JSON, operation.status)
    return _cached(call, answer) if operation.cacheable else answer


def _cached(call: Call, answer: Raw) -> Raw:
    headers = {"cache-control": "private, no-cache", **answer.headers}
    if "etag" not in headers:
        headers["etag"] = etag_of(answer.body)
    etag = headers["etag"]
    asked = call.headers.get("if-none-match")
    if asked is not None and _names(asked, etag):
        return Raw(b"", answer.media_type, 304, headers)
    return Raw(answer.body, answer.media_type, answer.status, headers)


def _names(header: str, etag: str) -> bool:
    return header.strip() == "*" or any(
        part.strip().removeprefix("W/") == etag.removeprefix("W/") for part in header.split(",")
    )


@dataclass(frozen=True, slots=True)
class _Claim:
    scope: idempotency.Scope
    marks: list[bytes]
    now_us: int


def _claim(operation: Operation, call: Call) -> _Claim | None:
    given = call.headers.get("idempotency-key")
    if not operation.idempotent or given is None:
        return None
    if len(given) >= 2 and given[0] == given[-1] == '"':
        given = given[1:-1]
    if not _KEY.fullmatch(given):
        wrong = re.search(r"[^\x21-\x7e]", given)
        seen = f"{wrong[0]!r} in it" if wrong else f"{len(given)}"
        raise Refused("malformed_header", f"Idempotency-Key must be 1 to 255 visible ASCII characters; got {seen}")
    owner = (call.principal.user or "", "/".join(call.tenant)) if operation.scope == PERSON else call.tenant
    marks = call.services.vault.marks(call.path_text.encode() + b"\0" + call.raw_body)
    return _Claim(idempotency.Scope(*owner, operation.id, given), marks, call.services.clock.now_us())


def _earlier(tx: Tx, call: Call, claim: _Claim) -> Raw | None:
    known = idempotency.find(tx, claim.scope, claim.now_us)
    if known is None:
        return None
    caller_now(tx, call)
    return _replayed(known, claim)


def _replayed(known: StoredAnswer, claim: _Claim) -> Raw:
    if known.fingerprint not in claim.marks:
        raise Refused("idempotency_mismatch", "this Idempotency-Key was used before with another path or body")
    return Raw(known.body, _JSON, known.status, {**known.headers, "Idempotency-Replayed": "true"})


async def _take_effect(operation: Operation, call: Call, effect: Effect, claim: _Claim | None) -> Raw:
    def transaction(tx: Tx) -> tuple[Raw, bool]:
        if claim is not None:
            idempotency.hold(tx, claim.scope)
        confirm(tx, call)  # before the claim: an erasure locks whose the key is, and only then the key
        known = None if claim is None else idempotency.claim(tx, claim.scope, claim.marks[0], claim.now_us)
        if claim is not None and known is not None:
            return _replayed(known, claim), False
        result = effect.run(tx)
        shown, kept = (result.shown, result.kept) if isinstance(result, Once) else (result, result)
        answer = shown if isinstance(shown, Raw) else Raw(_body(shown, operation), _JSON, operation.status)
        if claim is not None:
            body = answer.body if kept is shown else _body(kept, operation)
            idempotency.store(tx, claim.scope, StoredAnswer(claim.marks[0], operation.status, {}, body))
        return answer, True

    late = StorageFailed("other changes of the same organization or person took too long; this one was not begun")
    async with call.services.turns.of(_whose(call), late):
        answer, made = await call.services.database.write_async(transaction)
    if made:
        effect.after()
        call.services.wake_worker()
    return answer


def _whose(call: Call) -> list[str]:
    # in the order in which the transaction waits for the same
    person = call.principal.user if call.operation.scope == PERSON else None
    return [name for name in (person, call.principal.organization) if name]


def confirm(tx: Tx, call: Call) -> Principal:
    """Return who the caller is now: a revocation, a demotion, an erasure may have come before this transaction, and
    none comes until it ends. Raises as the doors do.

    The changes of a person to what is theirs take turns, and so do those of an organization. A person is locked before
    an organization, so that no two wait for each other.
    """
    principal = call.principal
    if call.operation.scope == PUBLIC:
        return principal
    if call.operation.scope == PERSON:
        people.get_user(tx, principal.user or "", lock=True)
        people.hold_organization(tx, principal.organization)
    else:
        people.hold_user(tx, principal.user if principal.session else None)
        people.lock_whole_organization(tx, principal.organization)
    return caller_now(tx, call)


def caller_now(tx: Tx, call: Call) -> Principal:
    """Return who the caller is now, with the rights of now, when they may do it still. Raises as the doors do."""
    now_us = call.services.clock.now_us()
    if call.operation.scope == PUBLIC:
        return call.principal
    if call.principal.key is not None:
        now = authentication.confirm(tx, call.principal, call.address, now_us)
    else:
        now = sessions.confirm(tx, call.principal, now_us)
    access.authorize(call.operation, now, now_us)
    return now


def _body(value: Any, operation: Operation) -> bytes:
    return b"" if operation.status == 204 else encode(value)
