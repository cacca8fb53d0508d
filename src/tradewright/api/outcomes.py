"""Which error codes an operation can answer with: its own, and those that follow from what it is. Pure."""

from __future__ import annotations

from tradewright.api.operations import PERSON, PUBLIC, Operation
from tradewright.api.problems import CATALOGUE

_ALL = (
    "malformed_header", "too_large", "body_too_slow", "invalid_input", "rate_limited", "origin_refused",
    "storage_failed", "took_too_long", "stopping", "internal_error",
)  # fmt: skip
_KNOWN = ("unauthenticated", "forbidden")
_BODY = ("malformed_json", "unsupported_media_type")
_IDEMPOTENT = ("idempotency_running", "idempotency_mismatch")


def codes_of(operation: Operation) -> tuple[str, ...]:
    """Return every code that a caller of the operation can meet, in the order of the catalogue."""
    found = {*_ALL, *operation.errors}
    if operation.scope != PUBLIC:
        found |= {*_KNOWN}
    if operation.scope not in (PUBLIC, PERSON):
        found.add("not_found")  # of an organization that the person does not belong to
    if "{" in operation.path:
        found |= {"not_found", "no_such_path"}
    if operation.method != "GET" and operation.scope != PUBLIC:
        found.add("csrf_refused")
    if operation.cost > 1:
        found.add("limit_too_small")
    if operation.step_up:
        found.add("step_up_required")
    if operation.body is not None:
        found |= {*_BODY}
    if operation.idempotent:
        found |= {*_IDEMPOTENT}
    if operation.method == "PATCH":
        found.add("precondition_failed")
    if len(operation.media_types) > 1:
        found.add("not_acceptable")
    return tuple(code for code in CATALOGUE if code in found)
