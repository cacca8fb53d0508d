"""API keys: their form."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewright.accounts import keys
from tradewright.accounts.scopes import SCOPES, checked
from tradewright.errors import UnknownName


def _text(environment: str = "paper", secret: str = "s" * 43) -> str:
    start = f"tw_{environment}_abcdefgh{secret}"
    return start + keys._checksum(start)


def test_a_key_names_its_environment() -> None:
    parts = keys.parse(_text("live"))
    assert parts is not None
    assert (parts.environment, parts.public_id, parts.secret) == ("live", "abcdefgh", "s" * 43)


@given(st.integers(0, len(_text()) - 1), st.sampled_from(string.ascii_letters + string.digits))
def test_one_mistyped_character_is_noticed(place: int, character: str) -> None:
    text = _text()
    if text[place] != character:
        assert keys.parse(text[:place] + character + text[place + 1 :]) is None


@given(st.text(max_size=80))
def test_any_text_is_refused_without_an_error(text: str) -> None:
    assert keys.parse(text) is None


def test_scopes_are_known_and_ordered() -> None:
    assert checked(["signals:read", "market:read", "signals:read"]) == ["market:read", "signals:read"]
    with pytest.raises(UnknownName, match="did you mean"):
        checked(["market:reads"])
    assert len(set(SCOPES)) == len(SCOPES)
