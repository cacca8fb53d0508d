"""What the commands `users ...` do, on the database of the installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tradewright.accounts import members, people
from tradewright.accounts.principal import ROLES
from tradewright.app import house
from tradewright.clock import WallClock, format_us
from tradewright.errors import InvalidInput, NotFound, UnknownName
from tradewright.settings import Settings
from tradewright.storage import people as rows
from tradewright.storage.audit import Actor
from tradewright.storage.database import Database, Tx

_OPERATOR = Actor("system", "command line")


def invite_user(settings: Settings, email: str, role: str) -> dict[str, Any]:
    """Make an invitation to the organization of this installation; return its token, which exists nowhere else.

    Raises InvalidInput, Conflict.
    """
    if role not in ROLES:
        raise UnknownName.of("role", role, ROLES)
    address = people.spelled(email.strip())
    if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
        raise InvalidInput(f"{email!r} is not an e-mail address; write it like ada@example.com")
    now_us = WallClock().now_us()

    def invite(tx: Tx) -> dict[str, Any]:
        organization = house.ensure_organization(tx, now_us)
        made = members.invite(tx, organization, address, role, _OPERATOR, now_us, by_operator=True)
        return {"id": made[0], "token": made[1], "organization": organization, "email": address, "role": role}

    with house.open_database(settings) as database:
        made = database.write(invite)
    return {**made, "expires_at": format_us(now_us + members.INVITED_US)}


def list_users(settings: Settings) -> list[dict[str, Any]]:
    """Return the people of this installation. Raises NotFound where there is no installation."""
    with _present(settings) as database:
        found = database.read(rows.list_users)
    return [
        {**{name: row[name] for name in ("id", "email", "name")}, "created_at": format_us(row["created_at"])}
        for row in found
    ]


def reset_user(settings: Settings, email: str) -> dict[str, Any]:
    """Return a token that sets a new password once, within an hour. Raises NotFound."""
    now_us = WallClock().now_us()
    with _present(settings) as database:
        user, token = database.write(people.begin_reset, email.strip(), _OPERATOR, now_us)
    return {"id": user, "token": token, "expires_at": format_us(now_us + people.RESET_US)}


def remove_factors(settings: Settings, email: str) -> dict[str, Any]:
    """Remove the second factors of somebody who lost them, end the sessions, and return what there was.

    Raises NotFound.
    """
    with _present(settings) as database:
        return database.write(people.remove_factors, email.strip(), _OPERATOR, WallClock().now_us())


def _present(settings: Settings) -> Database:
    embedded: Path = settings.data_folder / "tradewright.db"
    if not settings.database_url and not embedded.exists():
        raise NotFound(
            f"there is nothing in the data folder {settings.data_folder} yet; run `tradewright up`, or name the folder "
            "you mean with --data-folder"
        )
    return house.open_database(settings)
