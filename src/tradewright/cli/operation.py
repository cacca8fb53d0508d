"""Commands for who operates an installation."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tradewright import settings as settings_module
from tradewright.cli.base import Folder, Json, app, db_app, settings_of, show, vault_app


@db_app.command("upgrade")
def db_upgrade(folder: Folder = None, as_json: Json = False) -> None:
    """Create or migrate every table."""
    from tradewright.app.operator import upgrade_database

    show(upgrade_database(settings_of(folder)), as_json, lambda made: f"the tables are at revision {made['revision']}")


@db_app.command("grant")
def db_grant(
    role: Annotated[str, typer.Argument(help="A PostgreSQL role that exists.")],
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Let a PostgreSQL role serve: rows of every table, of the audit log only reading and adding."""
    from tradewright.app.operator import grant_role

    show(grant_role(settings_of(folder), role), as_json, lambda made: "\n".join(made["statements"]))


@vault_app.command("rotate")
def vault_rotate(
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Forget the old main keys, once nothing needs them.")] = (
        False
    ),
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Seal every secret under a new main key; cut off, it goes on where it was."""
    from tradewright.app.operator import rotate_main_key

    show(rotate_main_key(settings_of(folder), drop_old), as_json, _rotate_text)


@app.command()
def doctor(
    show_settings: Annotated[bool, typer.Option("--settings", help="Print the settings with their origin.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Check the installation and say how to mend it."""
    from tradewright.app.doctor import examine

    loaded = settings_of(folder)
    if show_settings:
        rows = settings_module.describe(loaded)
        show(rows, as_json, lambda r: "\n".join(f"{x['name']:14} {x['value']:32} {x['origin']}" for x in r))
        return
    found = examine(loaded)
    show(found, as_json, lambda r: "\n".join(f"{'ok  ' if x['ok'] else 'MEND'} {x['what']}: {x['detail']}" for x in r))
    if not all(item["ok"] for item in found):
        raise typer.Exit(1)


@app.command()
def bench(
    only: Annotated[list[str] | None, typer.Argument(help="Names of benchmarks; all when left out.")] = None,
    as_json: Json = False,
) -> None:
    """Measure side by side with peers; needs a source checkout (its `benchmarks` folder)."""
    from tradewright.app.commands import bench as run

    status = run(only or [], quiet=as_json)
    if as_json:
        show({"status": status}, as_json, str)
    raise typer.Exit(status)


def _rotate_text(made: dict[str, Any]) -> str:
    if "dropped" in made:
        return f"{made['dropped']} old main key(s) forgotten"
    sealed = ", ".join(f"{count} of {table}" for table, count in made["resealed"].items())
    return f"{'a new main key; ' if made['new_key'] else ''}sealed anew: {sealed}"
