"""What an answer says, in the same words for every source: JSON or not, refused and why, and what to do about it."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from tradewright.clock import format_us
from tradewright.errors import InvalidInput, SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.transport.messages import Response, shortened

_SAID = ("message", "error", "detail", "Error Message", "error_message")
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")


def json_of(response: Response, title: str) -> Any:
    """Return the JSON of a body. Raises SourceFailed for a page, a body that was cut off and anything else."""
    try:
        return _decoded(response.body)
    except msgspec.DecodeError as error:
        raise not_data(response, title, error) from error


def _decoded(body: bytes) -> Any:
    """Return the JSON of a body in which numbers may be what only some writers of JSON give: too large for a number, or
    NaN and Infinity. They become floats that are not finite, so that a check rejects their row and no other."""
    try:
        return msgspec.json.decode(body)
    except RecursionError as error:
        raise msgspec.DecodeError("it is nested too deeply") from error
    except msgspec.DecodeError as error:
        try:
            made = json.loads(body.decode())
            json.dumps(made, ensure_ascii=False).encode()  # raises for halves of letters, which are no text
        except (ValueError, RecursionError):
            raise error from None
        return made


def answered(response: Response, title: str, name: str) -> Any:
    """Return the JSON of an answer that is none of the refusals which are told by their status alone.

    Raises SourceLimited for 418 and 429, SourceFailed for 403 and 451 (the place) and what `json_of` raises.
    """
    if response.status in (418, 429):
        raise limited(response, title)
    if response.status in (403, 451):
        raise refused_place(response, title, name)
    return json_of(response, title)


def not_data(response: Response, title: str, error: Exception | None = None) -> Exception:
    """Return the failure of a body that is not in the form of data."""
    body = response.body.strip()
    if response.status == 429:
        return limited(response, title)
    if not body:
        said = "with an empty body; try again later"
    elif body[:200].lower().startswith(_PAGES):
        said = "with a page for people, not data: it is under maintenance, or a proxy or block page stands in between"
    elif error is not None and "truncated" in str(error).lower():
        said = f"with a body that ends in the middle ({len(response.body)} bytes); try again"
    else:
        said = "not in JSON"
    return SourceFailed(
        f"{title} answered {response.status}, {said}: {response.start_of_body!r}",
        status=response.status,
        transient=response.status < 300,
    )


def text_of(response: Response, title: str) -> str:
    """Return the text of a body that should be CSV. Raises SourceFailed for a page and for what is not UTF-8."""
    if response.body.strip()[:200].lower().startswith(_PAGES) or not response.body.strip():
        raise not_data(response, title)
    try:
        return response.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceFailed(
            f"{title} answered {response.status} with bytes that are not text: {response.start_of_body!r}",
            status=response.status,
        ) from error


def changed(response: Response, title: str, expected: str) -> Exception:
    """Return the failure of an answer that is JSON or text but not what is documented."""
    return SourceFailed(
        f"{title} sent no {expected} but {response.start_of_body!r}; its API may have changed", status=response.status
    )


def listed(body: Any, response: Response, title: str, expected: str) -> list[Any]:
    """Return a body that must be a list. Raises SourceFailed as `changed` says for any other."""
    if not isinstance(body, list):
        raise changed(response, title, expected)
    return body


def unknown(title: str, symbol: str, said: str, example: str) -> Exception:
    """Return the refusal of a symbol."""
    return UnknownName(
        f"{title} does not know {symbol!r} ({shortened(said, 120)}); write it like {example}", name=symbol
    )


def limited(response: Response, title: str, said: str = "") -> Exception:
    """Return the refusal of somebody who asked too often."""
    return SourceLimited(
        f"{title} asks us to slow down: {shortened(said or response.start_of_body, 200)}; try again later, or ask for "
        "less",
        status=response.status,
    )


def refused_key(response: Response, title: str, name: str, said: str) -> Exception:
    """Return the refusal of a key that is missing or wrong."""
    return SourceRefused(
        f"{title} does not accept the key ({response.status}): {shortened(said, 200)}; check the credentials of "
        f"the source {name!r}",
        status=response.status,
    )


def not_in_plan(response: Response, title: str, said: str) -> Exception:
    """Return the refusal of what the caller's plan does not include."""
    return SourceRefused(
        f"{title} does not give this on the present plan ({response.status}): {shortened(said, 200)}; ask for an "
        "older or shorter span, use another source, or change the plan",
        status=response.status,
    )


def refused_place(response: Response, title: str, name: str) -> Exception:
    """Return the refusal of somebody who asks from where the source does not serve."""
    return SourceFailed(
        f"{title} refuses this location ({response.status}): {response.start_of_body}; use another source, or set "
        f"TRADEWRIGHT_{name.upper()}_URL to an address of it that serves yours",
        status=response.status,
    )


def busy(response: Response, title: str, said: str) -> Exception:
    """Return the failure of a source that is under maintenance or overloaded; asking again may help."""
    return SourceFailed(
        f"{title} is not available now ({response.status}): {shortened(said, 200)}; try again later",
        status=response.status,
        transient=True,
    )


def refusal(response: Response, title: str, name: str, symbol: str, said: str, example: str) -> Exception:
    """Return what a status means by custom: 401 the key, 402 and 403 the plan, 404 the symbol, 429 too often."""
    if response.status == 429:
        return limited(response, title, said)
    if response.status == 401:
        return refused_key(response, title, name, said)
    if response.status in (402, 403):
        return not_in_plan(response, title, said)
    if response.status == 404:
        return unknown(title, symbol, said, example)
    return failed(response, title, said)


def accepted(response: Response, title: str, name: str, symbol: str, example: str) -> Any:
    """Return the JSON of an answer with status 200; raise what any other status means by custom (`refusal`)."""
    try:
        body = _decoded(response.body)
    except msgspec.DecodeError as error:
        plain = response.body.strip()
        if response.status == 200 or not plain or plain[:200].lower().startswith(_PAGES):
            raise not_data(response, title, error) from error
        body = None
    if response.status == 200:
        return body
    said = next((body[key] for key in _SAID if body.get(key)), "") if isinstance(body, dict) else ""
    raise refusal(response, title, name, symbol, str(said) or response.start_of_body, example)


def only_latest(title: str, oldest_us: int) -> Exception:
    """Return the failure of a span that lies before everything that a source still has. oldest_us: start of that."""
    return SourceFailed(
        f"{title} only has its latest bars of this interval, from {format_us(oldest_us)} on; ask for a later span, a "
        "longer interval, or another source"
    )


def failed(response: Response, title: str, said: str = "") -> Exception:
    """Return any other refusal."""
    return SourceFailed(
        f"{title} refused ({response.status}): {shortened(said or response.start_of_body, 200)}", status=response.status
    )


def step(text: Any) -> Decimal | None:
    """Return the smallest step of a price or size as a listing gives it; None where it gives none or zero.

    Raises SourceFailed for what is no number.
    """
    if text is None or text == "":
        return None
    try:
        made = Decimal(str(text))
    except InvalidOperation:
        raise SourceFailed(f"expected a step of prices or units, got {str(text)[:40]!r}") from None
    if not made.is_finite() or made < 0:
        raise SourceFailed(f"expected a step of prices or units, got {str(text)[:40]!r}")
    return made.normalize() if made else None


REFUSED_ENTRY = (KeyError, TypeError, AttributeError, ValueError, SourceFailed, InvalidInput)
"""What reading one entry of a listing may raise when it is nothing that we know: it is counted as skipped."""
