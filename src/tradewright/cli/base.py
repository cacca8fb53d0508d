"""What the commands share: their groups, their common options, settings and output."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tradewright import settings as settings_module
from tradewright.app.variables import unread
from tradewright.settings import Settings

app = typer.Typer(
    help="An AI trading engine whose numbers can be trusted.", add_completion=False, pretty_exceptions_enable=False
)  # fmt: skip
keys_app = typer.Typer(help="API keys.")
app.add_typer(keys_app, name="keys")
users_app = typer.Typer(help="People.")
app.add_typer(users_app, name="users")
sources_app = typer.Typer(help="Third parties that data comes from.")
app.add_typer(sources_app, name="sources")
schedules_app = typer.Typer(help="Ingestions again and again.")
app.add_typer(schedules_app, name="schedules")
audit_app = typer.Typer(help="What was done, by whom.")
app.add_typer(audit_app, name="audit")
db_app = typer.Typer(help="The database.")
app.add_typer(db_app, name="db")
vault_app = typer.Typer(help="Sealed secrets.")
app.add_typer(vault_app, name="vault")

Folder = Annotated[Path | None, typer.Option("--data-folder", help="Where everything is kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def settings_of(folder: Path | None = None, **overrides: Any) -> Settings:
    """Return the settings, those of the command line first; tell of variables that are none. Raises SettingsInvalid."""
    _warn_of_variables()
    loaded = settings_module.load(overrides={"data_folder": folder, **overrides})
    logging.basicConfig(level=loaded.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return loaded


@cache  # once a process
def _warn_of_variables() -> None:
    for sentence in unread(os.environ):
        print(f"warning: {sentence}", file=sys.stderr)


def show(value: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    """Print what a command made, as JSON or as the text that `text` makes of it."""
    if as_json:  # msgspec writes what is not finite as null: JSON has no word for it
        print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    else:
        print(text(value))


def progress(quiet: bool) -> Callable[[float, str], None]:
    """Return what tells a person at a terminal how far long work is."""

    def tell(fraction: float, message: str) -> None:
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[2K[{fraction:4.0%}] {message}" + ("\n" if fraction >= 1 else ""))
            sys.stderr.flush()

    return tell
