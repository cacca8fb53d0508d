"""A value of a query has one spelling, and texts end where they seem to."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tradewright.api.credentials import Email, NewPassword, OrganizationName, PersonName
from tradewright.api.documents import document_bytes
from tradewright.api.pagination import PageQuery
from tradewright.api.parsing import parse_query
from tradewright.api.problems import Refused, of
from tradewright.api.routes import all_operations
from tradewright.api.routing import Router
from tradewright.api.wire import Amount, Currency, Id, Moment, Name
from tradewright.errors import InvalidInput

DOCUMENT: dict[str, Any] = json.loads(document_bytes("0"))


class Wanted(msgspec.Struct, frozen=True):
    limit: int | None = 50
    start: Moment | None = None
    raw: bool = False
    text: str = "x"


def refused(raw: bytes) -> str:
    with pytest.raises(Refused) as caught:
        parse_query(raw, Wanted)
    assert len(caught.value.errors) == 1
    return caught.value.errors[0].pointer


@pytest.mark.parametrize("text", [b"0.5", b"5", b"1700000000", b"null", b"2024-01-01", b"2024-01-01T00:00:00", b"-0"])
def test_a_time_is_written_as_a_time(text: bytes) -> None:
    assert refused(b"start=" + text) == "query:start"


@pytest.mark.parametrize("text", [b"1.0", b"1e2", b"null", b"05", b"-", b"true", b"9" * 30, b"9" * 5_000, b"0x1"])
def test_a_number_has_one_spelling(text: bytes) -> None:
    assert refused(b"limit=" + text) == "query:limit"
    assert parse_query(b"limit=120", Wanted).limit == 120


@pytest.mark.parametrize("text", [b"501", b"9" * 18, b"9" * 19, b"9" * 5_000])
def test_a_number_that_is_too_large_is_told_its_bound_however_long_it_is(text: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_query(b"limit=" + text, PageQuery)
    assert caught.value.errors[0].detail.startswith(f'must be at most 500; got "{text[:3].decode()}')
    with pytest.raises(Refused) as caught:
        parse_query(b"limit=-" + text, PageQuery)
    assert caught.value.errors[0].detail.startswith(f'must be at least 1; got "-{text[:3].decode()}')


def test_as_many_values_are_counted_as_named() -> None:
    with pytest.raises(Refused) as caught:
        parse_query(b"limit=abc&foo=1&limit=3", Wanted)
    assert caught.value.detail == "2 value(s) were refused: query:foo, query:limit"
    assert len(caught.value.errors) == 3


def test_a_truth_value_is_true_or_false() -> None:
    assert parse_query(b"raw=true", Wanted).raw
    assert not parse_query(b"raw=false", Wanted).raw
    for text in (b"1", b"TRUE", b"yes", b"null"):
        assert refused(b"raw=" + text) == "query:raw"


@pytest.mark.parametrize("text", [b"", b"%20a", b"a%20", b"%C3%A9", b"a%0Ab", b"%C2%A0", b"%7F"])
def test_a_text_is_visible_ascii(text: bytes) -> None:
    assert refused(b"text=" + text) == "query:text"
    assert parse_query(b"text=null", Wanted).text == "null"
    assert parse_query(b"text=12", Wanted).text == "12"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Amount, "1000"), (Id, "prt_1"), (Name, "growth"), (PersonName, "Ada"), (OrganizationName, "Acme"),
        (Email, "ada@example.com"), (Currency, "USD"),
    ],
)  # fmt: skip
def test_a_line_feed_at_the_end_is_no_part_of_a_value(kind: Any, text: str) -> None:
    assert msgspec.convert(text, kind) == text
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text + "\n", kind)


def test_the_document_says_what_is_refused() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for operation in all_operations():
        if operation.body is not None:
            assert schemas[operation.body.__name__]["additionalProperties"] is False
    assert "\\\\Z" not in json.dumps(DOCUMENT)
    parameters = {
        parameter["name"]: parameter["schema"]
        for parameter in DOCUMENT["paths"]["/v1/verdicts"]["get"]["parameters"]
        if "name" in parameter
    }
    texts = [part for part in parameters["source"]["anyOf"] if part["type"] == "string"]
    assert texts[0]["pattern"].startswith("^[!-~]")
    schema = msgspec.json.schema(NewPassword)
    assert (schema["minLength"], schema["maxLength"]) == (8, 128)


def test_every_instrument_can_be_asked_for_by_its_id() -> None:
    router = Router(all_operations())
    for name in ("equity:AT&T", "equity:M&M.XNSE", "crypto:BTC-USD", "index:A.B-C&D"):
        found = router.find(f"/v1/instruments/{name}")
        assert found is not None
        assert found[1] == {"id": name}


def test_an_error_that_knows_its_field_names_it() -> None:
    told = of(InvalidInput("it is wrong", pointer="/credential"))
    assert [(error.pointer, error.detail) for error in told.errors] == [("/credential", "it is wrong")]
    assert of(InvalidInput("it is wrong")).errors == []
