"""What an error says to a person."""

from __future__ import annotations

import pytest

from tradewright.errors import SHOWN, UnknownName
from tradewright.features.sets import FeatureSet
from tradewright.market.calendars import sessions
from tradewright.sources.registry import SOURCES, source

MANY = [f"name_{n:03}" for n in range(SHOWN + 7)]


def test_a_short_list_of_names_is_told_whole() -> None:
    assert UnknownName.of("colour", "qqq", ["red", "blue"]).message == (
        "there is no colour named 'qqq'; known: blue, red"
    )
    assert UnknownName.of("colour", "qqq", []).message.endswith("known: none")


def test_a_long_list_says_how_many_more_there_are_and_where() -> None:
    said = UnknownName.of("colour", "qqq", MANY, "GET /v1/colours lists them").message
    assert said.endswith(f"{MANY[SHOWN - 1]} and 7 more; GET /v1/colours lists them")
    assert MANY[SHOWN] not in said
    assert UnknownName.of("colour", "qqq", MANY).message.endswith("and 7 more")


def test_close_names_are_told_instead() -> None:
    said = UnknownName.of("colour", "name_00", MANY, "GET /v1/colours lists them").message
    assert said.endswith("did you mean name_020, name_010, name_009?")


def test_lists_that_are_long_name_their_place() -> None:
    with pytest.raises(UnknownName, match=rf"and {len(SOURCES) - SHOWN} more; `tradewright sources` and GET /v1/sourc"):
        source("qqqqqqqq")
    with pytest.raises(UnknownName, match=r"more; GET /v1/features lists them"):
        FeatureSet(["0000000"])
    with pytest.raises(UnknownName, match=r"and \d+ more; the calendars are those of the library exchange_calendars"):
        sessions("0000000")
