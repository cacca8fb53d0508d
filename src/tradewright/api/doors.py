"""The doors of the API: where a request comes from, who sent it, and how much that one may ask.

The innermost layers; what is around them stands in `layers.py`.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Sequence
from typing import Any, NoReturn

from tradewright.accounts.limits import Bucket, Limiter, Taken
from tradewright.accounts.principal import Network, Principal
from tradewright.accounts.sessions import COOKIE, csrf_token
from tradewright.accounts.throttling import of_address
from tradewright.api.layers import SAFE, App, Message, Receive, Scope, Send
from tradewright.api.operations import PUBLIC, Operation
from tradewright.api.problems import Refused
from tradewright.api.rules import Rules
from tradewright.api.services import Services
from tradewright.ids import ENVIRONMENTS

_LATE_S = 0.25
_MOST_HOPS = 16  # gateways of ours that stand one behind the other


class Floods:
    """Finds the address of the caller, and bounds how much it may ask of this process before anything else is done."""

    def __init__(self, app: App, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            state = scope["state"]
            rules = self._services.rules
            address = state["address"] = address_of(scope, state["headers"], rules.proxies)
            if not _is_a_look_at_health(scope):
                await take(self._services, scope, self._services.floods, [of_address(rules.address, address)], 1)
        await self._app(scope, receive, send)


def _is_a_look_at_health(scope: Scope) -> bool:
    # whoever watches this process must hear it however busy the address is; what is more than a plain GET counts
    state = scope["state"]
    operation: Operation | None = state["operation"]
    plain = not scope["query_string"] and not {"content-length", "transfer-encoding"} & state["headers"].keys()
    return operation is not None and operation.cost == 0 and operation.scope == PUBLIC and plain


class Doors:
    """Requires a key or a session for everything under /v1 that is not public, whether a route exists there or not."""

    def __init__(self, app: App, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope["path"] == "/v1" or scope["path"].startswith("/v1/")):
            state = scope["state"]
            operation: Operation | None = state["operation"]
            if operation is not None and operation.scope == PUBLIC:
                self._refuse_other_sites(scope, state["headers"])
            else:
                state["principal"] = await self._principal(scope, state)
                if state["may_have_body"]:
                    receive = self._asking_again(scope, state, receive)
            buckets = []
            if self._services.limiter is not self._services.floods:  # the address counts in the other processes too
                buckets.append(of_address(self._services.rules.address, state["address"]))
            if not must_be_signed(state["principal"]):
                buckets += of_caller(self._services.rules, state["principal"])
            if buckets:
                cost = 1 if operation is None else operation.cost
                await take(self._services, scope, self._services.limiter, buckets, cost)
        await self._app(scope, receive, send)

    async def _principal(self, scope: Scope, state: dict[str, Any]) -> Principal:
        headers: dict[str, str] = state["headers"]
        given = headers.get("authorization")
        if given is not None:
            word, _, text = given.partition(" ")
            if word.lower() != "bearer" or not text:
                raise Refused("unauthenticated", "the Authorization header must be `Bearer <key>`")
            self._refuse_other_sites(scope, headers)
            principal = await self._services.authenticator.principal(text.strip(), state["address"])
            if not self._services.signatures.concerns(principal, headers):
                self._services.authenticator.note_use(principal, state["address"], headers.get("user-agent", ""))
            return principal
        token = cookie(headers.get("cookie", ""), COOKIE)
        if token is None:
            raise Refused(
                "unauthenticated",
                "this needs an API key or a session; send `Authorization: Bearer <key>`, or log in with POST "
                "/v1/auth/login",
            )
        self._refuse_other_sites(scope, headers)
        organization, environment = (headers.get(f"tradewright-{name}", "") for name in ("organization", "environment"))
        if organization and not environment:
            raise Refused(
                "malformed_header",
                f"name the environment too, in the header Tradewright-Environment: one of {', '.join(ENVIRONMENTS)}",
            )
        principal = await self._services.sessions.principal(token, organization, environment)
        if scope["method"] not in SAFE and not hmac.compare_digest(
            headers.get("tradewright-csrf", "").encode(), csrf_token(token).encode()
        ):
            given = "what was sent is not that" if headers.get("tradewright-csrf") else "there was none"
            raise Refused(
                "csrf_refused",
                "a change in a session needs the header Tradewright-CSRF with the csrf_token that came with its "
                f"cookie (its login, or its last step-up, answered both); {given}; log in again where it is lost",
            )
        return principal

    def _asking_again(self, scope: Scope, state: dict[str, Any], receive: Receive) -> Receive:
        # a body that comes late must not keep a key or a session alive that has ended since the headers
        now = asyncio.get_running_loop().time
        asked_at = now()

        async def received() -> Message:
            nonlocal asked_at
            message = await receive()
            if now() - asked_at > _LATE_S:
                asked_at, state["principal"] = now(), await self._principal(scope, state)
            return message

        return received

    def _refuse_other_sites(self, scope: Scope, headers: dict[str, str]) -> None:
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self._services.rules.browser_origins:
            raise Refused("origin_refused", f"pages of {origin[:100]!r} may not call this API")
        if scope["method"] not in SAFE and headers.get("sec-fetch-site") == "cross-site" and origin is None:
            raise Refused(
                "origin_refused",
                "the browser says, without an Origin, that this comes from another site (Sec-Fetch-Site: cross-site)",
            )


def cookie(header: str, name: str) -> str | None:
    """Return the value of a cookie, None when there is none. Raises Refused when there are two of them: one was put
    there by somebody else."""
    parts = (part.strip().partition("=") for part in header.split(";"))
    found = [value for key, _, value in parts if key == name]
    if len(found) > 1:
        raise Refused("malformed_header", f"there is more than one cookie {name}; delete the cookies of this site")
    return found[0] if found else None


def address_of(scope: Scope, headers: dict[str, str], proxies: Sequence[Network]) -> str:
    """Return where a request comes from: the peer, or the last address before the gateways that are ours.

    Forwarding headers count only when the peer itself is one of `proxies`; what a caller wrote there changes nothing.
    """
    peer = (scope.get("client") or ("unknown", 0))[0]
    if not proxies or not _among(peer, proxies):
        return str(peer)
    for hop in reversed(headers.get("x-forwarded-for", "").split(",")[-_MOST_HOPS:]):
        text = hop.strip()
        try:
            text = str(ipaddress.ip_address(text))
        except ValueError:
            break
        peer = text
        if not _among(text, proxies):
            break
    return str(peer)


def _among(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network for network in networks)


def must_be_signed(principal: Principal) -> bool:
    """Return whether a request is only known to be the caller's once its signature was checked: whoever has nothing but
    the text of the key uses up no units of its holder."""
    return principal.signing is not None and principal.signing.required


async def take_of_signed(services: Services, scope: Scope) -> None:
    """Take the units of a request whose signature is right. Raises Refused as `take`."""
    buckets = of_caller(services.rules, scope["state"]["principal"])
    await take(services, scope, services.limiter, buckets, scope["state"]["operation"].cost)


async def refuse_used_up(services: Services, scope: Scope) -> None:
    """Return when there is anything left to take for the caller; takes nothing. Raises Refused: who is above the limit
    costs no look at the signature, and no nonce."""
    buckets = of_caller(services.rules, scope["state"]["principal"])
    cost = scope["state"]["operation"].cost
    _refuse_too_dear(buckets, cost)
    left = await services.limiter.take(buckets, 0, services.clock.now_us())
    worst = min(left, key=lambda one: one.remaining)
    if worst.remaining < cost:
        scope["state"]["taken"] += left
        _refuse(worst, cost, (cost - worst.remaining) * worst.policy.window_s * 1_000_000 // worst.policy.quota)


def of_caller(rules: Rules, principal: Principal) -> list[Bucket]:
    """Return the buckets of a key or person and of their organization; none of nobody."""
    buckets = []
    if principal.actor:
        buckets.append(Bucket(rules.key, principal.actor))
    if principal.organization:
        buckets.append(Bucket(rules.organization, principal.organization))
    return buckets


async def take(services: Services, scope: Scope, limiter: Limiter, buckets: list[Bucket], cost: int) -> None:
    """Take units and note what is left for the headers of the answer. Raises Refused when there are none."""
    state = scope["state"]
    _refuse_too_dear(buckets, cost)
    taken = await limiter.take(buckets, cost, services.clock.now_us(), scope["method"] not in SAFE)
    again = buckets[0].policy is services.rules.address
    state["taken"] = taken if again else state["taken"] + taken
    worst = max(taken, key=lambda one: one.wait_us)
    if worst.wait_us > 0:
        _refuse(worst, cost, worst.wait_us)


def _refuse_too_dear(buckets: list[Bucket], cost: int) -> None:
    for policy, _ in buckets:
        if cost > policy.quota:
            raise Refused(
                "limit_too_small",
                f"this takes {cost} units, and the limit for each {policy.name} is {policy.quota} in {policy.window_s} "
                f"seconds: waiting does not help; ask the operator to raise {policy.name}_limit to at least {cost}.",
            )


def _refuse(worst: Taken, cost: int, wait_us: int) -> NoReturn:
    wait, policy = max(1, -(-wait_us // 1_000_000)), worst.policy
    raise Refused(
        "rate_limited",
        f"this takes {cost} of the {policy.quota} units in {policy.window_s} seconds for each {policy.name}, and "
        f"{worst.remaining} are left; try again in {wait} s",
        headers={"Retry-After": str(wait)},
    )
