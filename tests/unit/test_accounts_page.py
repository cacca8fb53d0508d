"""docs/accounts.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tradewright.accounts import members, passkeys, people, sessions, throttling
from tradewright.accounts.limits import Policy
from tradewright.accounts.passwords import LONGEST, SHORTEST, Cost
from tradewright.accounts.principal import ROLES
from tradewright.api.routes import all_operations
from tradewright.api.rules import of_settings
from tradewright.settings import Settings
from tradewright.storage import exports

PAGE = (Path(__file__).parents[2] / "docs" / "accounts.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"(?m)^\| ([^|]+?) \| (.+?) \|$", PAGE))
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000


def test_every_duration_is_the_one_that_counts() -> None:
    assert ROWS["a session without use"] == f"{sessions.IDLE_US // HOUR} hours"
    assert ROWS["a session at most"] == f"{sessions.LONGEST_US // DAY} days"
    assert ROWS["a step-up"] == f"{sessions.STEP_UP_US // SECOND // 60} minutes"
    assert ROWS["an invitation"] == f"{members.INVITED_US // DAY} days, once"
    assert ROWS["a token to set a new password"] == f"{people.RESET_US // HOUR} hour, once"
    assert ROWS["the challenge of a passkey"] == f"{passkeys.ASKED_US // SECOND // 60} minutes, once"
    assert ROWS["an export"] == f"{exports.KEPT_US // DAY} days"


def test_passkeys_work_where_the_page_says() -> None:
    for settings in (Settings(), Settings(site_url="http://127.0.0.1:8000")):
        assert of_settings(settings).site_name == "localhost"
        assert "http://localhost:8000" in of_settings(settings).browser_origins
    assert "`http://localhost:8000`" in PAGE
    assert of_settings(Settings(site_url="https://api.example.com")).site_name == "api.example.com"


def test_every_limit_is_the_one_that_counts() -> None:
    def told(policy: Policy) -> str:
        seconds = policy.interval_us // SECOND
        return f"{policy.quota} | one each {f'{seconds} s' if seconds < 120 else f'{seconds // 60} min'}"

    assert ROWS["logins to one address, known or not"] == told(throttling.LOGINS)
    assert ROWS["passwords and codes within the sessions of one person"] == told(throttling.PROOFS)
    assert ROWS["logins from one internet address (IPv6: one /64)"] == told(throttling.ADDRESS)
    assert ROWS["registrations from one internet address"] == told(throttling.REGISTRATIONS)


def test_passwords_and_roles_are_as_told() -> None:
    cost = Cost()
    assert f"{SHORTEST} to {LONGEST} characters" in PAGE
    assert f"({cost.rounds} rounds, {cost.memory_kib // 1024} MiB, {cost.lanes} lane)" in PAGE
    assert [f"`{role}`" in ROWS for role in ROLES] == [True] * 6


def test_every_path_that_is_named_is_served() -> None:
    served = {(operation.method, operation.path) for operation in all_operations()}
    named = re.findall(r"`(GET|POST|DELETE|PATCH) (/v1/[\w/{}-]+)`", PAGE)
    assert len(named) > 8
    assert set(named) <= served
