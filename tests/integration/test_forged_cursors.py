"""Cursors of other lists, and those of a list with another key inside: refused or a page, never an error of ours."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from test_dated_resources import add_facts, revenue

from asgi import Client, Person
from fuzzing import OPERATIONS, PLENTY, SAMPLES, Callers
from nasty import Sender
from samples import Sample
from seeds_people import open_session
from tradewright.api.app import build
from tradewright.api.operations import Operation
from tradewright.api.pagination import PageQuery
from tradewright.ids import SYSTEM
from tradewright.storage import backtests

LISTS = [
    operation
    for operation in OPERATIONS.values()
    if operation.query is not None and issubclass(operation.query, PageQuery)
]
PARTS: tuple[Any, ...] = (
    "", "a\0b", "\ud800", "\U0010ffff", "x" * 300, -1, 0, 1, 2**63 - 1, 2**63, 10**80, None, True, 1.5,
)  # fmt: skip
KEYS = [
    *PARTS,
    *([first, second] for first, second in itertools.product((0, -(2**63) - 1), PARTS)),
    *(["a", "a", "a", part] for part in PARTS),
    *([*["a"] * 4, first, second] for first, second in itertools.product((None, 1), PARTS)),
    ["a"] * 3, [],
]  # fmt: skip


class Lists:
    """Every list with at least one row in it, and how it is asked for a page."""

    def __init__(self, served: Any) -> None:
        self._callers, self._plenty = Callers(served), Client(build(replace(served.services, rules=PLENTY)))
        self._made = served.made
        add_facts(served, SYSTEM, revenue(1, 1.0, instrument="equity:AAPL"))
        fill = {"instrument": "a", "decided_time": "2020-01-01T00:00:00Z", "time": "2020-01-02T00:00:00Z"}
        fills = [{**fill, "units": 1.0, "price": 1.0, "fee": 0.0}] * 2
        arrays = json.dumps({"times": [1, 2], "equity": [1.0, 1.0], "fills": fills}).encode()
        served.database.write(backtests.save_result, "org_a", "paper", "bkt_1", {"evidence": "none"}, arrays, b"")
        served.database.write(open_session, "usr_owner", "192.0.2.9", "another", served.clock.now_us())

    def sample(self, operation: Operation) -> Sample:
        sample = SAMPLES[operation.id](self._made)
        return replace(sample, target=sample.target.split("?limit=")[0])

    def sender(self, operation: Operation) -> Sender:
        return Sender(self._plenty, self._callers, operation, self.sample(operation))

    def target(self, operation: Operation, **query: str) -> str:
        target = self.sample(operation).target
        return f"{target}{'&' if '?' in target else '?'}" + "&".join(f"{name}={query[name]}" for name in query)

    async def cursor(self, operation: Operation) -> str:
        """Return the cursor with which a page of one row ended."""
        answer = await self.sender(operation).send(self.target(operation, limit="1", order="asc"))
        assert answer.json["next_cursor"], f"{operation.id} has no rows here"
        return str(answer.json["next_cursor"])


def forged(mark: str, key: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([mark, key]).encode()).decode()


def test_every_list_is_one_of_these() -> None:
    named = {operation.id for operation in OPERATIONS.values() if "cursor" in operation.query.__struct_fields__}
    assert named == {operation.id for operation in LISTS}
    assert len(named) > 25


def test_a_forged_cursor_is_no_error_of_ours(served: Any, caplog: pytest.LogCaptureFixture) -> None:
    lists = Lists(served)

    async def work(client: Client) -> None:
        for operation in LISTS:
            mark, _ = json.loads(base64.urlsafe_b64decode(await lists.cursor(operation)))
            sender = lists.sender(operation)
            targets = [lists.target(operation, order="asc", cursor=forged(mark, key)) for key in KEYS]
            statuses = [(await sender.send(target)).status for target in targets]
            assert not sender.faults, "\n".join(sender.faults)
            assert set(statuses) == {200, 422}, operation.id  # some keys have the shape of this list's

    served.run(work)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_cursor_is_taken_by_its_own_list_alone(served: Any) -> None:
    lists = Lists(served)

    async def work(client: Client) -> None:
        cursors = {operation.id: await lists.cursor(operation) for operation in LISTS}
        for operation in LISTS:
            sender = lists.sender(operation)
            for name, cursor in cursors.items():
                answer = await sender.send(lists.target(operation, order="asc", cursor=cursor))
                case = f"the cursor of {name} on {operation.id}: {answer.status} {answer.body!r}"
                if name == operation.id:
                    assert answer.status == 200, case
                else:
                    assert_of_another_list(answer, case)

    served.run(work)


def assert_of_another_list(answer: Any, case: str) -> None:
    assert answer.status == 422, case
    assert [error["pointer"] for error in answer.json["errors"]] == ["query:cursor"], case
    assert "made for another list" in answer.json["detail"], case


def test_a_cursor_is_of_one_owner(served: Any) -> None:
    lists = Lists(served)
    persons = {
        "another person": Person(served.made["session stranger stepped up"], "org_b"),
        "another environment": Person(served.made["session stepped up"], "org_a", "sandbox"),
    }

    async def work(client: Client) -> None:
        for operation in LISTS:
            sample, cursor = lists.sample(operation), await lists.cursor(operation)
            target = lists.target(operation, order="asc", cursor=cursor)
            if sample.caller == "key":
                others = {name: {"key": served.keys[name]} for name in ("other organization", "other environment")}
            else:
                others = {name: {"person": person} for name, person in persons.items()}
            for name, caller in others.items():
                served.clock.advance(1.0)
                answer = await client.get(target, **caller)
                case = f"{operation.id}, {name}: {answer.status} {answer.body!r}"
                if operation.scope == "person" and name == "another environment":
                    assert answer.status == 200, case  # what is a person's own is the same in all of them
                elif answer.status not in (403, 404):
                    assert_of_another_list(answer, case)

    served.run(work)


def test_a_cursor_is_of_one_thing_within_a_path(served: Any) -> None:
    lists = Lists(served)
    arrays = json.dumps({"times": [1, 2], "equity": [1.0, 1.0], "fills": []}).encode()
    served.database.write(backtests.save_result, "org_a", "paper", "bkt_2", {"evidence": "none"}, arrays, b"")
    [equity] = [operation for operation in LISTS if operation.id == "list_backtest_equity"]

    async def work(client: Client) -> None:
        cursor = await lists.cursor(equity)
        answer = await client.get(f"/v1/backtests/bkt_2/equity?order=asc&cursor={cursor}")
        assert_of_another_list(answer, str(answer.body))

    served.run(work)
