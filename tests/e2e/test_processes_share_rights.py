"""API processes on one database, each serving under a role that cannot touch the audit log: they act as one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from servers import Api, api_processes, redis_server
from tradewright.accounts import keys
from tradewright.accounts.keys import Terms
from tradewright.accounts.principal import Signing
from tradewright.accounts.scopes import SCOPES
from tradewright.app import house, operator
from tradewright.clock import WallClock
from tradewright.settings import Settings
from tradewright.storage.database import Database
from tradewright.storage.tables import api_keys, audit_seals

pytestmark = pytest.mark.postgres
ROLE = "tradewright_api"


def ask(
    api: Api, key: str, target: str, method: str = "GET", body: Any = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of an answer."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {key}", **headers}
    if data is not None:
        sent["Content-Type"] = "application/json"
    request = urllib.request.Request(api.address + target, data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
            return answer.status, lower(answer.headers), json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, lower(error.headers), json.loads(error.read())


def lower(headers: Any) -> dict[str, str]:
    """Headers by lower-case name."""
    return {name.lower(): value for name, value in headers.items()}


def within(seconds: float, reached: Callable[[], bool]) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Installation:
    """Two processes, the owner's view of their database, and a key with every scope."""

    def __init__(self, apis: list[Api], owner: Database, settings: Settings) -> None:
        self.one, self.two = apis
        self.owner, self.settings = owner, settings
        self.organization = owner.write(house.ensure_organization, WallClock().now_us())
        self.key = self.issue(scopes=SCOPES).text

    def issue(self, **terms: Any) -> keys.Issued:
        given = Terms(**{"name": "k", "scopes": ("market:read",), **terms})
        vault = house.open_vault(self.settings)
        return self.owner.write(keys.issue, vault, self.organization, "paper", given, WallClock().now_us())


@pytest.fixture
def installation(postgres_url: str, tmp_path: Path) -> Iterator[Installation]:
    """Two API processes under the limited role, sharing limits."""
    folder = tmp_path / "data"
    settings = Settings(data_folder=folder, database_url=postgres_url)
    with Database(postgres_url) as owner, redis_server(tmp_path) as cache:
        operator.upgrade_database(settings)
        owner.write(lambda tx: tx.exec_driver_sql(f"DROP ROLE IF EXISTS {ROLE}"))
        owner.write(lambda tx: tx.exec_driver_sql(f"CREATE ROLE {ROLE} LOGIN"))
        operator.grant_role(settings, ROLE)
        url = sa.make_url(postgres_url).set(username=ROLE).render_as_string(hide_password=False)
        rules = {"database_url": url, "cache_url": cache, "key_limit": "300"}
        with api_processes(folder, 2, **rules) as apis:
            yield Installation(apis, owner, settings)
        owner.write(lambda tx: tx.exec_driver_sql(f"DROP OWNED BY {ROLE}"))
        owner.write(lambda tx: tx.exec_driver_sql(f"DROP ROLE {ROLE}"))


def test_two_processes_act_as_one(installation: Installation) -> None:
    revoked_everywhere_within_two_seconds(installation)
    signed_requests_count_once_over_both(installation)
    limits_are_counted_over_both(installation)
    what_was_done_is_sealed_within_a_second(installation)
    the_last_use_is_stored(installation)


def revoked_everywhere_within_two_seconds(installation: Installation) -> None:
    one, two = installation.one, installation.two
    status, _, made = ask(one, installation.key, "/v1/api-keys", "POST", {"name": "x", "scopes": ["market:read"]})
    assert status == 201, made
    for api in (one, two):
        assert ask(api, made["key"], "/v1/limits")[0] == 200
    assert ask(one, installation.key, f"/v1/api-keys/{made['id']}", "DELETE")[0] == 204
    assert ask(one, made["key"], "/v1/limits")[0] == 401
    assert within(2.1, lambda: ask(two, made["key"], "/v1/limits")[0] == 401)


def signed_requests_count_once_over_both(installation: Installation) -> None:
    key = installation.issue(signing=Signing("hmac-sha256", True))
    assert key.signing_secret is not None
    stamp, nonce = str(time.time_ns() // 1_000_000), "n" * 20
    text = "\n".join(["GET", "/v1/limits", "", stamp, nonce, hashlib.sha256(b"").hexdigest()])
    value = hmac.new(key.signing_secret.encode(), text.encode(), hashlib.sha256).digest()
    signed = {
        "Tradewright-Timestamp": stamp,
        "Tradewright-Nonce": nonce,
        "Tradewright-Signature": f"hmac-sha256={base64.b64encode(value).decode()}",
    }
    assert ask(installation.one, key.text, "/v1/limits", **signed)[0] == 200
    status, _, problem = ask(installation.two, key.text, "/v1/limits", **signed)
    assert (status, "used before" in problem["detail"]) == (401, True)


def limits_are_counted_over_both(installation: Installation) -> None:
    key = installation.issue()
    given = 0
    for n in range(400):
        status, headers, _ = ask((installation.one, installation.two)[n % 2], key.text, "/v1/instruments")
        if status == 429:
            assert int(headers["retry-after"]) >= 1
            break
        given += 1
    assert 300 <= given <= 330  # the quota, and what came back meanwhile


def what_was_done_is_sealed_within_a_second(installation: Installation) -> None:
    def unsealed() -> list[str]:
        verification = ask(installation.two, installation.key, "/v1/audit-log/verification")[2]
        assert verification["verified"] is True
        return list(verification["unsealed"]["entries"])

    assert ask(installation.one, installation.key, "/v1/api-keys", "POST", {"name": "y", "scopes": ["market:read"]})[0]
    assert within(1.5, lambda: unsealed() == [])
    sequences = installation.owner.read(
        lambda tx: list(tx.execute(sa.select(audit_seals.c.sequence).order_by(audit_seals.c.sequence)).scalars())
    )
    assert sequences == list(range(1, len(sequences) + 1))
    assert len(sequences) >= 3


def the_last_use_is_stored(installation: Installation) -> None:
    public_id = keys.parse(installation.key)
    assert public_id is not None
    query = sa.select(api_keys).where(api_keys.c.public_id == public_id.public_id)

    def used() -> bool:
        row = installation.owner.read(lambda tx: tx.execute(query).one())
        return row.last_used_address == "127.0.0.1" and "Python-urllib" in row.last_used_agent

    assert within(8, used)
