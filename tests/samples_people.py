"""Calls that succeed, of people, sessions, factors, organizations and exports."""

from __future__ import annotations

import json

from samples import Sample, SampleOf
from seeds_people import PASSWORD

_NEW = "another sentence, never said"
_HOME = "/v1/organizations/org_a"

SAMPLES: dict[str, SampleOf] = {
    "register": lambda made: Sample(
        "/v1/auth/register",
        {
            "email": "new@example.com",
            "password": _NEW,
            "name": "New",
            "invitation": made["invitation to register"],
        },
        caller="nobody",
    ),
    "login": lambda made: Sample(
        "/v1/auth/login", {"email": "trader@example.com", "password": PASSWORD}, caller="nobody"
    ),
    "logout": lambda made: Sample("/v1/auth/logout", caller="session"),
    "reset_password": lambda made: Sample(
        "/v1/auth/reset", {"token": made["reset token"], "new_password": _NEW}, caller="nobody"
    ),
    "ask_passkey": lambda made: Sample("/v1/auth/passkeys/login-options", caller="nobody"),
    "login_with_passkey": lambda made: Sample(
        "/v1/auth/passkeys/login", {"credential": json.loads(made["passkey answer"])}, caller="nobody"
    ),
    "list_sessions": lambda made: Sample("/v1/auth/sessions", caller="session"),
    "end_session": lambda made: Sample(f"/v1/auth/sessions/{made['session to end']}", caller="session"),
    "end_other_sessions": lambda made: Sample("/v1/auth/sessions/end-others", caller="session"),
    "step_up": lambda made: Sample(
        "/v1/auth/step-up", {"password": PASSWORD, "code": made["recovery code"]}, caller="session"
    ),
    "change_password": lambda made: Sample(
        "/v1/auth/password", {"current_password": PASSWORD, "new_password": _NEW}, caller="session"
    ),
    "enrol_totp": lambda made: Sample("/v1/auth/totp", caller="stepped up"),
    "confirm_totp": lambda made: Sample("/v1/auth/totp/confirm", {"code": made["code"]}, caller="stepped up"),
    "disable_totp": lambda made: Sample("/v1/auth/totp", caller="stepped up"),
    "renew_recovery_codes": lambda made: Sample("/v1/auth/recovery-codes", caller="stepped up"),
    "ask_new_passkey": lambda made: Sample("/v1/auth/passkeys/options", caller="stepped up"),
    "add_passkey": lambda made: Sample(
        "/v1/auth/passkeys", {"credential": json.loads(made["new passkey"]), "name": "laptop"}, caller="stepped up"
    ),
    "list_passkeys": lambda made: Sample("/v1/auth/passkeys", caller="session"),
    "delete_passkey": lambda made: Sample(f"/v1/auth/passkeys/{made['passkey']}", caller="stepped up"),
    "get_me": lambda made: Sample("/v1/me", caller="session"),
    "change_me": lambda made: Sample("/v1/me", {"name": "Augusta"}, caller="session"),
    "erase_me": lambda made: Sample("/v1/me", caller="stepped up"),
    "accept_invitation": lambda made: Sample(
        "/v1/invitations/accept", {"token": made["invitation to accept"]}, caller="session"
    ),
    "list_organizations": lambda made: Sample("/v1/organizations", caller="session"),
    "create_organization": lambda made: Sample("/v1/organizations", {"name": "Second"}, caller="session"),
    "get_organization": lambda made: Sample(_HOME, everywhere=True),
    "change_organization": lambda made: Sample(_HOME, {"name": "Renamed"}, everywhere=True),
    "delete_organization": lambda made: Sample(_HOME, caller="stepped up"),
    "leave_organization": lambda made: Sample(f"{_HOME}/leave", caller="session"),
    "list_members": lambda made: Sample(f"{_HOME}/members", everywhere=True),
    "get_member": lambda made: Sample(f"{_HOME}/members/usr_leaver", everywhere=True),
    "change_member": lambda made: Sample(f"{_HOME}/members/usr_leaver", {"role": "viewer"}, caller="stepped up"),
    "remove_member": lambda made: Sample(f"{_HOME}/members/usr_leaver", caller="stepped up"),
    "list_invitations": lambda made: Sample(f"{_HOME}/invitations", everywhere=True),
    "create_invitation": lambda made: Sample(
        f"{_HOME}/invitations", {"email": "friend@example.com", "role": "trader"}, caller="stepped up"
    ),
    "delete_invitation": lambda made: Sample(f"{_HOME}/invitations/{made['invitation']}", caller="session"),
    "create_export": lambda made: Sample("/v1/exports", {"kind": "person"}, caller="session"),
    "list_exports": lambda made: Sample("/v1/exports", caller="session"),
    "get_export": lambda made: Sample(f"/v1/exports/{made['export']}", caller="session"),
    "get_export_content": lambda made: Sample(f"/v1/exports/{made['export']}/content", caller="session"),
}
