"""Who may call what, for every operation: each refusal stands beside the same call succeeding."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from asgi import Client, Person, Reply
from samples import Sample, SampleOf
from tradewright.accounts.principal import ROLES
from tradewright.api import access
from tradewright.api.operations import KNOWN, PUBLIC, UNSCOPED, Operation
from tradewright.api.routes import all_operations

SAMPLES: dict[str, SampleOf] = {
    name: sample
    for area in ("samples_market", "samples_keys", "samples_people")
    for name, sample in importlib.import_module(area).SAMPLES.items()
}
OPERATIONS = all_operations()
OF_PERSONS = {"session", "stepped up"}


def sample_of(served: Any, operation: Operation) -> Sample:
    return SAMPLES[operation.id](served.made)


async def send(client: Client, operation: Operation, sample: Sample, **caller: Any) -> Reply:
    return await client.send(operation.method, sample.target, sample.body, dict(sample.headers), **caller)


def allowed(served: Any, sample: Sample) -> dict[str, Any]:
    """The caller for whom the sample succeeds."""
    if sample.caller == "nobody":
        return {"key": None}
    if sample.caller == "key":
        return {"key": served.keys["whole"]}
    return {"person": Person(served.made["session owner" if sample.caller == "session" else "session stepped up"])}


def strangers(served: Any, sample: Sample) -> dict[str, dict[str, Any]]:
    """Callers with every right elsewhere."""
    if sample.caller == "key":
        names = ("other organization", "other environment")
        return {name: {"key": served.keys[name]} for name in names}
    name = "session stranger" if sample.caller == "session" else "session stranger stepped up"
    stranger = Person(served.made[name], organization="org_b")
    return {"other organization": {"person": stranger}}


def test_every_operation_has_a_call_that_succeeds() -> None:
    assert set(SAMPLES) == {operation.id for operation in OPERATIONS}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_refusal_is_paired_with_the_same_call_succeeding(served: Any, operation: Operation) -> None:
    sample = sample_of(served, operation)

    async def work(client: Client) -> None:
        if operation.scope != PUBLIC:
            await refused_without_a_valid_key(client)
            await refused_without_the_right(client)
            await refused_to_strangers(client)
        answer = await send(client, operation, sample, **allowed(served, sample))
        assert answer.status == (sample.status or operation.status), answer.body
        assert answer.headers["cache-control"] == ("private, no-cache" if operation.cacheable else "no-store")
        assert answer.headers["x-request-id"].startswith("req_")
        if operation.method == "GET":
            await head_answers_like(client, answer)
        if operation.answer not in (None, dict) and operation.status not in (204, 304) and sample.status is None:
            if "json" not in answer.headers["content-type"]:
                return
            assert set(msgspec.json.decode(answer.body)) == fields_of(operation.answer)

    async def head_answers_like(client: Client, answer: Reply) -> None:
        head = await client.send("HEAD", sample.target, headers=dict(sample.headers), **allowed(served, sample))
        assert (head.status, head.body) == (answer.status, b"")
        varying = {"x-request-id", "ratelimit"}
        same = [
            {name: value for name, value in reply.headers.items() if name not in varying} for reply in (head, answer)
        ]
        assert same[0] == same[1]
        assert head.headers["content-length"] == str(len(answer.body))
        if operation.scope != PUBLIC:
            refused = await client.send("HEAD", sample.target, headers=dict(sample.headers), key=None)
            assert (refused.status, refused.body) == (401, b"")

    async def refused_without_a_valid_key(client: Client) -> None:
        whole = served.keys["whole"]
        for text in (None, "nonsense", whole[:-1] + ("y" if whole[-1] == "x" else "x"), served.keys["expired"]):
            assert (await send(client, operation, sample, key=text)).status == 401, text
        assert (await send(client, operation, sample, key=served.keys["revoked"])).status == 401
        assert (await send(client, operation, sample, person=Person("tws_unknown"))).status == 401

    async def refused_without_the_right(client: Client) -> None:
        nothing = await send(client, operation, sample, key=served.keys["nothing"])
        if operation.scope == KNOWN:
            assert nothing.status == operation.status
            nowhere = Person(served.made["session stranger"], organization="", environment="")
            assert (await send(client, operation, sample, person=nowhere)).status == operation.status
            return
        assert (nothing.status, nothing.json["code"]) == (403, "forbidden")
        if operation.sessions_only:
            whole = await send(client, operation, sample, key=served.keys["whole"])
            assert whole.status == 403
            assert "person" in whole.json["detail"]
        if operation.scope not in UNSCOPED:
            await refused_to_other_roles(client)
        if operation.step_up is True:
            owner = Person(served.made["session owner"])
            refused = await send(client, operation, sample, person=owner)
            assert (refused.status, refused.json["code"]) == (403, "step_up_required")

    async def refused_to_other_roles(client: Client) -> None:
        for role in sorted(set(ROLES) - set(access.allowed_roles(operation))):
            refused = await send(client, operation, sample, person=Person(served.made[f"session {role}"]))
            assert (refused.status, refused.json["code"]) == (403, "forbidden"), role

    async def refused_to_strangers(client: Client) -> None:
        one_thing = "{" in operation.path and not sample.shared
        for name, caller in strangers(served, sample).items():
            status = (await send(client, operation, sample, **caller)).status
            if one_thing and not (name == "other environment" and sample.everywhere):
                assert status == 404, (name, status)

    served.run(work)


def fields_of(answer: Any) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(answer)}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "INVENTED"])
def test_what_is_not_declared_does_not_exist_and_is_refused_to_strangers_first(served: Any, method: str) -> None:
    places: dict[str, str] = {path: path for path in ("/v1/nothing", "/v1", "/v1/orders/a/b/c")}
    places |= {operation.path: sample_of(served, operation).target.partition("?")[0] for operation in OPERATIONS}
    declared: dict[str, set[str]] = {path: set() for path in places}
    for operation in OPERATIONS:
        declared[operation.path] |= {operation.method, *(["HEAD"] if operation.method == "GET" else [])}

    async def work(client: Client) -> None:
        for path, target in places.items():
            methods = declared[path]
            if method in methods:
                continue
            answer = await client.send(method, target)
            assert answer.status == (405 if methods else 404), (method, target)
            if methods:
                assert set(answer.headers["allow"].split(", ")) >= methods
            if target.startswith("/v1"):
                assert (await client.send(method, target, key=None)).status == 401

    served.run(work)


def test_an_environment_that_does_not_exist_is_named(served: Any) -> None:
    async def work(client: Client) -> None:
        person = Person(served.made["session owner"], environment="papper")
        answer = await client.get("/v1/instruments", person=person)
        assert answer.status == 422
        assert "papper" in answer.json["detail"]
        nowhere = replace(person, organization="", environment="")
        assert (await client.get("/v1/instruments", person=nowhere)).status == 400

    served.run(work)
