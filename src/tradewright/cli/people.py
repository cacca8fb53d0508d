"""Commands about who may do what: keys and people."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tradewright.cli.base import Folder, Json, keys_app, settings_of, show, users_app


@keys_app.command("create")
def keys_create(
    environment: Annotated[str, typer.Option(help="sandbox, paper or live.")] = "paper",
    name: Annotated[str, typer.Option(help="What it is for.")] = "key",
    scope: Annotated[list[str] | None, typer.Option(help="Once for each; all when left out.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Make an API key; it is shown once."""
    from tradewright.app.commands import create_key

    made = create_key(settings_of(folder), environment, name, scope)
    show(made, as_json, lambda key: f"{key['key']}\n(shown only now; id {key['id']})")


@keys_app.command("list")
def keys_list(folder: Folder = None, as_json: Json = False) -> None:
    """The keys of this installation, without their secrets."""
    from tradewright.app.commands import list_keys

    show(list_keys(settings_of(folder)), as_json, _keys_text)


@keys_app.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(metavar="ID")], folder: Folder = None, as_json: Json = False
) -> None:
    """End a key now."""
    from tradewright.app.commands import revoke_key

    revoke_key(settings_of(folder), key)
    show({"id": key, "state": "revoked"}, as_json, lambda made: f"revoked {made['id']}")


@users_app.command("invite")
def users_invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL")],
    role: Annotated[str, typer.Option(help="owner, admin, trader, researcher, developer or viewer.")] = "viewer",
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Ask somebody to join the organization of this installation; the token is shown once."""
    from tradewright.app.people_commands import invite_user

    made = invite_user(settings_of(folder), email, role)
    show(
        made,
        as_json,
        lambda one: (
            f"{one['token']}\n(shown only now; {one['email']} joins as {one['role']} by sending it as "
            f"`invitation` to POST /v1/auth/register before {one['expires_at']})"
        ),
    )


@users_app.command("list")
def users_list(folder: Folder = None, as_json: Json = False) -> None:
    """The people of this installation."""
    from tradewright.app.people_commands import list_users

    found = list_users(settings_of(folder))
    show(found, as_json, lambda rows: "\n".join(f"{row['id']:31} {row['email']:32} {row['name']}" for row in rows))


@users_app.command("reset")
def users_reset(
    email: Annotated[str, typer.Argument(metavar="EMAIL")], folder: Folder = None, as_json: Json = False
) -> None:
    """Let somebody set a new password; the token is shown once."""
    from tradewright.app.people_commands import reset_user

    made = reset_user(settings_of(folder), email)
    show(
        made,
        as_json,
        lambda one: (
            f"{one['token']}\n(shown only now; send it with `new_password` to POST /v1/auth/reset before "
            f"{one['expires_at']}; second factors stay)"
        ),
    )


@users_app.command("recover")
def users_recover(
    email: Annotated[str, typer.Argument(metavar="EMAIL")], folder: Folder = None, as_json: Json = False
) -> None:
    """Take the second factors away from somebody who lost them, and end their sessions."""
    from tradewright.app.people_commands import remove_factors

    done = remove_factors(settings_of(folder), email)
    show(
        done,
        as_json,
        lambda one: (
            f"{one['email']} has no second factor now; removed: {'codes and ' if one['codes'] else ''}"
            f"{one['passkeys']} passkey(s); ended: {one['sessions_ended']} session(s). The password alone suffices "
            "until a new factor is added"
        ),
    )


def _keys_text(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'id':31} {'environment':11} {'name':20} {'created':27} state"]
    lines += [
        f"{row['id']:31} {row['environment']:11} {row['name']:20} {row['created_at']:27} {row['state']}" for row in rows
    ]
    return "\n".join(lines)
