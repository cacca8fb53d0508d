"""A change may say that it is a merge patch; nothing else may."""

from __future__ import annotations

import json
from typing import Any

from asgi import Client

PATCH = {"Content-Type": "application/merge-patch+json"}


def test_a_change_may_say_that_it_is_a_merge_patch(served: Any) -> None:
    async def work(client: Client) -> None:
        changed = await client.send("PATCH", "/v1/broker-accounts/bra_1", {"name": "renamed"}, headers=PATCH)
        assert (changed.status, changed.json["name"]) == (200, "renamed")
        body = {"broker": "paper", "name": "second"}
        assert (await client.post("/v1/broker-accounts", body, headers=PATCH)).status == 415

    served.run(work)
    paths = json.loads(served.services.documents.openapi)["paths"]
    types = set(paths["/v1/broker-accounts/{id}"]["patch"]["requestBody"]["content"])
    assert types == {"application/json", "application/merge-patch+json"}
