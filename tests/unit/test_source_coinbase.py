"""Recorded answers of Coinbase become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import LATE, bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer, steps, values
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import coinbase

BITCOIN = bars_query(coinbase.SOURCE, "BTC-EUR")
MINUTES = bars_query(coinbase.SOURCE, "ETH-BTC", Interval.MINUTE)


def test_recorded_minutes_stand_in_an_order_of_their_own_newest_first(shared: Path) -> None:
    page = coinbase.parse_bars(recorded(shared, "coinbase", "bars_intraday__ccxt-exchange-ETH-BTC-1m"), MINUTES)
    assert ends(page) == ["2020-06-07T07:17:00Z", "2020-06-07T07:16:00Z", "2020-06-07T07:15:00Z"]
    assert values(page)[2] == (0.02505, 0.02507, 0.02505, 0.02507, 0.19918178)
    assert page.bars["instrument"].unique().to_list() == ["crypto:ETH-BTC"]


def test_recorded_days_end_at_midnight_and_low_comes_before_high(shared: Path) -> None:
    page = coinbase.parse_bars(recorded(shared, "coinbase", "bars_daily__pro-BTC-EUR-page-1"), BITCOIN)
    assert ends(page) == ["2020-10-17T00:00:00Z", "2020-01-02T00:00:00Z"]
    assert values(page) == [
        (9828.84, 9860.0, 9588.0, 9672.41, 1068.08144123),
        (6400.02, 6471.44, 6388.91, 6410.22, 491.94797816),
    ]
    other = coinbase.parse_bars(recorded(shared, "coinbase", "bars_daily__pro-BTC-EUR-page-2"), BITCOIN)
    assert values(other)[0] == (29818.73, 32900.0, 29516.98, 32120.19, 5957.46980324)


def test_a_recorded_hour_that_has_not_ended_is_left_out(shared: Path) -> None:
    query = bars_query(coinbase.SOURCE, "BTC-USDT", Interval.HOUR)
    name = "bars_intraday__exchange-BTC-USDT"
    page = coinbase.parse_bars(recorded(shared, "coinbase", name), query)
    assert (ends(page), page.bars["open"].to_list()) == (["2024-03-13T12:00:00Z"], [73243.33])
    running = recorded(shared, "coinbase", name, parse_us("2024-03-13T11:59:59Z"))
    assert coinbase.parse_bars(running, query).bars.height == 0


def test_recorded_refusals_become_typed_errors(shared: Path) -> None:
    with pytest.raises(UnknownName, match=r"does not know 'BTC-EUR'.*crypto:BTC-USD"):
        coinbase.parse_bars(recorded(shared, "coinbase", "error_unknown_symbol__404"), BITCOIN)
    with pytest.raises(SourceLimited, match=r"slow down.*try again later"):
        coinbase.parse_bars(recorded(shared, "coinbase", "error_rate_limited__429"), BITCOIN)
    with pytest.raises(SourceFailed, match=r"refused \(400\): granularity"):
        coinbase.parse_bars(json_answer({"message": "granularity too small"}, 400), BITCOIN)


def test_a_span_before_the_first_candle_is_no_rows(shared: Path) -> None:
    page = coinbase.parse_bars(recorded(shared, "coinbase", "error_bad_request__end-too-old"), BITCOIN)
    assert page.bars.height == 0


def test_what_is_no_answer_is_a_failure() -> None:
    row = [1591514160, 0.02507, 0.02507, 0.02507, 0.02507, 0.02816506]
    refuses_what_is_no_answer(
        coinbase.SOURCE, MINUTES, [row], {}, [1], [row[:5]], [[*row[:5], "much"]], [["soon", *row[1:]]],
        [[row[0] + 1, *row[1:]]], [[row[0], None, [], *row[3:]]],
    )  # fmt: skip


def test_recorded_products_are_listed_with_their_steps(shared: Path) -> None:
    page = coinbase.parse_listing(recorded(shared, "coinbase", "instruments__cf-pro-products-2021"))
    assert (len(page.listed), page.skipped) == (162, 0)
    assert steps(page, "BTC-USD") == ("crypto:BTC-USD", "0.01", "0.00000001", "5", True)
    assert steps(page, "SKL-EUR") == ("crypto:SKL-EUR", "0.0001", "0.1", "5", True)
    few = coinbase.parse_listing(recorded(shared, "coinbase", "instruments__pro-products"))
    assert [each.instrument.id for each in few.listed] == ["crypto:BTC-EUR", "crypto:ETH-GBP", "crypto:DOGE-EUR"]


def test_a_quote_is_the_last_trade() -> None:
    body = {
        "trade_id": 1,
        "price": "100.5",
        "size": "1",
        "time": "2024-03-13T11:00:17.710679Z",
        "bid": "100",
        "ask": "101",
    }
    frame = coinbase.parse_quotes(json_answer(body), {"BTC-EUR": coinbase.instrument_of("BTC-EUR")})
    assert frame.row(0) == ("crypto:BTC-EUR", parse_us("2024-03-13T11:00:17.710679Z"), 100.5, 100.0, 101.0)


def test_the_request_asks_for_starts_of_at_most_300_bars() -> None:
    query = BITCOIN.at(parse_us("2020-01-02"), parse_us("2020-10-28") - 1)
    request = coinbase.bars_request(query)
    assert request.url == "https://api.exchange.coinbase.com/products/BTC-EUR/candles"
    asked = dict(request.query)
    assert asked == {"granularity": "86400", "start": "2020-01-01T00:00:00Z", "end": "2020-10-26T23:59:59Z"}
    assert (parse_us(asked["end"]) - parse_us(asked["start"])) // Interval.DAY.us < coinbase.PAGE_ROWS
    assert format_us(LATE) == dict(coinbase.bars_request(BITCOIN.at(0, LATE + Interval.DAY.us)).query)["end"]
