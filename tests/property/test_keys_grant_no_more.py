"""Whatever a key asks for: what it makes is never wider than itself."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewright.accounts import issuing
from tradewright.accounts.keys import Terms
from tradewright.accounts.principal import ROLES, Principal, Signing
from tradewright.accounts.scopes import SCOPES
from tradewright.errors import Forbidden, InvalidInput

MOMENTS = st.none() | st.integers(1, 10)
INNER = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::1/128"]
NETWORKS = st.lists(st.sampled_from(INNER), max_size=3, unique=True).map(tuple)
SIGNINGS = st.none() | st.builds(Signing, st.just("hmac-sha256"), st.booleans())
TERMS = st.builds(
    Terms, name=st.just("k"), scopes=st.just(("market:read",)), expires_at=MOMENTS, networks=NETWORKS, signing=SIGNINGS
)


def holder(terms: Terms) -> dict[str, Any]:
    signing = None if terms.signing is None else {"algorithm": "hmac-sha256", "required": terms.signing.required}
    return {"expires_at": terms.expires_at, "addresses": list(terms.networks) or None, "signing": signing}


def reaches(networks: tuple[str, ...], address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not networks or any(parsed in ipaddress.ip_network(network) for network in networks)


@given(TERMS, TERMS, st.sampled_from(["10.1.2.3", "10.200.0.1", "192.0.2.1", "2001:db8::1", "2001:db9::1"]))
def test_what_a_key_makes_is_never_wider_than_the_key(own: Terms, wanted: Terms, address: str) -> None:
    try:
        made = issuing.within(wanted, holder(own))
    except Forbidden:
        return
    if own.expires_at is not None:
        assert made.expires_at is not None
        assert made.expires_at <= own.expires_at
    assert reaches(own.networks, address) or not reaches(made.networks, address)
    if own.signing is not None and own.signing.required:
        assert made.signing is not None
        assert made.signing.required


@given(TERMS, TERMS)
def test_what_is_allowed_is_given_as_it_was_asked_for(own: Terms, wanted: Terms) -> None:
    try:
        made = issuing.within(wanted, holder(own))
    except Forbidden:
        return
    assert made.expires_at in (wanted.expires_at, own.expires_at)
    assert made.networks in (wanted.networks, own.networks)
    assert made.signing == wanted.signing
    if wanted.expires_at is not None:
        assert made.expires_at == wanted.expires_at
    if wanted.networks:
        assert made.networks == wanted.networks


@given(TERMS)
def test_a_person_gives_any_terms(wanted: Terms) -> None:
    assert issuing.within(wanted, None) == wanted


@given(st.sets(st.sampled_from(SCOPES)), st.sets(st.sampled_from(SCOPES)))
def test_a_scope_that_is_not_held_is_named(held: set[str], wanted: set[str]) -> None:
    principal = Principal("org_a", "paper", frozenset(held), key="key_1")
    missing = wanted - held
    if not missing:
        issuing.require_scopes(principal, wanted)
        return
    with pytest.raises(Forbidden) as caught:
        issuing.require_scopes(principal, wanted)
    assert all(scope in caught.value.message for scope in missing)


@pytest.mark.parametrize(
    ("environment", "scopes", "expected"),
    [
        ("paper", ["orders:write"], False),
        ("live", ["orders:write"], True),
        ("live", ["portfolios:write"], True),
        ("live", ["market:read"], False),
        ("sandbox", ["organization:admin"], True),
        ("paper", ROLES["viewer"], False),
    ],
)
def test_keys_that_move_money_or_rights_are_dangerous(environment: str, scopes: list[str], expected: bool) -> None:
    assert issuing.dangerous(environment, scopes) is expected


@given(st.text(max_size=20))
def test_any_text_is_a_network_or_refused_with_its_place(text: str) -> None:
    places = []
    try:
        (found,) = issuing.networks(["10.0.0.1", text])[-1:]
    except InvalidInput as error:
        places.append(error.place)
    else:
        assert issuing.networks([found]) == (found,)
    assert places in ([], [1])


def test_networks_are_stored_in_one_spelling() -> None:
    assert issuing.networks(["10.0.0.1", "10.0.0.1/32", "2001:0DB8::/32"]) == ("10.0.0.1/32", "2001:db8::/32")


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({}, "active"),
        ({"expires_at": 11}, "active"),
        ({"expires_at": 10}, "expired"),
        ({"expires_at": 11, "replaced_by": "key_2"}, "rolled"),
        ({"expires_at": 5, "replaced_by": "key_2"}, "rolled"),
        ({"expires_at": 5, "replaced_by": "key_2", "revoked_at": 4}, "revoked"),
        ({"expires_at": 5, "revoked_at": 6}, "expired"),
        ({"expires_at": 5, "replaced_by": "key_2", "revoked_at": 6}, "rolled"),
    ],
)
def test_the_state_of_a_key_follows_from_its_row(row: dict[str, Any], status: str) -> None:
    empty = {"expires_at": None, "replaced_by": None, "revoked_at": None}
    assert issuing.status_of({**empty, **row}, 10) == status


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("::ffff:127.0.0.1", "127.0.0.1/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::FFFF:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("2001:db8::1", "2001:db8::1/128"),
    ],
)
def test_an_ipv4_network_in_the_spelling_of_ipv6_is_one_of_ipv4(given: str, kept: str) -> None:
    assert issuing.networks([given]) == (kept,)
    assert issuing.networks([given, kept]) == (kept,)


@pytest.mark.parametrize("text", ["fe80::1%eth0", "fe80::1%eth0/64", "fe80::1%1"])
def test_a_zone_in_a_network_is_refused_with_what_to_leave_out(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"without the zone %.*leave it out") as refused:
        issuing.networks(["10.0.0.0/8", text])
    assert refused.value.place == 1
