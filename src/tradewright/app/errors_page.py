"""The page of error codes, made from the one table: `python -m tradewright.app.errors_page > docs/errors.md`."""

from __future__ import annotations

from tradewright.api.problems import CATALOGUE

_HEAD = """# Error codes

A request that fails is answered with `application/problem+json` (RFC 9457): `type, title, status, detail, instance,
code, request_id, errors`. A command that fails with `--json` prints `{"error": {"code", "message"}}`; its code is one
of these, or `usage` when the call itself was wrong. Codes are stable. A head that is no HTTP (two lengths, lines
without an end) is answered by the server itself, with 400 or 431, without a body, and the connection ends; behind the
gateway those answers are problems, too. This page is generated.

| code | status | title | what to do |
|---|---|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    rows = (f"| `{code}` | {kind.status} | {kind.title} | {kind.advice} |\n" for code, kind in CATALOGUE.items())
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    print(page(), end="")
