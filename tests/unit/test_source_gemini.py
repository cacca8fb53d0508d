"""Recorded answers of Gemini become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import LATE, bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer, values
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import gemini

FIVES = bars_query(gemini.SOURCE, "ethbtc", Interval.MINUTES_5)


def test_recorded_bars_come_newest_first_with_flat_ones(shared: Path) -> None:
    page = gemini.parse_bars(recorded(shared, "gemini", "bars_intraday__ccxt-ethbtc-5m"), FIVES)
    assert ends(page) == ["2020-06-07T07:35:00Z", "2020-06-07T07:30:00Z", "2020-06-07T07:25:00Z"]
    assert values(page)[:2] == [
        (0.02509, 0.02509, 0.02509, 0.02509, 0.0),
        (0.02503, 0.02509, 0.02503, 0.02509, 44.6405),
    ]


def test_a_span_that_gemini_no_longer_has_is_a_failure_not_nothing(shared: Path) -> None:
    answer = recorded(shared, "gemini", "bars_intraday__ccxt-ethbtc-5m")
    with pytest.raises(SourceFailed, match="only has its latest bars of this interval, from 2020-06-07T07:20:00Z on"):
        gemini.parse_bars(answer, FIVES.at(0, parse_us("2020-06-07T07:00:00Z")))


def test_refusals_become_typed_errors() -> None:
    def refused(reason: str) -> object:
        return {"result": "error", "reason": reason, "message": "said"}

    with pytest.raises(UnknownName, match="does not know 'ethbtc'"):
        gemini.parse_bars(json_answer(refused("InvalidSymbol"), 400), FIVES)
    with pytest.raises(SourceLimited, match="slow down: RateLimit"):
        gemini.parse_bars(json_answer(refused("RateLimit"), 400), FIVES)
    with pytest.raises(SourceFailed, match=r"not available now.*Maintenance"):
        gemini.parse_bars(json_answer(refused("Maintenance")), FIVES)


def test_what_is_no_answer_is_a_failure() -> None:
    row = [1591514700000, 0.02503, 0.02509, 0.02503, 0.02509, 44.6405]
    refuses_what_is_no_answer(
        gemini.SOURCE, FIVES, [row], {}, [1], [row[:5]], [["x", *row[1:]]], [[row[0], "x", *row[2:]]],
        [[1591514760000, *row[1:]]], {"result": "error"}, "text",
    )  # fmt: skip


def test_recorded_pairs_are_told_apart(shared: Path) -> None:
    page = gemini.parse_listing(recorded(shared, "gemini", "instruments__cf-symbols"))
    assert (len(page.listed), page.skipped) == (71, 0)
    named = {each.symbol: each.instrument.id for each in page.listed}
    assert named["btcgusd"] == "crypto:BTC-GUSD"
    assert named["gusdusd"] == "crypto:GUSD-USD"
    assert named["1inchusd"] == "crypto:1INCH-USD"
    assert named["zecltc"] == "crypto:ZEC-LTC"
    assert all(gemini.symbol_of(each.instrument) == each.symbol for each in page.listed)
    assert gemini.parse_listing(json_answer(["btcgusdperp", None, {}])).skipped == 3


def test_a_quote_is_the_last_trade() -> None:
    body = {"bid": "100", "ask": "102", "last": "101", "volume": {"timestamp": 1}}
    frame = gemini.parse_quotes(json_answer(body), {"btcusd": gemini.instrument_of("btcusd")})
    assert frame.rows() == [("crypto:BTC-USD", LATE, 101.0, 100.0, 102.0)]


def test_the_request_has_no_span() -> None:
    request = gemini.bars_request(bars_query(gemini.SOURCE, "crypto:BTC-USD", Interval.HOUR))
    assert (request.url, request.query) == ("https://api.gemini.com/v2/candles/btcusd/1hr", ())
