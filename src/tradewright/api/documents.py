"""The OpenAPI document and its page as bytes, made once for each version."""

from __future__ import annotations

from functools import cache

import msgspec

from tradewright.api import openapi, reference
from tradewright.api.routes import all_operations
from tradewright.api.services import Documents


def document_bytes(version: str) -> bytes:
    """Return the OpenAPI document."""
    return documents(version).openapi


@cache
def documents(version: str) -> Documents:
    """Return the document and the page that shows it."""
    plain = openapi.document(all_operations(), version)
    page = reference.page(msgspec.to_builtins(plain), "http://127.0.0.1:8000").encode()
    return Documents(msgspec.json.encode(plain, order="deterministic"), page)
