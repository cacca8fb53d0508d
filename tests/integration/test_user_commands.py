"""The commands about people, on an installation of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from seeds_people import SYSTEM
from tradewright.accounts import people
from tradewright.accounts.people import Registration
from tradewright.app import house
from tradewright.app.people_commands import invite_user, list_users, remove_factors, reset_user
from tradewright.errors import Conflict, InvalidInput, NotFound, UnknownName
from tradewright.settings import Settings
from tradewright.storage import people as rows


def test_who_was_invited_at_the_command_line_joins_the_installation(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "data")
    made = invite_user(settings, " Ada@Example.com ", "owner")
    assert (made["email"], made["role"]) == ("ada@example.com", "owner")
    with house.open_database(settings) as database:
        wanted = Registration("ada@example.com", "Ada", "hash", invitation=made["token"])
        user = database.write(people.register, wanted, SYSTEM, 1)
        assert user is not None
        assert database.read(rows.role_of, made["organization"], user) == "owner"
    assert [(row["email"], row["name"]) for row in list_users(settings)] == [("ada@example.com", "Ada")]
    with pytest.raises(Conflict):
        invite_user(settings, "ada@example.com", "viewer")
    token = reset_user(settings, "ADA@example.com")["token"]
    with house.open_database(settings) as database:
        database.write(people.finish_reset, token, "another hash", SYSTEM, 1)
        row = database.read(rows.get_user, user)
    assert row is not None
    assert row["password_hash"] == "another hash"


def test_what_cannot_be_is_named(tmp_path: Path) -> None:
    settings = Settings(data_folder=tmp_path / "data")
    with pytest.raises(NotFound, match="tradewright up"):
        list_users(settings)
    with pytest.raises(UnknownName, match="did you mean owner"):
        invite_user(settings, "ada@example.com", "ownr")
    for text in ("ada", "@example.com", "a@b@c"):
        with pytest.raises(InvalidInput, match="e-mail"):
            invite_user(settings, text, "viewer")
    invite_user(settings, "ada@example.com", "viewer")
    with pytest.raises(NotFound, match="users list"):
        reset_user(settings, "nobody@example.com")
    with pytest.raises(NotFound, match="users list"):
        remove_factors(settings, "nobody@example.com")
