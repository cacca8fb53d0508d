"""What an id says by itself: the calendar and the currency, and when it does not say one."""

from __future__ import annotations

import pytest

from tradewright.errors import InvalidInput
from tradewright.market.implied import instrument_of


@pytest.mark.parametrize(
    ("name", "currency", "calendar"),
    [
        ("equity:AAPL", "USD", "XNYS"),
        ("equity:BRK.B", "USD", "XNYS"),
        ("equity:AAPL.XNAS", "USD", "XNAS"),
        ("index:SPX", "USD", "XNYS"),
        ("crypto:BTC-EUR", "EUR", "24/7"),
        ("crypto:BTC-USDT", "USDT", "24/7"),
        ("fx:EUR-JPY", "JPY", "24/5"),
        ("macro:CPIAUCSL", "XXX", "24/7"),
    ],
)
def test_an_id_implies_a_currency_and_a_calendar(name: str, currency: str, calendar: str) -> None:
    instrument = instrument_of(name)
    assert (instrument.id, instrument.currency, instrument.calendar) == (name, currency, calendar)


def test_a_share_of_another_country_needs_a_currency() -> None:
    with pytest.raises(InvalidInput, match=r"equity:VOD.XLON trades at XLON; name the currency of its prices"):
        instrument_of("equity:VOD.XLON")
    instrument = instrument_of("equity:VOD.XLON", "GBP")
    assert (instrument.currency, instrument.calendar) == ("GBP", "XLON")


def test_what_is_given_counts() -> None:
    instrument = instrument_of("crypto:BTC-EUR", "CHF", "24/5")
    assert (instrument.currency, instrument.calendar) == ("CHF", "24/5")
