"""Names are what people can see: nothing invisible, nothing that turns the text around, one spelling."""

from __future__ import annotations

import re
import time
from typing import Any, get_type_hints

import msgspec
import pytest

from tradewright.api import names
from tradewright.api.parsing import parse_body
from tradewright.api.problems import Refused
from tradewright.api.routes import all_operations
from tradewright.api.routes.portfolios import PortfolioChange
from tradewright.api.wire import Name


class Thing(msgspec.Struct, frozen=True):
    name: Name
    other: str = ""


def told(name: str) -> Refused:
    with pytest.raises(Refused) as caught:
        parse_body(msgspec.json.encode({"name": name}), "application/json", Thing)
    return caught.value


@pytest.mark.parametrize(
    ("name", "character"),
    [
        ("\u200b", "U+200B (ZERO WIDTH SPACE)"),
        ("\ufeff", "U+FEFF (ZERO WIDTH NO-BREAK SPACE)"),
        ("\u202egnp.exe", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("a\u2066b\u2069", "U+2066 (LEFT-TO-RIGHT ISOLATE)"),
        ("gro\u00adwth", "U+00AD (SOFT HYPHEN)"),
        ("a\u2028b", "U+2028 (LINE SEPARATOR)"),
        ("a\nb", "U+000A"),
        ("a\x85b", "U+0085"),
        ("\u200da", "U+200D (ZERO WIDTH JOINER)"),
        ("a\u200d", "U+200D (ZERO WIDTH JOINER)"),
        ("a\u200d\u200db", "U+200D (ZERO WIDTH JOINER)"),
        ("a\U000e0041", "U+E0041 (TAG LATIN CAPITAL LETTER A)"),
    ],
)
def test_a_character_that_nobody_sees_is_refused_by_its_name(name: str, character: str) -> None:
    refused = told(name)
    assert refused.code == "invalid_input"
    assert [error.pointer for error in refused.errors] == ["/name"]
    assert character in refused.errors[0].detail
    assert "nobody can see" in refused.errors[0].detail
    assert "got" not in refused.errors[0].detail


@pytest.mark.parametrize("name", ["\u3000", "\u3164", "\u2800", "\u115f\u1160", "\ufe0f", "\u034f", "\u2003 \u2003"])
def test_a_name_in_which_nothing_can_be_seen_is_refused(name: str) -> None:
    assert [error.pointer for error in told(name).errors] == ["/name"]


@pytest.mark.parametrize(
    "name",
    [
        "growth",
        "Ünïcödé",
        "成長",
        "نمو",
        "می\u200cخواهم",
        "👩\u200d💻",
        "🏳\ufe0f\u200d🌈",
        "क्\u200dष",
        "A & B (2)",
        "-",
        "é",
    ],
)
def test_names_of_every_script_are_kept(name: str) -> None:
    assert parse_body(msgspec.json.encode({"name": name}), "application/json", Thing).name == name


def test_a_name_has_one_spelling() -> None:
    body = msgspec.json.encode({"name": "Zoe\u0308", "other": "Zoe\u0308"})
    thing = parse_body(body, "application/json", Thing)
    assert (thing.name, thing.other) == ("Zo\u00eb", "Zoe\u0308")
    assert parse_body(b'{"name": "Zoe\\u0308"}', "application/json", PortfolioChange).name == "Zo\u00eb"
    with pytest.raises(Refused):  # it is the kept spelling that must not be too long
        parse_body(msgspec.json.encode({"name": "\u0958" * 60}), "application/json", Thing)


def test_every_name_that_is_given_is_looked_at() -> None:
    given = {}
    for operation in all_operations():
        for field, hint in get_type_hints(operation.body or msgspec.Struct, include_extras=True).items():
            if field in ("name", "organization_name"):
                given[f"{operation.id}.{field}"] = names.is_name(hint)
    assert len(given) >= 9
    assert all(given.values()), given


def bounds(kind: Any) -> list[int]:
    """How long the texts of a declared type of names may be."""
    metas = getattr(kind, "__metadata__", ())
    found = [meta.max_length for meta in metas if getattr(meta, "max_length", None)]
    patterns = [re.search(r"\{\d+,(\d+)\}", getattr(meta, "pattern", None) or "") for meta in metas]
    found += [int(each[1]) for each in patterns if each]
    return found + [each for part in getattr(kind, "__args__", ()) for each in bounds(part)]


def test_every_name_is_short_enough_to_be_spelled() -> None:
    for operation in all_operations():
        for field, hint in get_type_hints(operation.body or msgspec.Struct, include_extras=True).items():
            if names.is_name(hint):
                assert bounds(hint), (operation.id, field)
                assert max(bounds(hint)) * 4 <= names.LONGEST, (operation.id, field)


@pytest.mark.parametrize("part", ["\u0300\u0316", "a\u200d"], ids=["marks to be put in order", "joiners"])
def test_a_name_that_is_much_too_long_costs_no_more_than_any_text(part: str) -> None:
    def cost(text: str) -> float:
        body = msgspec.json.encode({"name": text})
        began = time.process_time()
        with pytest.raises(Refused):
            parse_body(body, "application/json", PortfolioChange)
        return time.process_time() - began

    plain, hostile = "a" * 60_000, "a" + part * 14_000
    assert min(cost(hostile) for _ in range(3)) < 20 * min(cost(plain) for _ in range(5))
