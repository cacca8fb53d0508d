"""Recorded answers of Kraken become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import LATE, bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer, steps, values
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import kraken

ETHER = bars_query(kraken.SOURCE, "ETHXBT", Interval.MINUTE)
TETHER = bars_query(kraken.SOURCE, "XBTUSDT", Interval.MINUTE)
RECEIVED = parse_us("2025-11-11T00:17:30Z")


def test_recorded_minutes_are_found_under_another_name(shared: Path) -> None:
    page = kraken.parse_bars(recorded(shared, "kraken", "bars_intraday__ccxt-ETHXBT-1m"), ETHER)
    assert ends(page)[0] == "2020-06-06T20:34:00Z"
    assert values(page) == [
        (0.02499, 0.02499, 0.02499, 0.02499, 0.0),
        (0.025, 0.025, 0.025, 0.025, 9.12201),
        (0.02499, 0.02499, 0.02499, 0.02499, 1.28681415),
        (0.02499, 0.02499, 0.02499, 0.02499, 0.088),
    ]
    assert page.bars["instrument"].unique().to_list() == ["crypto:ETH-BTC"]


def test_720_recorded_minutes_without_the_running_one_and_with_the_flat_ones(shared: Path) -> None:
    page = kraken.parse_bars(recorded(shared, "kraken", "bars_intraday__nt-XBTUSDT-1m", RECEIVED), TETHER)
    assert page.bars.height == 720
    assert (ends(page)[0], ends(page)[-1]) == ("2025-11-10T12:18:00Z", "2025-11-11T00:17:00Z")
    assert values(page)[3] == (106038.1, 106044.3, 106038.1, 106040.1, 0.08317981)
    assert values(page)[0] == (106038.2, 106038.2, 106038.2, 106038.2, 0.0)
    assert page.bars["instrument"][0] == "crypto:BTC-USDT"


def test_a_span_that_kraken_no_longer_has_is_a_failure_not_nothing(shared: Path) -> None:
    answer = recorded(shared, "kraken", "bars_intraday__nt-XBTUSDT-1m", RECEIVED)
    with pytest.raises(SourceFailed, match="only has its latest bars of this interval, from 2025-11-10T12:17:00Z on"):
        kraken.parse_bars(answer, TETHER.at(0, parse_us("2025-11-10T12:00:00Z")))


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("error_unknown_symbol__unknown-pair", UnknownName, "does not know 'ETHXBT'.*crypto:BTC-USD"),
        ("error_rate_limited__too-many", SourceLimited, "slow down.*Too many requests"),
        ("error_bad_key__invalid-key", SourceRefused, "check the credentials"),
        ("error_unavailable__service", SourceFailed, "not available now.*try again later"),
    ],
)
def test_recorded_refusals_with_status_200_become_typed_errors(
    shared: Path, name: str, kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        kraken.parse_bars(recorded(shared, "kraken", name), ETHER)


def test_what_is_no_answer_is_a_failure() -> None:
    row = [1591475580, "0.02499", "0.02499", "0.02499", "0.02499", "0.0", "0.0", 0]

    def body(*rows: object) -> object:
        return {"error": [], "result": {"XETHXXBT": list(rows), "last": 1}}

    refuses_what_is_no_answer(
        kraken.SOURCE, ETHER, body(row), [], {}, {"error": []}, {"error": [], "result": {}}, body(row[:4]),
        body([None, *row[1:]]), body([row[0], "x", *row[2:]]), {"error": [], "result": {"A": [row], "B": [row]}},
        {"error": ["EGeneral:Invalid arguments"]},
    )  # fmt: skip


def test_recorded_pairs_are_listed_in_our_names_without_dark_pools_and_currencies(shared: Path) -> None:
    page = kraken.parse_listing(recorded(shared, "kraken", "instruments__cf-AssetPairs-2021"))
    assert (len(page.listed), page.skipped) == (280, 24)  # 11 dark pools, 12 of currencies, one staked
    assert steps(page, "XDGXBT")[0] == "crypto:DOGE-BTC"
    assert steps(page, "XBTUSD") == ("crypto:BTC-USD", "0.1", "0.00000001", "", True)
    new = kraken.parse_listing(recorded(shared, "kraken", "instruments__nt-XBTUSDT"))
    assert steps(new, "XBTUSDT") == ("crypto:BTC-USDT", "0.1", "0.00000001", "0.5", True)
    assert all(kraken.symbol_of(each.instrument) == each.symbol for each in page.listed)


def test_a_recorded_quote_is_the_last_trade(shared: Path) -> None:
    wanted = {"XBTUSDT": kraken.instrument_of("XBTUSDT")}
    frame = kraken.parse_quotes(recorded(shared, "kraken", "ticker__nt-XBTUSDT"), wanted)
    assert frame.row(0) == ("crypto:BTC-USDT", LATE, 105899.4, 105944.2, 105944.3)


def test_quotes_under_the_long_names_find_their_pair() -> None:
    quote = {"a": ["2"], "b": ["1"], "c": ["1.5"]}
    body = {"error": [], "result": {"XXBTZUSD": quote, "XETHXXBT": quote, "ADAETH": quote}}
    wanted = {name: kraken.instrument_of(name) for name in ("XBTUSD", "ETHXBT", "ADAETH")}
    frame = kraken.parse_quotes(json_answer(body), wanted)
    assert frame["instrument"].to_list() == ["crypto:BTC-USD", "crypto:ETH-BTC", "crypto:ADA-ETH"]


def test_the_request_asks_from_just_before_the_first_start() -> None:
    request = kraken.bars_request(TETHER.at(parse_us("2025-11-10T12:18:00Z"), LATE))
    assert request.url == "https://api.kraken.com/0/public/OHLC"
    assert dict(request.query) == {"pair": "XBTUSDT", "interval": "1", "since": "1762777019"}


@pytest.mark.parametrize("text", ["XBTUSD", "xbt/usd", "BTC-USD", "crypto:BTC-USD"])
def test_bitcoin_has_two_names(text: str) -> None:
    instrument = kraken.instrument_of(text)
    assert (instrument.id, kraken.symbol_of(instrument)) == ("crypto:BTC-USD", "XBTUSD")


@pytest.mark.parametrize(
    ("text", "name", "short"),
    [
        ("XXBTZUSD", "crypto:BTC-USD", "XBTUSD"),
        ("crypto:XXBTZUSD", "crypto:BTC-USD", "XBTUSD"),
        ("XXBT/ZUSD", "crypto:BTC-USD", "XBTUSD"),
        ("XETHZEUR", "crypto:ETH-EUR", "ETHEUR"),
        ("XETHXXBT", "crypto:ETH-BTC", "ETHXBT"),
        ("XXDGZUSD", "crypto:DOGE-USD", "XDGUSD"),
        ("XZECZUSD", "crypto:ZEC-USD", "ZECUSD"),
        ("XTZUSD", "crypto:XTZ-USD", "XTZUSD"),
        ("ZECUSD", "crypto:ZEC-USD", "ZECUSD"),
    ],
)
def test_the_long_names_of_old_pairs_are_the_same_instruments(text: str, name: str, short: str) -> None:
    instrument = kraken.instrument_of(text)
    assert (instrument.id, kraken.symbol_of(instrument)) == (name, short)
    assert kraken.instrument_of(short) == instrument


def test_a_long_name_of_two_currencies_is_refused() -> None:
    with pytest.raises(UnknownName, match="crypto:"):
        kraken.instrument_of("ZEUR/ZUSD")
