"""What tests of sources check alike: damaged bodies, symbols that lead back, secrets, rows a person can compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from recorded import LATE
from tradewright.clock import format_us
from tradewright.errors import SourceFailed, UnknownName
from tradewright.sources.source import Source
from tradewright.transport.messages import Request, Response

DAMAGED = (
    b"",
    b"  \n",
    b"<!DOCTYPE html><html><body>We are down for maintenance</body></html>",
    b'[{"t": 1672722000000, "o"',
    b'{"results": [{"t": 16727',
    b"null",
    b"17",
    b'"text"',
    b"[[1]]",
    b'["a"]',
    b"\xff\xfe\x00",
)


def assert_damage_fails(parse: Callable[[Response], Any], *more: bytes) -> None:
    """Every damaged body with status 200, `more` included, is a failure of the source and no row and no other error."""
    for body in (*DAMAGED, *more):
        with pytest.raises(SourceFailed, match=r"\w{3}"):
            pytest.fail(f"{body!r} was read as {parse(Response(200, body, (), LATE))}")


def assert_symbols(source: Source, *pairs: tuple[str, str]) -> None:
    """Each (symbol there, instrument id): both lead to the instrument, and it leads to the symbol."""
    for symbol, instrument_id in pairs:
        instrument = source.instrument_of(instrument_id)
        assert (instrument.id, source.symbol_of(instrument)) == (instrument_id, symbol)
        assert source.instrument_of(symbol) == instrument


def assert_unknown(source: Source, *texts: str) -> None:
    """None of the texts can be anything of the source; the error shows how to write one."""
    for text in texts:
        with pytest.raises(UnknownName, match=":"):
            source.instrument_of(text)


def assert_secret_apart(source: Source, request: Request, **credentials: str) -> Request:
    """The signed request; its address and the request before signing hold no secret."""
    signed = source.auth.sign(request, credentials)
    for secret in credentials.values():
        assert secret not in f"{request}"
        assert secret not in signed.url
        assert secret in f"{signed.query}{signed.headers}"
    return signed


def times(frame: pl.DataFrame, column: str = "time") -> list[str]:
    """The times of a frame as a person writes them."""
    return [format_us(each) for each in frame[column]]


def prices(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Open, high, low, close and volume of each bar."""
    return frame.select("open", "high", "low", "close", "volume").rows()


def actions(frame: pl.DataFrame) -> list[tuple[str, str, float, float]]:
    """Ex day's close, when it was known, split and dividend of each action."""
    return [(format_us(time), format_us(known), split, paid) for _, time, known, split, paid in frame.rows()]
