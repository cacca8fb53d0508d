"""The example of a body that the document gives is one that can be sent."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from test_rights import allowed

from asgi import Client
from samples import SampleOf
from tradewright.api.documents import document_bytes

AREAS = ("samples_market", "samples_keys", "samples_people")
SAMPLES: dict[str, SampleOf] = {
    name: sample for area in AREAS for name, sample in importlib.import_module(area).SAMPLES.items()
}
DESCRIBED: dict[str, dict[str, Any]] = {
    operation["operationId"]: {**operation, "method": method.upper()}
    for methods in json.loads(document_bytes("0"))["paths"].values()
    for method, operation in methods.items()
    if "requestBody" in operation
}
_UNKNOWN = "nobody here has this password"
_NO_TOKEN = "a token exists once; the example is nobody's"
_NOT_SIGNED = "no device signed the example"
REFUSED: dict[str, tuple[int, str, str]] = {
    "login": (401, "wrong_credentials", _UNKNOWN),
    "step_up": (401, "wrong_credentials", _UNKNOWN),
    "change_password": (401, "wrong_credentials", _UNKNOWN),
    "register": (403, "forbidden", "this installation takes new persons by invitation only"),
    "reset_password": (403, "forbidden", _NO_TOKEN),
    "accept_invitation": (403, "forbidden", _NO_TOKEN),
    "confirm_totp": (422, "invalid_input", "the code of this moment is another one"),
    "add_passkey": (422, "invalid_input", _NOT_SIGNED),
    "login_with_passkey": (401, "wrong_credentials", _NOT_SIGNED),
    "create_backtest": (422, "invalid_input", "the data set comes with `tradewright up`"),
    "create_portfolio": (422, "invalid_input", "the broker account is nobody's"),
}
"""Examples that are not taken here: status, code, and why."""


@pytest.mark.parametrize("name", list(DESCRIBED))
def test_every_documented_body_is_taken_or_refused_for_a_reason_that_is_known(served: Any, name: str) -> None:
    described, sample = DESCRIBED[name], SAMPLES[name](served.made)
    wanted = REFUSED.get(name)

    async def work(client: Client) -> None:
        for kind, content in described["requestBody"]["content"].items():
            body = json.dumps(content["example"]).encode()
            answer = await client.send(
                described["method"],
                sample.target,
                body,
                {**sample.headers, "Content-Type": kind},
                **allowed(served, sample),
            )
            assert str(answer.status) in described["responses"], (kind, answer.body)
            if wanted is None:
                assert 200 <= answer.status < 300, (kind, answer.body)
            else:
                assert (answer.status, answer.json["code"]) == wanted[:2], (kind, answer.body)

    served.run(work)


def test_the_list_of_refused_examples_holds_nothing_else() -> None:
    assert set(REFUSED) <= set(DESCRIBED)
    assert all(reason for _, _, reason in REFUSED.values())
