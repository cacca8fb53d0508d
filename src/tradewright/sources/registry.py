"""Every source, one line each."""

from __future__ import annotations

from tradewright.errors import UnknownName
from tradewright.market.instruments import Kind
from tradewright.sources import (
    alpaca,
    alpha_vantage,
    bank_of_canada,
    binance,
    bitfinex,
    bitstamp,
    bybit,
    cboe,
    coinbase,
    coinbase_advanced,
    coingecko,
    deribit,
    ecb,
    finnhub,
    fmp,
    fred,
    gemini,
    intrinio,
    kraken,
    kucoin,
    long_tail,
    nasdaq_data_link,
    okx,
    polygon,
    sec_edgar,
    stooq,
    tiingo,
    twelve_data,
    yahoo,
)
from tradewright.sources.source import Source

SOURCES: dict[str, Source] = {
    each.name: each
    for each in (
        alpaca.SOURCE,
        alpha_vantage.SOURCE,
        bank_of_canada.SOURCE,
        binance.SOURCE,
        bitfinex.SOURCE,
        bitstamp.SOURCE,
        bybit.SOURCE,
        cboe.SOURCE,
        coinbase.SOURCE,
        coinbase_advanced.SOURCE,
        coingecko.SOURCE,
        deribit.SOURCE,
        ecb.SOURCE,
        finnhub.SOURCE,
        fmp.SOURCE,
        fred.SOURCE,
        gemini.SOURCE,
        intrinio.SOURCE,
        kraken.SOURCE,
        kucoin.SOURCE,
        nasdaq_data_link.SOURCE,
        okx.SOURCE,
        polygon.SOURCE,
        sec_edgar.SOURCE,
        stooq.SOURCE,
        tiingo.SOURCE,
        twelve_data.SOURCE,
        yahoo.SOURCE,
    )
}


def knows(name: str) -> bool:
    """Return whether a name is that of a source, or has the form of one that ccxt gives."""
    return name in SOURCES or name.startswith(long_tail.PREFIX)


def market_of(name: str, kind: Kind) -> str:
    """Return the name of the market whose prices a source gives: its own name, where that is not another's. name: of a
    series, which may come from no source that is known."""
    if name.startswith(long_tail.PREFIX):
        return long_tail.market_of(name)
    return SOURCES[name].markets.get(kind, name) if name in SOURCES else name


def unknown(name: str) -> UnknownName:
    """Return the error for a name that no source has."""
    return UnknownName.of("source", name, SOURCES, "`tradewright sources` and GET /v1/sources list them")


def source(name: str) -> Source:
    """Return the source of that name, `ccxt_<venue>` included. Raises UnknownName with the closest names, and
    LibraryMissing for the latter without the library."""
    if name.startswith(long_tail.PREFIX):
        return long_tail.source_of(name)
    if name not in SOURCES:
        raise unknown(name)
    return SOURCES[name]
