"""From query strings and bodies to typed values: nothing unknown, nothing twice, every fault told at once. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, TypeVar, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from tradewright.api import names, wording
from tradewright.api.problems import FieldError, Refused

S = TypeVar("S", bound=msgspec.Struct)

MAX_DEPTH = 32
MOST_PARTS = 110_000
"""Lists and objects of a body; a backtest may have 100,000 rows. To read one takes longer than any other byte."""
MOST_FAULTS = 100
"""Names of a body or query that are told one by one: a body can hold ten thousand."""
_NAMED = 10  # of those that are wrong, in the sentence about all
QUERY_TEXT = "[!-~]([ -~]*[!-~])?"
"""What a value of a query can be: ids, names and times of ours are no more than that."""
_TEXT = re.compile(QUERY_TEXT)
_PLAIN = re.compile(r"-?(0|[1-9][0-9]{0,17})|true|false")
_LONG = re.compile(r"-?[1-9][0-9]{18,}")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_SECRET = frozenset(
    ("password", "current_password", "new_password", "code", "token", "credential", "credentials", "fields")
)
_SHORT = 256  # bytes of a query that is remembered
_TOO_DEEP = f"the body is nested deeper than {MAX_DEPTH} levels"


def parse_query(raw: bytes, struct: type[S]) -> S:
    """Return the query parameters as `struct`. Raises Refused with one entry in `errors` for each fault."""
    return _remembered(raw, struct) if len(raw) <= _SHORT else _parsed(raw, struct)


@lru_cache(8_192)  # clients ask the same again and again; what was refused is not remembered
def _remembered(raw: bytes, struct: type[S]) -> S:
    return _parsed(raw, struct)


def _parsed(raw: bytes, struct: type[S]) -> S:
    fields, _, _ = _shape(struct)
    faults: list[FieldError] = []
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise _unreadable(raw) from None
    unknown = [name for name, _ in pairs if name not in fields]
    for name in unknown[:MOST_FAULTS]:
        faults.append(FieldError(f"query:{name[:200]}", _unknown(name, list(fields), "parameter")))
    faults += _others(unknown, "query:", "parameters")
    known = [(name, text) for name, text in pairs if name in fields]
    values = dict(known[::-1])  # the first of several
    for name in values if len(values) < len(known) else ():
        if [each for each, _ in known].count(name) > 1:
            faults.append(FieldError(f"query:{name}", "given more than once; give it once, lists separated by commas"))
    return _struct(struct, fields, values, faults, lambda name: f"query:{name}", from_text=True)


def _unreadable(query: bytes) -> Refused:
    why = "it is no name=value&name=value"
    for part in query.split(b"&"):
        text = part.decode("latin-1")
        if b"=" not in part:
            why = f"a part of it is {wording.cut(repr(text))}, and what stands between two & must be name=value"
            break
        try:
            parse_qsl(text, keep_blank_values=True, errors="strict")
            part.decode("ascii")
        except ValueError:
            why = f"{wording.cut(repr(text))} is not UTF-8 in percent-encoding"
            break
    return Refused("invalid_input", f"the query cannot be read: {why}", [FieldError("query:", why)])


def _whole(why: str) -> Refused:
    return Refused("invalid_input", why, [FieldError("", why)])


def parse_body(raw: bytes, media_type: str, struct: type[S], accepted: Sequence[str] = ("application/json",)) -> S:
    """Return the JSON body as `struct`. Raises Refused: 415, 400, or 422 with every fault."""
    if media_type.partition(";")[0].strip().lower() not in accepted:
        given = f"got {media_type!r}" if media_type else "there was no Content-Type"
        raise Refused("unsupported_media_type", f"the body must be {' or '.join(accepted)}; {given}")
    charset = _charset(media_type)
    if charset not in ("", "utf-8", "utf8"):
        raise Refused("unsupported_media_type", f"the body must be UTF-8; its Content-Type says {charset[:40]!r}")
    parts = raw.count(b"[") + raw.count(b"{")
    if parts > MOST_PARTS:
        raise _whole(f"the body holds {parts} lists and objects; at most {MOST_PARTS} are read: send less at a time")
    try:
        value = msgspec.json.decode(raw)
    except RecursionError:
        raise _whole(_TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("malformed_json", f"the body is not valid JSON: {_why_no_json(raw, error)}") from None
    if not isinstance(value, dict):
        raise _whole(f"the body must be a JSON object, got {_kind(value)}")
    _refuse_what_misleads(raw, value)
    fields, _, _ = _shape(struct)
    unknown = [name for name in value if name not in fields]
    faults = [FieldError(f"/{_escaped(n[:200])}", _unknown(n, list(fields), "field")) for n in unknown[:MOST_FAULTS]]
    faults += _others(unknown, "", "fields")
    known = {name: item for name, item in value.items() if name in fields}
    return _struct(struct, fields, known, faults, lambda name: f"/{_escaped(name)}", from_text=False)


def refuse_packed(coding: str) -> None:
    """Return when the body is sent as it is. coding: of its Content-Encoding. Raises Refused."""
    if coding.strip().lower() not in ("", "identity"):
        raise Refused(
            "unsupported_media_type",
            f"the body is packed as {coding[:40]!r}, which is not read; send it as it is, without Content-Encoding.",
        )


def _charset(media_type: str) -> str:
    for parameter in media_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


def _why_no_json(raw: bytes, error: Exception) -> str:
    if not raw:
        return "the body is empty"
    if raw.startswith(b"\xef\xbb\xbf"):
        return "byte 0 is 0xef, a byte order mark; leave it out"
    try:
        raw.decode()
    except UnicodeDecodeError as fault:
        return f"byte {fault.start} is 0x{raw[fault.start]:02x}, which is not UTF-8"
    half = _half_of_a_character(raw)
    if half:
        return f"\\u{ord(half):04x} alone is half of a character; send both halves, or the character itself"
    return str(error).replace("Input data was truncated", f"it ends too early, after {len(raw)} bytes")


def _half_of_a_character(raw: bytes) -> str:
    try:
        json.dumps(json.loads(raw), ensure_ascii=False).encode()
    except UnicodeEncodeError as fault:
        return fault.object[fault.start]
    except (ValueError, RecursionError):
        return ""
    return ""


def _refuse_what_misleads(raw: bytes, value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner = (part.values() if isinstance(part, dict) else part for part in level)
        level = [each for part in inner for each in part if isinstance(each, dict | list)]
        if not level:
            break
    else:
        raise _whole(_TOO_DEEP)
    named = [name for name, item in value.items() if _holds_null((name, item))] if b"\\u0000" in raw else []
    if named:
        why = "holds the character U+0000, which cannot be kept"
        faults = [FieldError(f"/{_escaped(name[:200])}", why) for name in named[:MOST_FAULTS]]
        raise Refused("invalid_input", f"a text in the body {why}", faults)
    json.loads(raw, object_pairs_hook=_refuse_repeated)


def _holds_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_null(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return any(_holds_null(part) for part in value)
    return isinstance(value, str) and "\0" in value


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        repeated = sorted(name for name, count in Counter(names).items() if count > 1)[:MOST_FAULTS]
        why = "given more than once in one object; give it once"
        faults = [FieldError(f"/{_escaped(name[:200])}", why) for name in repeated]
        raise Refused(
            "invalid_input", f"one object of the body names {', '.join(repeated)[:200]} more than once", faults
        )


@cache
def _shape(struct: type[msgspec.Struct]) -> tuple[dict[str, Any], dict[str, Any], frozenset[str]]:
    fields = {f.encode_name: f for f in msgspec.structs.fields(struct)}
    hints = get_type_hints(struct, include_extras=True)
    return fields, hints, frozenset(name for name, hint in hints.items() if names.is_name(hint))


def _struct(
    struct: type[S],
    fields: dict[str, Any],
    values: dict[str, Any],
    faults: list[FieldError],
    pointer: Any,
    from_text: bool,
) -> S:
    _, hints, named = _shape(struct)
    converted: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in values:
            if field.required:
                faults.append(FieldError(pointer(name), "required, and missing"))
            continue
        value = values[name]
        if isinstance(value, str) and field.name in named and len(value) <= names.LONGEST:
            value = names.spelled(value)
            wrong = names.refusal(value)
            if wrong:
                faults.append(FieldError(pointer(name), wrong))
                continue
        try:
            converted[field.name] = _convert(value, hints[field.name], from_text)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at `$")
            inside = where.rstrip("`").replace(".", "/").replace("[", "/").replace("]", "")
            shown = "" if name in _SECRET else f"; got {wording.seen(_inside(values[name], where))}"
            faults.append(FieldError(pointer(name) + inside, wording.plainly(message, hints[field.name]) + shown))
    if faults:
        pointers = dict.fromkeys(fault.pointer for fault in faults)
        shown = ", ".join(list(pointers)[:_NAMED]) + (" and others" if len(pointers) > _NAMED else "")
        raise Refused("invalid_input", f"{len(pointers)} value(s) were refused: {shown}", faults)
    return struct(**converted)


def _inside(value: Any, where: str) -> Any:
    # where: as the parser says it, like `[0].name`; the whole value when that is not there
    at = value
    for name, place in _STEP.findall(where):
        try:
            at = at[int(place) if place else name]
        except (KeyError, IndexError, TypeError):
            return value
    return at


def _convert(value: Any, kind: Any, from_text: bool) -> Any:
    if from_text and not _TEXT.fullmatch(value):
        raise msgspec.ValidationError("Must be visible ASCII characters, at least one, without a space at either end")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if not from_text or not str(error).endswith("got `str`"):
            raise
        if _LONG.fullmatch(value):
            msgspec.convert(int(value[:20]), kind)  # as far out of bounds, where there are any
            raise msgspec.ValidationError("Must have at most 18 digits") from None
        if not _PLAIN.fullmatch(value):
            raise
    return msgspec.convert(json.loads(value), kind)  # what is text in a query only


def _others(unknown: list[str], place: str, what: str) -> list[FieldError]:
    more = len(unknown) - MOST_FAULTS
    return [FieldError(place, f"{more} more {what} that there are not")] if more > 0 else []


def _unknown(name: str, known: list[str], what: str) -> str:
    close = difflib.get_close_matches(name, known, n=1) if len(name) <= 64 else []
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known) or 'none'}"
    return f"there is no such {what}; {hint}"


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
