"""A value that no number holds costs a page that row and no other, however it is written."""

from __future__ import annotations

from typing import Any

import pytest

from recorded import LATE, bars_query
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed
from tradewright.market.checks.sifting import sift
from tradewright.market.instruments import Interval
from tradewright.sources import answers
from tradewright.sources.registry import SOURCES
from tradewright.sources.tables import quotes_frame
from tradewright.transport.messages import Response

ROWS = 4


def binance(high: str) -> tuple[Any, bytes]:
    start_ms = parse_us("2024-01-01") // 1_000
    rows = [
        f'[{start_ms + n * 3_600_000},"10",{high if n == 1 else 12},"9","11","5",{start_ms + (n + 1) * 3_600_000 - 1},'
        '"0",1,"0","0","0"]'
        for n in range(ROWS)
    ]
    source = SOURCES["binance"]
    return bars_query(source, "BTCUSDT", Interval.HOUR), f"[{','.join(rows)}]".encode()


def tiingo(high: str) -> tuple[Any, bytes]:
    rows = [
        f'{{"date":"2024-01-0{n + 2}T00:00:00.000Z","open":10,"high":{high if n == 1 else 12},"low":9,"close":11,'
        '"volume":5,"divCash":0.0,"splitFactor":1.0}'
        for n in range(ROWS)
    ]
    return bars_query(SOURCES["tiingo"], "AAPL"), f"[{','.join(rows)}]".encode()


@pytest.mark.parametrize("made", [binance, tiingo])
@pytest.mark.parametrize(
    ("high", "rejected"),
    [
        ("1e999", ["not_finite"]),
        ("-1e999", ["not_finite"]),
        ('"1e999"', ["not_finite"]),
        ("Infinity", ["not_finite"]),
        ('"-inf"', ["not_finite"]),
        ("1" + "0" * 400, ["not_finite"]),
        ("NaN", []),
        ('"nan"', []),
        ("null", []),
    ],
)
def test_one_row_is_rejected_or_lacks_a_price_and_the_others_stay(made: Any, high: str, rejected: list[str]) -> None:
    query, body = made(high)
    bars = SOURCES[made.__name__].bars
    assert bars is not None
    page = bars.parse(Response(200, body, (), LATE), query).bars
    assert page.height == ROWS
    sifted = sift(page, query.instrument, close_only=False)
    assert sifted.rejected["code"].to_list() == rejected
    assert sifted.accepted.height == ROWS - len(rejected)
    assert sifted.accepted["high"].null_count() == 1 - len(rejected)


@pytest.mark.parametrize("high", ['"abc"', "true", "[]", "{}"])
def test_what_is_no_number_at_all_is_another_form_of_answer(high: str) -> None:
    query, body = binance(high)
    bars = SOURCES["binance"].bars
    assert bars is not None
    with pytest.raises(SourceFailed, match="expected a number"):
        bars.parse(Response(200, body, (), LATE), query)


@pytest.mark.parametrize(
    "body",
    [
        b"[1e999, ", b"[1e999] x", b'[1e999, "\\ud800"]', b"[NaN, \xff]", b"[" * 100_000 + b"NaN",
        b"[NaN, 1" + b"0" * 5_000 + b"]",
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_beside_such_a_value_is_refused_as_before(body: bytes) -> None:
    with pytest.raises(SourceFailed, match=r"not in JSON|ends in the middle"):
        answers.json_of(Response(200, body, (), LATE), "Somebody")


def test_a_quote_that_is_no_finite_price_is_none() -> None:
    share = SOURCES["alpaca"].instrument_of("AAPL")
    frame = quotes_frame([share, share], [1, 1], [float("inf"), "10"], "Somebody", ["1e999", "nan"], [1, 2])
    assert frame.select("price", "bid", "ask").rows() == [(10.0, None, 2.0)]
