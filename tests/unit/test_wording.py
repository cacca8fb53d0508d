"""What was wrong with a value is said in the words of a person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
import pytest

from tradewright.api.routes import all_operations
from tradewright.api.wording import plainly, seen

CASES = [
    (str, 3, "must be a text, not a whole number"),
    (int, "x", "must be a whole number, not a text"),
    (int, 3.5, "must be a whole number, not a number"),
    (bool, 1, "must be true or false, not a whole number"),
    (list[str], "a", "must be a list, not a text"),
    (str | None, 3, "must be a text or null, not a whole number"),
    (Literal["asc", "desc"], "up", "must be one of asc, desc"),
    (Annotated[Literal["a", "b"], msgspec.Meta(title="x")] | None, "c", "must be one of a, b"),
    (Annotated[int, msgspec.Meta(ge=1, le=500)], 501, "must be at most 500"),
    (Annotated[float, msgspec.Meta(ge=0, lt=1)], 2.0, "must be below 1"),
    (Annotated[str, msgspec.Meta(min_length=1)], "", "must have at least 1 character"),
    (Annotated[list[str], msgspec.Meta(max_length=2)], ["a"] * 3, "must have at most 2 entries"),
    (
        Annotated[str, msgspec.Meta(pattern=r"^(1h|4h)\Z", examples=["1h"], extra={"words": "1h or 4h"})] | None,
        "x",
        "must be 1h or 4h, like 1h",
    ),
    (datetime, "yesterday", "must be a time like 2024-03-28T20:00:00Z"),
    (
        Annotated[datetime, msgspec.Meta(tz=True)],
        "2020-01-01T00:00:00",
        "must name its time zone, like 2024-03-28T20:00:00Z",
    ),
]


@pytest.mark.parametrize(("kind", "value", "words"), CASES)
def test_a_refusal_says_what_the_value_must_be(kind: Any, value: Any, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, kind)
    assert plainly(str(refused.value), kind) == words


def test_no_pattern_is_shown_as_it_is() -> None:
    structs = [part for operation in all_operations() for part in (operation.query, operation.body) if part]
    metas = [meta for struct in structs for meta in patterns(struct)]
    assert len(metas) > 20
    for meta in metas:
        assert meta.examples, meta
        assert meta.extra, meta
        assert meta.extra["words"], meta


def patterns(kind: Any) -> list[msgspec.Meta]:
    """Every pattern that a value of this type is held to, with what is said of it."""
    found = [meta for meta in getattr(kind, "__metadata__", ()) if getattr(meta, "pattern", None)]
    inside: list[Any] = list(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        inside = list(get_type_hints(kind, include_extras=True).values())
    return found + [meta for part in inside for meta in patterns(part)]


def test_a_value_is_shown_as_it_was_written_and_not_whole() -> None:
    assert [seen(value) for value in (None, True, -3, "x", {"a": 1})] == ["null", "true", "-3", '"x"', '{"a": 1}']
    assert len(seen("x" * 500)) == 80
