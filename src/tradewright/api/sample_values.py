"""Texts that stand for those of answers in the document: of a valid form, always the same, and nobody's. Pure data.

Looked up by the title of the object and the name of the property, then by the name alone.
"""

from __future__ import annotations

import base64
import json
from typing import Any

TIME = "2024-03-28T20:00:00Z"
_ULID = "01k3v9h2m4qzt6x8b0c2d4e6f8"
_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing
PASSWORD, NEW_PASSWORD = "a sentence nobody else says", "another sentence nobody says"
_PREFIXES = {
    "ApiKey": "key", "NewApiKey": "key", "AuditEntry": "aud", "Backtest": "bkt", "BrokerAccount": "bra",
    "Event": "evt", "Export": "exp", "Fill": "fil", "Ingestion": "ing", "IngestionSchedule": "isc",
    "Invitation": "inv", "Me": "usr", "Membership": "org",
    "Model": "msc", "Order": "ord", "Organization": "org", "Passkey": "psk", "Portfolio": "prt",
    "QuarantinedRow": "qua", "Run": "run", "Session": "ses", "Signal": "sig", "SignalModel": "mdl", "Trial": "trl",
}  # fmt: skip
_REFERENCES = {
    "actor": "usr", "broker_account": "bra", "created_by": "usr", "entries": "aud", "entry": "aud",
    "feed_session": "fds", "ingestion": "ing", "model": "mdl", "object": "key", "order": "ord", "organization": "org",
    "portfolio": "prt", "replaced_by": "key", "request": "req", "run": "run", "schedule": "isc", "session": "ses",
    "subject": "sig", "transaction": "ltx", "user": "usr",
}  # fmt: skip
_OF_A_TITLE = {
    ("DataSet", "name"): "us-stocks",
    ("Posting", "id"): f"ltx_{_ULID}-0",
    ("Enrolled", "secret"): "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    ("ExportError", "code"): "storage_failed",
    ("Feature", "name"): "return_20",
    ("Finding", "code"): "missing_prices",
    ("Health", "status"): "ok",
    ("Instrument", "name"): "Apple Inc.",
    ("JobError", "code"): "too_few_rows",
    ("Me", "name"): "Ada",
    ("Member", "name"): "Ada",
    ("Membership", "name"): "Acme",
    ("NewApiKey", "key"): "tw_paper_EXAMPLE0ThisKeyIsAnExampleAndOpensNothing00000000004GrigZ",
    ("Organization", "name"): "Acme",
    ("Passkey", "name"): "laptop",
    ("RateLimit", "name"): "key",
    ("Root", "docs"): "/docs",
    ("Root", "name"): "Tradewright",
    ("Root", "openapi"): "/openapi.json",
    ("Root", "status"): "/v1/status",
    ("ScoreboardRow", "status"): "candidate",
    ("Finding", "rows"): TIME,
    ("Status", "error"): "",
    ("Strategy", "name"): "moving_average_cross",
}
_NAMED = {
    "account": "cash",
    "action": "api_key.create",
    "address": "203.0.113.7",
    "addresses": "203.0.113.0/24",
    "agent": "curl/8.5.0",
    "calendar": "XNYS",
    "cause": "opening deposit",
    "client_order_id": f"co_{_ULID}",
    "configuration": _DIGEST,
    "csrf_token": "0123456789abcdef" * 4,
    "currency": "USD",
    "data_version": "v1",
    "detail": "open, high or low is missing",
    "effective_scopes": "market:read",
    "email": "ada@example.com",
    "environment": "paper",
    "evidence": "none",
    "feed": "replay",
    "hash": _DIGEST,
    "head": _DIGEST,
    "instrument": "equity:AAPL",
    "instruments": "equity:AAPL",
    "interval": "1d",
    "kind": "equity",
    "last_used_address": "203.0.113.7",
    "last_used_agent": "curl/8.5.0",
    "lineage": f"lin_{_ULID}",
    "message": "statistics",
    "method": "session",
    "name": "growth",
    "needs": "close",
    "next_cursor": "WyI4ZjE0ZTQ1ZiIsImJrdF8wMWszdjloMm00cXp0Nng4YjBjMmQ0ZTZmOCJd",
    "note": "twenty shares, closes only",
    "operation": "create_backtest",
    "phase": "running",
    "previous_hash": _DIGEST,
    "public_id": "tw_paper_EXAMPLE0",
    "public_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",  # RFC 8032, section 7.1, test 1
    "reason": "it held up for a quarter on paper",
    "recovery_codes": "exam-ple2-only-2345",
    "returns_hash": _DIGEST,
    "revoked_reason": f"revoked by usr_{_ULID}",
    "same_as": f"trl_{_ULID}",
    "scopes": "market:read",
    "second_factors": "code",
    "severity": "usable",
    "signing_secret": "tws_ThisSecretIsAnExampleAndSignsNothing0000000",
    "source": "binance",
    "symbol": "AAPL",
    "token": "this-token-is-an-example-and-opens-nothing-",
    "uri": "otpauth://totp/Tradewright:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Tradewright",
    "version": "0.1.0",
}


def reference(title: str, name: str) -> str | None:
    """Return an id for a property that is known to hold one, None for any other."""
    prefix = _PREFIXES.get(title) if name == "id" else _REFERENCES.get(name)
    return None if prefix is None else f"{prefix}_{_ULID}"


def text(title: str, name: str) -> str:
    """Return what a text property of this name holds; its own name where nothing better is known."""
    if name == "time" or name.endswith(("_at", "_time", "_until")):
        return TIME
    if (title, name) in _OF_A_TITLE:
        return _OF_A_TITLE[title, name]
    return _NAMED.get(name) or reference(title, name) or name or "text"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _credential(kind: str, **answer: str) -> dict[str, Any]:
    told = {"type": kind, "challenge": _base64url(b"a challenge that nobody asked..."), "origin": "https://example.com"}
    name = _base64url(b"an example")
    response = {"clientDataJSON": _base64url(json.dumps(told).encode()), **answer}
    return {"id": name, "rawId": name, "type": "public-key", "response": response}


NEW_PASSKEY = _credential("webauthn.create", attestationObject=_base64url(b"what the device said"))
PASSKEY = _credential(
    "webauthn.get", authenticatorData=_base64url(b"what the device said"), signature=_base64url(b"what it signed")
)
"""What a browser answers, in its form; signed by nobody."""
