"""Recorded answers of CoinGecko become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import LATE, bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.sources import coingecko

ALEPHIUM = bars_query(coingecko.SOURCE, "alephium/btc")
BITCOIN = bars_query(coingecko.SOURCE, "crypto:BTC-USD")


def test_recorded_points_at_midnight_are_closes_and_the_moment_of_the_call_is_left_out(shared: Path) -> None:
    page = coingecko.parse_bars(recorded(shared, "coingecko", "bars_daily__alephium-market-chart-btc"), ALEPHIUM)
    assert ends(page) == [f"2023-12-{day:02}T00:00:00Z" for day in range(9, 14)]
    assert page.bars["close"].to_list() == [
        1.6446899669484214e-05, 1.9116562906218465e-05, 1.907096268974158e-05, 1.793183990141821e-05,
        2.007992246841523e-05,
    ]  # fmt: skip
    assert page.bars["instrument"].unique().to_list() == ["crypto:ALPH-BTC"]
    assert page.bars.select("open", "high", "low", "volume").null_count().row(0) == (5, 5, 5, 5)


def test_a_point_shortly_after_midnight_is_that_midnights_and_is_known_when_it_is_published() -> None:
    body = {"prices": [[1702080000000, 1.0], [1702166460000, 2.0], [1702252800000, 3.0], [1702300000000, 4.0]]}
    page = coingecko.parse_bars(json_answer(body), BITCOIN)
    assert ends(page) == ["2023-12-09T00:00:00Z", "2023-12-10T00:00:00Z", "2023-12-11T00:00:00Z"]
    assert page.bars["close"].to_list() == [1.0, 2.0, 3.0]
    assert format_us(page.bars["known_at"][0]) == "2023-12-09T00:35:00Z"
    assert coingecko.SOURCE.bars is not None
    assert coingecko.SOURCE.bars.lag_us == parse_us("2023-12-09T00:35:00Z") - parse_us("2023-12-09")


def test_a_point_of_another_time_of_day_is_a_failure() -> None:
    for odd in (1702083600000, 10**22 + 1, -(10**22)):  # at 01:00, and in no unit that we know
        with pytest.raises(SourceFailed, match=r"no day's|far from any market"):
            coingecko.parse_bars(json_answer({"prices": [[odd, 1.0], [1702166400000, 2.0]]}), BITCOIN)


def test_the_moment_of_a_call_just_after_midnight_is_not_its_close() -> None:
    body = {"prices": [[1702080000000, 1.0], [1702166580000, 2.0]]}  # at 00:03, when the point is not out yet
    early = json_answer(body, received_at_us=parse_us("2023-12-10T00:04:00Z"))
    assert ends(coingecko.parse_bars(early, BITCOIN)) == ["2023-12-09T00:00:00Z"]


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("error_plan__401-older-than-365-days", SourceRefused, "present plan.*past 365 days.*older or shorter"),
        ("error_rate_limited__429", SourceLimited, "slow down"),
        ("error_unknown_symbol__market-chart-bad-id", UnknownName, "does not know 'bitcoin/usd'.*crypto:BTC-USD"),
        ("bars_daily__client-bitcoin-history-one-day", SourceFailed, "no list of prices"),
    ],
)
def test_recorded_refusals_become_typed_errors(shared: Path, name: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        coingecko.parse_bars(recorded(shared, "coingecko", name), BITCOIN)


def test_a_limit_may_come_with_status_200_and_a_key_may_be_wrong() -> None:
    body = {"status": {"error_code": 429, "error_message": "exceeded the Rate Limit"}}
    with pytest.raises(SourceLimited, match="exceeded the Rate Limit"):
        coingecko.parse_bars(json_answer(body), BITCOIN)
    body = {"status": {"error_code": 10002, "error_message": "API Key Missing"}}
    with pytest.raises(SourceRefused, match="credentials of the source 'coingecko'"):
        coingecko.parse_bars(json_answer(body, 401), BITCOIN)


def test_what_is_no_answer_is_a_failure() -> None:
    row = [1702080000000, 1.6e-05]
    refuses_what_is_no_answer(
        coingecko.SOURCE, BITCOIN, {"prices": [row]}, [], {}, {"prices": {}}, {"prices": [[1]]}, {"prices": [["x", 1]]},
        {"prices": [[row[0], "x"]]}, {"error": "coin not found"}, {"prices": 7},
    )  # fmt: skip


def test_recorded_coins_of_our_list_are_listed(shared: Path) -> None:
    page = coingecko.parse_listing(recorded(shared, "coingecko", "instruments__client-coins-list"))
    assert [(each.symbol, each.instrument.id) for each in page.listed] == [
        ("bitcoin/usd", "crypto:BTC-USD"), ("litecoin/usd", "crypto:LTC-USD"), ("dogecoin/usd", "crypto:DOGE-USD"),
    ]  # fmt: skip
    assert page.skipped == 4


def test_recorded_quotes_of_several_coins(shared: Path) -> None:
    names = ("alephium/btc", "usd-coin/btc", "bitcoin/btc")
    wanted = {name: coingecko.instrument_of(name) for name in names[:2]}
    frame = coingecko.parse_quotes(recorded(shared, "coingecko", "ticker__simple-price-many"), wanted)
    assert frame.rows() == [
        ("crypto:ALPH-BTC", LATE, 2.013e-05, None, None), ("crypto:USDC-BTC", LATE, 2.392e-05, None, None),
    ]  # fmt: skip
    single = recorded(shared, "coingecko", "ticker__client-simple-price")
    row = coingecko.parse_quotes(single, {"bitcoin/usd": coingecko.instrument_of("BTC-USD")}).row(0)
    assert row == ("crypto:BTC-USD", LATE, 7984.89, None, None)
    timed = json_answer({"bitcoin": {"usd": 1.0, "last_updated_at": 1702080000}})
    assert coingecko.parse_quotes(timed, {"bitcoin/usd": coingecko.instrument_of("BTC-USD")})["time"][0] == parse_us(
        "2023-12-09"
    )


def test_the_request_asks_for_days_and_the_key_is_a_header() -> None:
    request = coingecko.bars_request(ALEPHIUM.at(parse_us("2023-12-09"), parse_us("2023-12-13")))
    assert request.url == "https://api.coingecko.com/api/v3/coins/alephium/market_chart/range"
    assert dict(request.query) == {
        "vs_currency": "btc", "from": "1702080000", "to": "1702425600", "interval": "daily", "precision": "full",
    }  # fmt: skip
    assert dict(coingecko.sign(request, {"api_key": "K"}).headers) == {"x-cg-demo-api-key": "K"}
    asked = dict(coingecko.quotes_request(["bitcoin/usd", "alephium/usd"]).query)
    assert (asked["ids"], asked["vs_currencies"]) == ("bitcoin,alephium", "usd")


def test_a_coin_that_several_share_a_ticker_with_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="its coins here are AAVE, ADA"):
        coingecko.instrument_of("crypto:PEPE2-USD")
