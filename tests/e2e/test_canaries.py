"""Secrets are planted, sent through good and failing requests, and looked for wherever they must not be: in what the
processes print and log, in answers that are not theirs, and in the files on the disk."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pyotp
import pytest

from running import Answer, Up, call
from servers import Api
from tradewright.accounts.sessions import COOKIE

PASSWORD, NEXT, LAST = ("canary password one", "canary password two", "canary password three")
WRONG = "canary password that is wrong"
BROKER = "canary-broker-credential-7f3a"
DEBUG = {"TRADEWRIGHT_LOG_LEVEL": "debug"}
SIGNING = {"algorithm": "hmac-sha256", "required": False}


@dataclass
class Planted:
    """The secrets by value, each with the answers that may hold it, and every answer so far."""

    address: str
    folder: Path
    secrets: dict[str, set[str]] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    token: str = ""
    csrf: str = ""

    def plant(self, secret: str, *labels: str) -> str:
        """Note a secret that only the answers with these labels may hold."""
        assert len(secret) >= 16, secret
        self.secrets.setdefault(secret, set()).update(labels)
        return secret

    def ask(
        self, label: str, path: str, method: str = "POST", body: Any = None, key: str | None = None, **headers: str
    ) -> Answer:
        """One request, as the person unless a key is given; its answer is kept."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is None and self.token:
            sent.setdefault("Cookie", f"{COOKIE}={self.token}")
            sent.setdefault("Tradewright-CSRF", self.csrf)
        answer = call(self.address, path, key, method, body, sent)
        self.answers.append((label, repr(answer.headers).encode() + b"\n" + answer.body))
        return answer

    def entered(self, label: str, answer: Answer) -> None:
        """Take over the session of an answer."""
        assert answer.status == 200, answer.body
        cookie = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
        self.token, self.csrf = self.plant(cookie, label), self.plant(answer.json["csrf_token"], label)


def command(folder: Path, *arguments: str) -> Any:
    """What a command of the installation prints."""
    whole = [sys.executable, "-m", "tradewright", *arguments, "--json", "--data-folder", str(folder)]
    done = subprocess.run(whole, capture_output=True, text=True, check=True, cwd=folder.parent)
    return json.loads(done.stdout)


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[tuple[str, Any]]:
    """A process that serves, at the loudest log level; its address, and a function that returns what it said."""
    if kind == "up":
        with Up(folder, environment=DEBUG) as up:
            address, first = up.address(), up.key()
            up.wait_until_ready()
            yield address, lambda: up.said().replace(first, "")  # printed once, on purpose
            up.stop()
        return
    folder.mkdir()
    api = Api(folder, DEBUG).start().wait()
    try:
        yield api.address, lambda: (folder.parent / f"api-{api.port}.log").read_text(encoding="utf-8")
    finally:
        api.stop()


@pytest.mark.parametrize("kind", ["api", "up"])
def test_no_planted_secret_is_found_where_it_must_not_be(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving(kind, folder) as (address, said):
        planted = Planted(address, folder)
        for secret in (PASSWORD, NEXT, LAST, WRONG, BROKER):
            planted.plant(secret)
        become_a_person(planted)
        codes(planted)
        things_with_secrets(planted)
        faults_of_ours(planted)
        tokens_of_an_operator(planted)
        if kind == "up":
            an_archive(planted)
        while_running = said()
    nothing_found(planted, while_running, said())


def become_a_person(planted: Planted) -> None:
    body = {"email": "canary@example.com", "password": PASSWORD, "name": "Canary"}
    assert planted.ask("registered", "/v1/auth/register", body=body).status == 202
    login = {"email": "canary@example.com", "password": PASSWORD}
    planted.entered("login", planted.ask("login", "/v1/auth/login", body=login))
    for target in ("/v1/auth/login", "/v1/auth/register", "/v1/auth/step-up", "/v1/auth/password", "/v1/auth/reset"):
        spoilt(planted, target, PASSWORD)
    assert planted.ask("wrong", "/v1/auth/login", body={**login, "password": WRONG}).status == 401
    stolen = {"Tradewright_CSRF": planted.csrf[:-1] + ("0" if planted.csrf[-1] != "0" else "1")}
    assert planted.ask("csrf", "/v1/auth/logout", **stolen).status == 403
    assert planted.ask("no session", "/v1/me", "GET", Cookie=f"{COOKIE}=x{planted.token}").status == 401
    assert planted.ask("two", "/v1/me", "GET", Cookie=f"{COOKIE}={planted.token}; {COOKIE}=y").status == 400
    change = {"current_password": PASSWORD, "new_password": NEXT}
    planted.entered("changed", planted.ask("changed", "/v1/auth/password", body=change))
    assert planted.ask("wrong", "/v1/auth/password", body={**change, "new_password": LAST}).status == 401
    planted.entered("asked", planted.ask("asked", "/v1/auth/step-up", body={"password": NEXT}))


def spoilt(planted: Planted, target: str, secret: str) -> None:
    """A secret in bodies that are refused for every reason there is."""
    text = json.dumps({"password": secret, "token": secret, "current_password": secret, "code": secret})
    names = ("password", "new_password", "current_password", "code", "token", "credential", "email")
    for body, headers in (
        (text[:-1].encode(), {}),
        (b"[" + text.encode() + b"]", {}),
        (text.encode(), {"Content_Type": "text/plain"}),
        (json.dumps({name: secret * 40 for name in names if name != "email"}).encode(), {}),
        (json.dumps({name: [secret] for name in names if name != "email"}).encode(), {}),
        (f'{{"password": "{secret}", "password": "{secret}"}}'.encode(), {}),
        (f'{{"password": "{secret}\\u0000"}}'.encode(), {}),
        (b"\xff" + text.encode(), {}),
    ):
        assert 400 <= planted.ask(f"spoilt {target}", target, body=body, **headers).status < 500
    with suppress(URLError):  # the server may hang up before all of it was sent
        assert planted.ask(f"spoilt {target}", target, body=text.encode() + b" " * 1_100_000).status == 413


def codes(planted: Planted) -> None:
    begun = planted.ask("enrol", "/v1/auth/totp", Idempotency_Key="enrol")
    secret = planted.plant(begun.json["secret"], "enrol")
    assert planted.ask("replay", "/v1/auth/totp", Idempotency_Key="enrol").json["secret"] is None
    app = pyotp.TOTP(secret)
    now = int(time.time())
    assert planted.ask("wrong code", "/v1/auth/totp/confirm", body={"code": app.at(now - 3600)}).status == 422
    planted.codes |= {app.at(now - 3600), app.at(now)}
    done = planted.ask("confirm", "/v1/auth/totp/confirm", body={"code": app.at(now)}, Idempotency_Key="confirm")
    assert done.status == 200, done.body
    for one in done.json["recovery_codes"]:
        planted.plant(one, "confirm")
        planted.plant(one.replace("-", ""), "confirm")
    login = {"email": "canary@example.com", "password": NEXT}
    assert planted.ask("replayed code", "/v1/auth/login", body={**login, "code": app.at(now)}).status == 401
    assert planted.ask("no code", "/v1/auth/login", body=login).status == 401
    one = done.json["recovery_codes"][0]
    planted.entered("recovered", planted.ask("recovered", "/v1/auth/login", body={**login, "code": one}))
    assert planted.ask("again", "/v1/auth/login", body={**login, "code": one}).status == 401
    second = done.json["recovery_codes"][1]
    planted.entered("asked", planted.ask("asked", "/v1/auth/step-up", body={"password": NEXT, "code": second}))


def things_with_secrets(planted: Planted) -> None:
    organization = planted.ask("mine", "/v1/organizations", "GET").json["data"][0]["id"]
    here = {"Tradewright_Organization": organization, "Tradewright_Environment": "paper"}
    wanted = {"name": "canary", "scopes": ["market:read", "portfolios:write"], "signing": SIGNING}
    made = planted.ask("key", "/v1/api-keys", body=wanted, Idempotency_Key="key", **here)
    assert made.status == 201, made.body
    key = planted.plant(made.json["key"], "key")
    planted.plant(key.removeprefix(made.json["public_id"])[:-6], "key")
    planted.plant(made.json["signing_secret"], "key")
    assert planted.ask("replay", "/v1/api-keys", body=wanted, Idempotency_Key="key", **here).json["key"] is None
    for label, target, given in (
        ("used", "/v1/instruments", key),
        ("not found", "/v1/orders/none", key),
        ("mistyped", "/v1/instruments", key[:-1] + "!"),
        ("not held", "/v1/audit-log", key),
        ("query", f"/v1/instruments?api_key={key}", key),
        ("no path", "/nowhere", key),
    ):
        planted.ask(label, target, "GET", key=given)
    planted.ask("scheme", "/v1/instruments", "GET", Authorization=f"Basic {key}")
    signed = {"Tradewright_Timestamp": "1", "Tradewright_Nonce": "n" * 16, "Tradewright_Signature": f"hmac={key}"}
    assert planted.ask("signed", "/v1/instruments", "GET", key=key, **signed).status == 401
    for credentials in ({"api_key": BROKER}, {"API KEY": BROKER}, {"api_key": BROKER, "other": 1}, [BROKER], BROKER):
        body = {"broker": "paper", "name": "canary", "credentials": credentials}
        status = planted.ask("broker", "/v1/broker-accounts", body=body, key=key).status
        assert status == (201 if credentials == {"api_key": BROKER} else 422), credentials
    target = f"/v1/organizations/{organization}/invitations"
    invited = planted.ask("invite", target, body={"email": "other@example.com", "role": "viewer"}, **here)
    token = planted.plant(invited.json["token"], "invite")
    assert planted.ask("not mine", "/v1/invitations/accept", body={"token": token}).status == 403
    spoilt(planted, "/v1/invitations/accept", token)
    other = {"email": "other@example.com", "password": LAST, "name": "Other", "invitation": token}
    assert planted.ask("joined", "/v1/auth/register", body=other).status == 202
    assert planted.ask("used up", "/v1/auth/register", body=other).status == 403


def faults_of_ours(planted: Planted) -> None:
    """The database refuses what the code thinks impossible: each of these is logged with its traceback."""
    organization = planted.ask("mine", "/v1/organizations", "GET").json["data"][0]["id"]
    here = {"Tradewright_Organization": organization, "Tradewright_Environment": "paper"}
    database = planted.folder / "tradewright.db"
    indexes = {
        "users": "name",
        "api_keys": "name",
        "broker_accounts": "name",
        "invitations": "role",
        "sessions": '"user"',
    }
    with closing(sqlite3.connect(database, timeout=30)) as raw:
        raw.execute(
            "DELETE FROM sessions WHERE ended_at IS NOT NULL OR agent = '' OR id != (SELECT max(id) FROM sessions)"
        )
        for table, column in indexes.items():
            raw.execute(f"CREATE UNIQUE INDEX canary_{table} ON {table} ({column})")
        raw.commit()
    body = {"email": "third@example.com", "password": LAST, "name": "Canary"}
    assert planted.ask("fault", "/v1/auth/register", body=body).status == 500
    wanted = {"name": "canary", "scopes": ["market:read"], "signing": SIGNING}
    assert planted.ask("fault", "/v1/api-keys", body=wanted, **here).status == 500
    account = {"broker": "paper", "name": "canary", "credentials": {"api_key": BROKER}}
    assert planted.ask("fault", "/v1/broker-accounts", body=account, **here).status == 500
    target = f"/v1/organizations/{organization}/invitations"
    assert planted.ask("fault", target, body={"email": "x@example.com", "role": "viewer"}, **here).status == 500
    twice = [
        planted.ask("fault", "/v1/auth/login", body={"email": "other@example.com", "password": LAST}) for _ in range(2)
    ]
    assert twice[1].status == 500
    if twice[0].status == 200:
        token = twice[0].headers["set-cookie"].partition(";")[0].partition("=")[2]
        planted.plant(token, "fault")
    with closing(sqlite3.connect(database, timeout=30)) as raw:
        for table in indexes:
            raw.execute(f"DROP INDEX canary_{table}")
        raw.commit()


def tokens_of_an_operator(planted: Planted) -> None:
    token = planted.plant(command(planted.folder, "users", "reset", "other@example.com")["token"])
    spoilt(planted, "/v1/auth/reset", token)
    body = {"token": token, "new_password": NEXT}
    assert planted.ask("reset", "/v1/auth/reset", body={**body, "new_password": "password"}).status == 422
    assert planted.ask("reset", "/v1/auth/reset", body=body).status == 204
    assert planted.ask("reset", "/v1/auth/reset", body=body).status == 403
    planted.plant(command(planted.folder, "users", "invite", "fourth@example.com")["token"])
    planted.plant(command(planted.folder, "keys", "create", "--scope", "market:read")["key"])


def an_archive(planted: Planted) -> None:
    made = planted.ask("export", "/v1/exports", body={"kind": "person"})
    assert made.status == 202, made.body
    target = f"/v1/exports/{made.json['id']}"
    deadline = time.monotonic() + 60
    while planted.ask("export", target, "GET").json["status"] != "succeeded":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    archive = zipfile.ZipFile(io.BytesIO(planted.ask("content", f"{target}/content", "GET").body))
    whole = b"".join(archive.read(name) for name in archive.namelist())
    assert b"canary@example.com" in whole
    planted.answers.append(("archive", whole))


def nothing_found(planted: Planted, *logs: str) -> None:
    assert len(planted.secrets) > 40
    secrets = {*planted.secrets, *(planted.folder / "main.key").read_text().split()}
    for log in logs:
        for secret in secrets:
            assert secret not in log, f"{secret} was logged"
        for code in planted.codes:
            assert not re.search(rf"(?<!\w){code}(?!\w)", log), f"the code {code} was logged"
    assert any("Traceback" in log for log in logs)  # they were loud enough to hold something
    for label, answer in planted.answers:
        for secret in secrets:
            allowed = label in planted.secrets.get(secret, set())
            assert allowed or secret.encode() not in answer, f"{secret} stands in the answer {label}"
    files = [path for path in planted.folder.rglob("*") if path.is_file() and path.name != "main.key"]
    assert any(path.name == "tradewright.db" for path in files)
    for path in files:
        content = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, f"{secret} stands in {path.name}"
