"""The table of rights, made from the declarations: `python -m tradewright.app.rights_page > docs/rights.md`."""

from __future__ import annotations

from tradewright.api import access
from tradewright.api.operations import KNOWN, PERSON, PUBLIC, UNSCOPED, Operation
from tradewright.api.routes import all_operations

_HEAD = """# Who may call what

A key needs the scope. A person needs a role that holds it, in the organization named by the request. *Step-up*: only a
person who was just asked again (`POST /v1/auth/step-up`), and no key; where a text stands, only in that case. What
belongs to another organization or environment answers 404. This page is generated.

| operation | method and path | scope | who | step-up | cost |
|---|---|---|---|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    return _HEAD + "".join(_row(operation) for operation in all_operations())


def _row(operation: Operation) -> str:
    scope = f"`{operation.scope}`" if operation.scope not in UNSCOPED else "-"
    roles = ", ".join(access.allowed_roles(operation))
    if operation.scope == PUBLIC:
        who = "anybody"
    elif operation.scope == KNOWN:
        who = "any key; any person with a session"
    elif operation.scope == PERSON:
        who = "any person with a session"
    else:
        who = f"persons only: {roles}" if operation.sessions_only or operation.roles else f"keys; {roles}"
    step_up = "always" if operation.step_up is True else operation.step_up or "-"
    call = f"`{operation.method} {operation.path}`"
    return f"| `{operation.id}` | {call} | {scope} | {who} | {step_up} | {operation.cost} |\n"


if __name__ == "__main__":
    print(page(), end="")
