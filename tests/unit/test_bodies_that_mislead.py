"""Bodies that two readers would understand differently, or that no reader should have to, are refused."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from tradewright.api.parsing import MAX_DEPTH, MOST_FAULTS, MOST_PARTS, parse_body, parse_query
from tradewright.api.problems import FieldError, Refused, render


class Thing(msgspec.Struct, frozen=True):
    name: str = ""
    params: dict[str, Any] = {}


def refused(raw: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        parse_body(raw, "application/json", Thing)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"name": "a", "name": "b"}', "/name"),
        (b'{"params": {"x": 1, "y": 2, "x": 3}}', "/x"),
        (b'{"params": {"x": [{"a/b": 1, "a/b": 1}]}}', "/a~1b"),
        (b'{"na\\u006de": "a", "name": "b"}', "/name"),
    ],
)
def test_a_name_given_twice_in_one_object_is_refused(raw: bytes, pointer: str) -> None:
    found = refused(raw)
    assert found.code == "invalid_input"
    assert [error.pointer for error in found.errors] == [pointer]


@pytest.mark.parametrize("repeated", [False, True])
def test_very_many_names_are_refused_without_much_work(repeated: bool) -> None:
    names = [f"{n:x}" for n in range(20_000)]
    again = names[:-1] + names[:1] if repeated else names
    began = time.process_time()
    told = refused(("{" + ",".join(f'"{name}":1' for name in again) + "}").encode())
    assert time.process_time() - began < 2  # counting each among all the others took longer
    assert len(told.errors) == (1 if repeated else MOST_FAULTS + 1)
    assert len(told.detail) < 10_000


def test_the_same_name_in_two_objects_is_fine() -> None:
    raw = b'{"name": "x", "params": {"name": {"name": 1}, "other": {"name": 2}}}'
    assert parse_body(raw, "application/json", Thing).name == "x"


def nested(levels: int) -> bytes:
    return b'{"params": {"x": ' + b"[" * (levels - 2) + b"]" * (levels - 2) + b"}}"


def test_depth_is_bounded_exactly() -> None:
    assert parse_body(nested(MAX_DEPTH), "application/json", Thing)
    for levels in (MAX_DEPTH + 1, 500, 100_000):
        found = refused(nested(levels))
        assert found.code == "invalid_input"
        assert str(MAX_DEPTH) in found.detail


def test_the_character_that_texts_cannot_hold_is_refused_and_its_spelling_is_not() -> None:
    assert "U+0000" in refused(b'{"name": "a\\u0000b"}').detail
    found = refused(b'{"name": "x", "params": {"a\\u0000": [1]}, "\\u0000": 1}')
    assert "U+0000" in found.detail
    assert [error.pointer for error in found.errors] == ["/params", "/\0"]
    assert parse_body(b'{"name": "a\\\\u0000b"}', "application/json", Thing).name == "a\\u0000b"
    with pytest.raises(Refused) as caught:
        parse_query(b"name=a%00b", Thing)
    assert caught.value.errors[0].pointer == "query:name"


@pytest.mark.parametrize("raw", [nested(MAX_DEPTH + 1), nested(100_000), b"[]", b"7"])
def test_what_is_wrong_with_the_whole_body_is_an_error_of_the_whole(raw: bytes) -> None:
    found = refused(raw)
    assert [error.pointer for error in found.errors] == [""]
    assert found.errors[0].detail in found.detail


@pytest.mark.parametrize(
    ("query", "part"),
    [
        (b"name=a&", "''"),
        (b"&&name=a", "''"),
        (b"name%3da", "'name%3da'"),
        (b"name=%ff", "name"),
        (b"name=\xc3\xa9", "name"),
    ],
)
def test_the_part_of_a_query_that_cannot_be_read_is_named(query: bytes, part: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_query(query, Thing)
    assert caught.value.code == "invalid_input"
    assert [error.pointer for error in caught.value.errors] == ["query:"]
    assert part in caught.value.errors[0].detail


def test_nobody_is_sent_to_errors_where_there_are_none() -> None:
    problem = msgspec.json.decode(render(Refused("invalid_input", "this operation takes no body"), "/v1/x", "req_1")[2])
    assert "`errors`" not in problem["detail"]
    named = Refused("invalid_input", "1 value(s) were refused: /name", [FieldError("/name", "required")])
    assert "`errors`" in msgspec.json.decode(render(named, "/v1/x", "req_1")[2])["detail"]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"name":"\xff"}', "byte 9 is 0xff, which is not UTF-8"),
        (b'{"name":"a","n\xff":1}', "byte 14 is 0xff, which is not UTF-8"),
        (b'{"name":"\xed\xa0\x80"}', "byte 9 is 0xed, which is not UTF-8"),
        (b'{"name":\xff}', "byte 8 is 0xff, which is not UTF-8"),
        (b'{"name":"\\ud800"}', "\\ud800 alone is half of a character"),
        (b'{"name":"a\\uD800x"}', "\\ud800 alone is half of a character"),
        (b'{"name":"\\udc00"}', "\\udc00 alone is half of a character"),
        (b'{"params":{"x\\ud83d":1}}', "\\ud83d alone is half of a character"),
        (b'{"name":"abc', "ends too early"),
        (b'{"name":NaN}', "byte 8"),
        (b"\xef\xbb\xbf{}", "byte 0 is 0xef, a byte order mark"),
        (b"", "the body is empty"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(raw: bytes, told: str) -> None:
    found = refused(raw)
    assert found.code == "malformed_json"
    assert told in found.detail


def test_a_character_beyond_the_first_65536_is_no_half() -> None:
    assert parse_body(b'{"name":"\\ud83d\\ude00"}', "application/json", Thing).name == "\U0001f600"


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8"])
def test_a_body_that_says_it_is_utf_8_is_read(charset: str) -> None:
    assert parse_body(b'{"name":"a"}', f"application/json; charset={charset}", Thing).name == "a"


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", '"latin1"', "UTF-32"])
def test_another_character_set_is_refused_by_its_name(charset: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_body(b'{"name":"a"}', f"application/json; x=y; Charset={charset}", Thing)
    assert caught.value.code == "unsupported_media_type"
    assert charset.strip('"').lower() in caught.value.detail
    assert "utf-8" in caught.value.detail.lower()


@pytest.mark.parametrize("part", [b"[]", b"{}"])
def test_a_body_holds_so_many_lists_and_objects_and_no_more(part: bytes) -> None:
    def body(parts: int) -> bytes:
        return b'{"params":{"x":[' + b",".join([part] * (parts - 3)) + b"]}}"

    assert len(parse_body(body(MOST_PARTS), "application/json", Thing).params["x"]) == MOST_PARTS - 3
    assert f"holds {MOST_PARTS + 1} lists and objects" in refused(body(MOST_PARTS + 1)).detail
