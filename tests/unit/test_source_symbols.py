"""Names at the border lead to the instrument that is meant, or to a refusal: never to another one."""

from __future__ import annotations

import pytest

from source_checks import assert_symbols, assert_unknown
from tradewright.errors import UnknownName
from tradewright.sources import fmp, sec_edgar, stooq, symbols, yahoo
from tradewright.sources.registry import SOURCES

AMERICAN = ("alpaca", "alpha_vantage", "finnhub", "fmp", "intrinio", "polygon", "sec_edgar", "tiingo", "twelve_data")


@pytest.mark.parametrize("name", AMERICAN)
@pytest.mark.parametrize(
    "text",
    ["VOD.L", "RY.TO", "SHOP.TO", "TSCO.LON", "SAP.F", "ABC.V", "7203.T", "equity:SAP.XETR", "BTC-USD", "MC.PA"],
)
def test_a_share_with_the_code_of_an_exchange_is_no_american_one(name: str, text: str) -> None:
    with pytest.raises(UnknownName):
        SOURCES[name].instrument_of(text)


@pytest.mark.parametrize("name", AMERICAN)
@pytest.mark.parametrize("text", ["BRK.B", "BF.A", "ABC.WS", "ABC.U", "ABC.R", "BAC.PRB"])
def test_a_class_of_an_american_share_is_one_and_leads_back(name: str, text: str) -> None:
    source = SOURCES[name]
    instrument = source.instrument_of(f"equity:{text}")
    assert (instrument.id, instrument.currency, instrument.calendar) == (f"equity:{text}", "USD", "XNYS")
    assert source.instrument_of(source.symbol_of(instrument)) == instrument


def test_the_refusal_of_an_exchange_says_what_to_do() -> None:
    with pytest.raises(UnknownName, match=r"'VOD.L': L is no class.*looks like an exchange.*equity:BRK.B.*that market"):
        symbols.share("VOD.L", "Bank", "equity:AAPL")


def test_a_preferred_share_with_a_dash_is_the_one_with_a_dot() -> None:
    for source in (sec_edgar.SOURCE, fmp.SOURCE, yahoo.SOURCE):
        assert_symbols(source, ("BAC-PB", "equity:BAC.PRB"), ("BRK-B", "equity:BRK.B"))


@pytest.mark.parametrize("text", ["BTCUSD", "EURUSD", "GCUSD", "USDJPY", "ZCUSX", "equity:ETHUSD", "eurgbp"])
def test_what_looks_like_a_pair_is_no_share_of_fmp(text: str) -> None:
    with pytest.raises(UnknownName, match=r"looks like a pair.*equity:AAPL"):
        fmp.instrument_of(text)


def test_a_coin_that_may_be_another_one_at_yahoo_is_refused() -> None:
    for text in ("UNI-USD", "TON-USD", "SUI-USD", "crypto:UNI-USD"):
        with pytest.raises(UnknownName, match=r"other coins under some tickers.*BTC.*crypto:BTC-USD"):
            yahoo.instrument_of(text)
    assert_symbols(yahoo.SOURCE, ("BTC-USD", "crypto:BTC-USD"), ("DOGE-EUR", "crypto:DOGE-EUR"))


def test_indices_of_other_markets_are_refused_where_their_sessions_are_not_known() -> None:
    assert_unknown(yahoo.SOURCE, "^N225", "^GDAXI", "^FTSE", "index:GDAXI")
    assert_unknown(stooq.SOURCE, "^dax", "^nkx", "index:DAX")
    with pytest.raises(UnknownName, match=r"American: .*SPX.*VIX"):
        yahoo.instrument_of("^FTSE")
    assert_symbols(
        yahoo.SOURCE, ("^GSPC", "index:SPX"), ("^DJI", "index:DJI"), ("^IXIC", "index:IXIC"), ("^RUT", "index:RUT"),
        ("^VIX", "index:VIX"),
    )  # fmt: skip
