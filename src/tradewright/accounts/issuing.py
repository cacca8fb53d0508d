"""What one may grant: a key never holds more than who makes it, and dangerous ones are made by persons. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tradewright.accounts.keys import Terms
from tradewright.accounts.principal import Network, Principal
from tradewright.clock import format_us
from tradewright.errors import Forbidden, InvalidInput

MAX_KEYS = 100
"""Valid keys of one organization."""
MAX_NETWORKS = 50
"""Networks of one key."""
_TRADING = frozenset(("orders:write", "portfolios:write"))
_ALWAYS = frozenset(("organization:admin",))


def dangerous(environment: str, scopes: Iterable[str]) -> bool:
    """Return whether a key like this may move money or rights, so that only a person who was just asked makes it."""
    return bool(dangerous_scopes(environment, scopes))


def dangerous_scopes(environment: str, scopes: Iterable[str]) -> list[str]:
    """Return those of the scopes with which a key may move money or rights."""
    able = _ALWAYS | _TRADING if environment == "live" else _ALWAYS
    return [scope for scope in scopes if scope in able]


def require_scopes(principal: Principal, scopes: Iterable[str]) -> None:
    """Return when the caller holds them all. Raises Forbidden, naming those that are missing."""
    missing = [scope for scope in scopes if scope not in principal.scopes]
    if missing:
        raise Forbidden(f"you cannot grant what you do not hold: {', '.join(missing)}; leave it out", missing=missing)


def within(terms: Terms, holder: Mapping[str, Any] | None) -> Terms:
    """Return the terms as who makes the key may give them. holder: the row of the key that asks; None for a person.

    What is left out is taken over from that key. Raises Forbidden for terms that are wider than its own.
    """
    if holder is None:
        return terms
    return replace(
        terms,
        expires_at=expiry_within(terms.expires_at, holder["expires_at"]),
        networks=networks_within(terms.networks, tuple(holder["addresses"] or ())),
        signing=_signing_within(terms, holder),
    )


def expiry_within(wanted: int | None, last: int | None) -> int | None:
    """Return when a key may end that is made or changed by one that ends at `last`. Raises Forbidden for later."""
    if last is None or wanted is None:
        return wanted if last is None else last
    if wanted > last:
        raise Forbidden(
            f"your key ends at {format_us(last)}, and can give no key a longer life; got {format_us(wanted)}; name an "
            "earlier expires_at"
        )
    return wanted


def networks_within(wanted: tuple[str, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Return from where a key may be used that is made or changed by one of these networks. Raises Forbidden."""
    if not allowed or not wanted:
        return wanted or allowed
    outer = [ipaddress.ip_network(text) for text in allowed]
    wider = [text for text in wanted if not any(_inside(ipaddress.ip_network(text), network) for network in outer)]
    if wider:
        raise Forbidden(
            f"your key may be used from {', '.join(allowed)}, and can give no key other networks; got "
            f"{', '.join(wider)}; name some of them, or parts of them"
        )
    return wanted


def _inside(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # the versions are equal


def _signing_within(terms: Terms, holder: Mapping[str, Any]) -> Any:
    required = bool((holder["signing"] or {}).get("required"))
    if required and (terms.signing is None or not terms.signing.required):
        raise Forbidden(
            "requests of your key must be signed, so those of a key it makes, rolls or changes must be too: make a "
            "new one with signing"
        )
    return terms.signing


def networks(texts: Iterable[str]) -> tuple[str, ...]:
    """Return addresses and networks as they are stored. Raises InvalidInput with the fact `place` of the wrong one."""
    found: dict[str, None] = {}
    for place, text in enumerate(texts):
        if "%" in text:
            raise InvalidInput(
                f"must be an address or a network without the zone %..., which only one machine knows; got {text!r}; "
                "leave it out",
                place=place,
            )
        try:
            found[str(_unmapped(ipaddress.ip_network(text)))] = None
        except ValueError as error:
            raise InvalidInput(
                f"must be an address or a network like 203.0.113.0/24; got {text!r}: {error}", place=place
            ) from None
    return tuple(found)


def _unmapped(network: Network) -> Network:
    # callers of ::ffff:203.0.113.1 are known as 203.0.113.1
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    return (
        network if mapped is None or network.prefixlen < 96 else ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    )


def status_of(row: Mapping[str, Any], now_us: int) -> str:
    """Return active, revoked, rolled (there is a new one; valid until it expires) or expired, whichever came first."""
    revoked_at, expires_at = row["revoked_at"], row["expires_at"]
    if revoked_at is not None and (expires_at is None or revoked_at < expires_at):
        return "revoked"
    if row["replaced_by"] is not None:
        return "rolled"
    return "expired" if expires_at is not None and expires_at <= now_us else "active"
