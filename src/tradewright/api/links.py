"""How operations lead to each other: what one answers names what another takes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tradewright.api.operations import Operation

_PREFIXES = {
    "api-keys": "key", "audit-log": "aud", "backtests": "bkt", "broker-accounts": "bra", "events": "evt",
    "exports": "exp", "ingestion-schedules": "isc", "invitations": "inv", "members": "usr", "models": "msc",
    "orders": "ord", "organizations": "org",
    "passkeys": "psk", "portfolios": "prt", "runs": "run", "sessions": "ses", "signals": "sig",
}  # fmt: skip
_SAMPLES = {"instruments": "crypto:BTC-USDT", "sources": "binance"}
_BESIDES: dict[str, tuple[tuple[str, dict[str, str], dict[str, str]], ...]] = {
    "list_instruments": (
        ("list_bars", {"instruments": "$response.body#/data/0/id"}, {}),
        ("list_quotes", {"instruments": "$response.body#/data/0/id"}, {}),
    ),
    "create_broker_account": (("create_portfolio", {}, {"broker_account": "$response.body#/id"}),),
    "create_portfolio": (
        ("list_orders", {"portfolio": "$response.body#/id"}, {}),
        ("list_fills", {"portfolio": "$response.body#/id"}, {}),
    ),
}
"""By operation: another one, its parameters and the fields of its body."""


def path_parameter(path: str, name: str) -> dict[str, Any]:
    """Return a parameter of a path, without its schema."""
    things = re.findall(rf"/([a-z-]+)/{{{name}}}", path)[0]
    sample = _SAMPLES.get(things) or f"{_PREFIXES.get(things, things[:3])}_01k3v9h2m4qzt6x8b0c2d4e6f8"
    what = things.replace("-", " ").removesuffix("s")
    label = "Name" if name == "name" else "Id"
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"{label} of the {what}.",
        "example": sample,
    }


def of(operations: Sequence[Operation]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Return path, method, status and links of each operation whose answer leads on to others."""
    for operation in operations:
        found = {
            target.id: {"operationId": target.id, "parameters": given} for target, given in _next(operation, operations)
        }
        for name, parameters, body in _BESIDES.get(operation.id, ()):
            found[name] = {"operationId": name, **({"parameters": parameters} if parameters else {})}
            found[name] |= {"requestBody": body} if body else {}
        if found:
            yield operation.path, operation.method.lower(), str(operation.status), found


def _next(operation: Operation, operations: Sequence[Operation]) -> Iterator[tuple[Operation, dict[str, str]]]:
    if operation.answer is None or not hasattr(operation.answer, "__struct_fields__"):
        place = _place(operation.answer)
    else:
        place = "/id" if "id" in operation.answer.__struct_fields__ else _place(operation.answer)
    if place is None:
        return
    if operation.method == "GET" and place == "/id":
        return  # whoever asked for one thing by its id knows the id
    for target in operations:
        names = re.findall(r"{(\w+)}", target.path)
        base = operation.path + "/{"
        if len(names) == 1 + operation.path.count("{") and target.path.startswith(base):
            named = place if place != "/data/0/id" or names[-1] != "name" else "/data/0/name"
            outer = {name: f"$request.path.{name}" for name in names[:-1]}
            yield target, {**outer, names[-1]: f"$response.body#{named}"}


def _place(answer: Any) -> str | None:
    # where the id of the first thing of a list stands
    fields = getattr(getattr(answer, "__origin__", answer), "__struct_fields__", ())
    return "/data/0/id" if fields and fields[0] == "data" else None
