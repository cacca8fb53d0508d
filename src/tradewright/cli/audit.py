"""Commands of the audit logs."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from tradewright.cli.base import Folder, Json, audit_app, settings_of, show


@audit_app.command("list")
def audit_list(
    organization: Annotated[
        str, typer.Option(help="Id of an organization; left out: logins, and what belongs to no organization.")
    ] = "",
    limit: Annotated[int, typer.Option(help="The newest so many.")] = 50,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """What was done, by whom."""
    from tradewright.app.audit_commands import entries

    def line(row: dict[str, Any]) -> str:
        return f"{row['created_at']} {row['action']:24} {row['actor']:31} {row['object']:31} {row['address'] or '-'}"

    none = "there are no entries yet; `tradewright audit verify` lists every log"
    show(entries(settings_of(folder), organization, limit), as_json, lambda rows: "\n".join(map(line, rows)) or none)


@audit_app.command("verify")
def audit_verify(folder: Folder = None, as_json: Json = False) -> None:
    """Whether every audit log holds; exit status 1 when one was changed."""
    from tradewright.app.audit_commands import verify

    def line(row: dict[str, Any]) -> str:
        name, fault = row["organization"] or "(no organization)", row["broken"]
        if fault is None:
            return f"{name:31} holds: {row['sealed']} entries, head {row['head'] or '-'}"
        return f"{name:31} BROKEN after {row['sealed']} entries: {fault['entry'] or 'an entry'} was {fault['how']}"

    found = verify(settings_of(folder))
    show(found, as_json, lambda rows: "\n".join(map(line, rows)) or "there are no entries yet")
    broken = [row["organization"] or "no organization" for row in found if not row["verified"]]
    if broken:
        print(f"error: what was recorded of {', '.join(broken)} was changed afterwards", file=sys.stderr)
        raise typer.Exit(1)
