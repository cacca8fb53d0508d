"""Recorded answers of Bitfinex become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import LATE, bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer, values
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import bitfinex

MINUTES = bars_query(bitfinex.SOURCE, "tETHBTC", Interval.MINUTE)


def test_recorded_minutes_have_the_close_before_the_high_and_gaps(shared: Path) -> None:
    page = bitfinex.parse_bars(recorded(shared, "bitfinex", "bars_intraday__ccxt-ETHBTC-1m"), MINUTES)
    assert ends(page) == ["2020-06-07T04:25:00Z", "2020-06-07T04:36:00Z", "2020-06-07T04:38:00Z"]
    assert values(page)[0] == (0.025069, 0.025069, 0.025068, 0.025068, 1.97828998)


def test_refusals_become_typed_errors() -> None:
    with pytest.raises(UnknownName, match=r"does not know 'tETHBTC' \(symbol: invalid\)"):
        bitfinex.parse_bars(json_answer(["error", 10020, "symbol: invalid"], 500), MINUTES)
    with pytest.raises(SourceLimited, match="slow down: ratelimit"):
        bitfinex.parse_bars(json_answer(["error", 11010, "ratelimit: error"]), MINUTES)
    with pytest.raises(SourceLimited, match="ERR_RATE_LIMIT"):
        bitfinex.parse_bars(json_answer({"error": "ERR_RATE_LIMIT"}), MINUTES)
    with pytest.raises(SourceFailed, match=r"not available now.*maintenance") as raised:
        bitfinex.parse_bars(json_answer(["error", 20060, "maintenance"]), MINUTES)
    assert raised.value.facts["transient"]


def test_what_is_no_answer_is_a_failure() -> None:
    row = [1591503840000, 0.025069, 0.025068, 0.025069, 0.025068, 1.97828998]
    refuses_what_is_no_answer(
        bitfinex.SOURCE, MINUTES, [row], {}, [1], [row[:5]], [["x", *row[1:]]], [[row[0], "x", *row[2:]]],
        [[1591503840, *row[1:]]], ["error"], ["error", 10020, "limit: invalid"], "text",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("tBTCUSD", "crypto:BTC-USD"),
        ("tBTCUST", "crypto:BTC-USDT"),
        ("tDUSK:USD", "crypto:DUSK-USD"),
        ("tDOGE:UST", "crypto:DOGE-USDT"),
        ("tTRXUSD", "crypto:TRX-USD"),
    ],
)
def test_pairs_of_long_names_have_a_colon_and_some_coins_another_name(symbol: str, name: str) -> None:
    assert bitfinex.instrument_of(symbol).id == name
    assert bitfinex.symbol_of(bitfinex.instrument_of(name)) == symbol


def test_pairs_are_listed_without_derivatives() -> None:
    page = bitfinex.parse_listing(json_answer([["BTCUSD", "DUSK:USD", "EURUSD", "BTCF0:USTF0:X", 1]]))
    assert [each.instrument.id for each in page.listed] == ["crypto:BTC-USD", "crypto:DUSK-USD"]
    assert page.skipped == 3


def test_a_quote_is_the_last_trade() -> None:
    rows = [["tBTCUSD", 100.0, 1, 102.0, 1, 0.5, 0.1, 101.0, 5, 110, 90], ["tETHUSD", *range(1, 11)]]
    frame = bitfinex.parse_quotes(json_answer(rows), {"tBTCUSD": bitfinex.instrument_of("BTC-USD")})
    assert frame.rows() == [("crypto:BTC-USD", LATE, 101.0, 100.0, 102.0)]


def test_the_request_asks_oldest_first() -> None:
    request = bitfinex.bars_request(MINUTES.at(parse_us("2020-06-07T04:25:00Z"), parse_us("2020-06-07T04:38:00Z")))
    assert request.url == "https://api-pub.bitfinex.com/v2/candles/trade:1m:tETHBTC/hist"
    assert dict(request.query) == {"start": "1591503840000", "end": "1591504620001", "limit": "10000", "sort": "1"}
