"""Recorded answers of Stooq become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import LATE, bars_query, recorded
from source_checks import assert_damage_fails, assert_secret_apart, assert_symbols, assert_unknown, prices, times
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.sources import stooq
from tradewright.transport.messages import Response

AAPL = bars_query(stooq.SOURCE, "AAPL")
HEAD = b"Date,Open,High,Low,Close,Volume\n"


def test_the_recorded_table_is_read(shared: Path) -> None:
    page = stooq.parse_bars(recorded(shared, "stooq", "bars_daily__aapl.us-from-1984"), AAPL)
    assert page.bars.height == 20
    assert times(page.bars)[0] == "1984-09-07T20:00:00Z"
    assert prices(page.bars)[0] == (0.0996047, 0.100827, 0.0984022, 0.0996047, 98811715.0)
    assert prices(page.bars)[-1] == (0.0953768, 0.0959978, 0.0953768, 0.0953768, 148922026.0)


def test_a_table_without_volume_is_read() -> None:
    table = b"Date,Open,High,Low,Close\r\n2024-03-08,1.09,1.1,1.08,1.095\r\n"
    page = stooq.parse_bars(Response(200, table, (), LATE), bars_query(stooq.SOURCE, "eurusd"))
    assert (times(page.bars), prices(page.bars)) == (["2024-03-09T00:00:00Z"], [(1.09, 1.1, 1.08, 1.095, None)])


def test_recorded_texts_with_status_200_are_refusals(shared: Path) -> None:
    with pytest.raises(UnknownName, match=r"'aapl.us'.*No data.*equity:AAPL"):
        stooq.parse_bars(recorded(shared, "stooq", "error_unknown_symbol__no-data"), AAPL)
    with pytest.raises(SourceLimited, match=r"slow down: Exceeded the daily hits limit"):
        stooq.parse_bars(recorded(shared, "stooq", "error_rate_limited__daily-hits"), AAPL)
    with pytest.raises(SourceRefused, match=r"key.*Get your apikey.*'stooq'"):
        stooq.parse_bars(recorded(shared, "stooq", "error_bad_key__get-your-apikey"), AAPL)


def test_damage_is_a_failure() -> None:
    assert_damage_fails(
        lambda answer: stooq.parse_bars(answer, AAPL),
        HEAD + b"2024-03-08,1,1,1\n",
        HEAD + b"2024-03-08,1,1,1,x,1\n",
        HEAD + b"soon,1,1,1,1,1\n",
        HEAD.replace(b"Close", b"Last") + b"2024-03-08,1,1,1,1,1\n",
    )
    with pytest.raises(SourceFailed, match=r"cut off"):
        stooq.parse_bars(Response(200, HEAD + b"2024-03-08,1.0,1", (), LATE), AAPL)


def test_symbols_lead_back() -> None:
    assert_symbols(
        stooq.SOURCE,
        ("aapl.us", "equity:AAPL"),
        ("brk-b.us", "equity:BRK.B"),
        ("^spx", "index:SPX"),
        ("eurusd", "fx:EUR-USD"),
    )
    assert_unknown(stooq.SOURCE, "macro:GDP", "crypto:BTC-USD", "no such thing")


def test_the_request_asks_for_all_of_it_and_holds_no_secret() -> None:
    request = stooq.bars_request(AAPL)
    assert (request.url, request.query) == ("https://stooq.com/q/d/l/", (("s", "aapl.us"), ("i", "d")))
    assert_secret_apart(stooq.SOURCE, request, api_key="K123")
    assert not stooq.SOURCE.auth.needed
