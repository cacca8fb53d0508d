"""Errors as RFC 9457 problem+json: one table from error code to status and title."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from tradewright.errors import TradewrightError

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a code means to a caller."""

    status: int
    title: str
    advice: str


CATALOGUE: dict[str, Kind] = {
    "invalid_input": Kind(422, "A value was refused", "Mend the values named in `errors` and send the request again."),
    "unknown_name": Kind(422, "Unknown name", "Use one of the names suggested in `detail`."),
    "too_few_rows": Kind(422, "Not enough data", "Ask for a longer span or another data set."),
    "in_sample": Kind(422, "Tested on training rows", "Test on rows the model did not learn from."),
    "settings_invalid": Kind(500, "The server is misconfigured", "An operator must mend the settings."),
    "malformed_json": Kind(400, "The body is not JSON", "Send one JSON object, UTF-8 encoded."),
    "malformed_header": Kind(400, "A header cannot be read", "Mend the header named in `detail`."),
    "unauthenticated": Kind(
        401,
        "The caller is not authenticated",
        "Send `Authorization: Bearer <key>`, or log in; what was wrong with what was sent stands in `detail`.",
    ),
    "wrong_credentials": Kind(
        401, "A password, code or passkey is not right", "Send the right one; a session that you have goes on."
    ),
    "second_factor_required": Kind(401, "A second factor is needed", "Send the same again with `code`, or a passkey."),
    "forbidden": Kind(403, "The caller may not do this", "What is missing stands in `detail`."),
    "step_up_required": Kind(403, "Prove again who you are", "POST /v1/auth/step-up, then send the request again."),
    "csrf_refused": Kind(
        403, "The request may come from another site", "Send the Tradewright-CSRF header of your login."
    ),
    "origin_refused": Kind(
        403,
        "This origin is not allowed",
        "Use a page of this site; an operator can add the Origin that was sent, if any, to cors_origins.",
    ),
    "https_required": Kind(403, "HTTPS is required", "Use https, and replace the key that was sent over plain HTTP."),
    "not_found": Kind(404, "There is no such thing", "Check the id, and the environment that you call."),
    "no_such_path": Kind(404, "There is no such path", "See /docs for the paths that exist."),
    "method_not_allowed": Kind(405, "This path has other methods", "Use one of the methods in the Allow header."),
    "not_acceptable": Kind(406, "No such representation", "Send an Accept header that names one of those in `detail`."),
    "body_too_slow": Kind(408, "The body did not arrive in time", "Send the whole body at once."),
    "conflict": Kind(409, "The present state forbids it", "Look at the resource again before you retry."),
    "folder_in_use": Kind(409, "The data folder is in use", "Stop the other process first."),
    "cancelled": Kind(409, "It was cancelled", "Start it again if you still want it."),
    "idempotency_running": Kind(409, "The first request is still running", "Wait, then send the same request again."),
    "idempotency_mismatch": Kind(422, "The key was used for another request", "Use a new Idempotency-Key."),
    "precondition_failed": Kind(412, "It has changed meanwhile", "Read it again and send its new ETag in If-Match."),
    "too_large": Kind(413, "The request is too large", "Send less than the limit named in `detail`."),
    "misdirected": Kind(421, "This host is not served here", "Send it to the host of the API."),
    "unsupported_media_type": Kind(415, "Wrong media type", "Send `Content-Type: application/json`."),
    "rate_limited": Kind(
        429, "Too many requests", "Wait the seconds in Retry-After; GET /v1/limits shows your limits."
    ),
    "limit_too_small": Kind(
        403, "Dearer than the whole limit", "Ask the operator to raise the setting named in `detail`."
    ),
    "took_too_long": Kind(503, "It took too long", "Ask for less, or try again later."),
    "stopping": Kind(
        503,
        "The server is stopping",
        "Send it again, a POST with its Idempotency-Key; look whether it was done.",
    ),
    "not_ready": Kind(503, "Still being prepared", "Try again after the seconds in Retry-After; see GET /v1/status."),
    "unavailable": Kind(502, "Nobody answered behind the gateway", "Send it again, a POST with its Idempotency-Key."),
    "source_failed": Kind(502, "A data source failed", "Try again later."),
    "source_limited": Kind(503, "A data source limits us", "Try again later."),
    "source_refused": Kind(
        409, "A data source refuses the credentials", "Check the credentials of the source and what its plan includes."
    ),
    "storage_failed": Kind(
        503,
        "The database did not do it",
        "Try again later, a POST with its Idempotency-Key; if it stays, tell the operator.",
    ),
    "library_missing": Kind(500, "The server lacks a library", "An operator must install what `detail` names."),
    "internal_error": Kind(500, "An error on our side", "Try again; report the request_id if it stays."),
}


_NOTHING_NAMED = "Mend that and send the request again."
_SAY_THEMSELVES = frozenset(
    (
        "unauthenticated", "wrong_credentials", "second_factor_required", "forbidden", "step_up_required", "not_found",
        "conflict",
    )
)  # fmt: skip
"""Codes of many causes, for which no one advice is right: their details say what to do."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one value: a JSON pointer into the body, or `query:<name>`, and why. Of the whole
    body the pointer is empty, of a query that cannot be read `query:`."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457. `code` is stable; `type` resolves to the page about it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldError] = []


class Refused(Exception):
    """A request that ends here with a problem."""

    def __init__(
        self, code: str, detail: str, errors: list[FieldError] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors or []
        self.headers = headers or {}


def of(error: Exception) -> Refused:
    """Return the refusal for an error; one we did not raise on purpose says nothing about its inside."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, TradewrightError):
        wait = {503: 5, 429: error.facts.get("retry_after_s", 1)}.get(CATALOGUE[error.code].status)
        headers = {} if wait is None else {"Retry-After": str(wait)}
        faults = [FieldError(error.facts["pointer"], error.message)] if "pointer" in error.facts else []
        return Refused(error.code, error.message, faults, headers)
    return Refused("internal_error", "something failed on our side; it was logged under this request id")


def render(refused: Refused, instance: str, request_id: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of a refusal."""
    kind = CATALOGUE[refused.code]
    problem = Problem(
        type=f"/docs/errors#{refused.code}",
        title=kind.title,
        status=kind.status,
        detail=_whole(refused),
        instance=instance,
        code=refused.code,
        request_id=request_id,
        errors=refused.errors,
    )
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store", **refused.headers}
    if kind.status == 401:
        headers["www-authenticate"] = 'Bearer realm="tradewright"'
    return kind.status, headers, msgspec.json.encode(problem)


def _whole(refused: Refused) -> str:
    if refused.detail.endswith((".", "!", "?")):
        return refused.detail
    if refused.code in _SAY_THEMSELVES:
        return f"{refused.detail}."
    named = refused.errors or refused.code != "invalid_input"
    return f"{refused.detail}. {CATALOGUE[refused.code].advice if named else _NOTHING_NAMED}"


def example(code: str) -> dict[str, Any]:
    """Return a problem of this code as it stands in the document."""
    kind = CATALOGUE[code]
    return {
        "type": f"/docs/errors#{code}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.advice,
        "instance": "/v1/...",
        "code": code,
        "request_id": "req_...",
        "errors": [],
    }
