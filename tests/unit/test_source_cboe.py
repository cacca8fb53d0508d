"""The recorded table of Cboe becomes the rows a person reads in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import LATE, bars_query, recorded
from source_checks import assert_damage_fails, assert_symbols, assert_unknown, prices, times
from tradewright.errors import SourceLimited, UnknownName
from tradewright.sources import cboe
from tradewright.transport.messages import Response

VIX = bars_query(cboe.SOURCE, "VIX")


def test_the_recorded_table_is_read(shared: Path) -> None:
    page = cboe.parse_bars(recorded(shared, "cboe", "bars_daily__VIX_History-2020"), VIX)
    assert page.bars.height == 26
    assert (times(page.bars)[0], prices(page.bars)[0]) == ("2020-10-23T20:00:00Z", (28.47, 28.67, 27.26, 27.55, None))
    assert times(page.bars)[-1] == "2020-11-30T21:00:00Z"
    early = next(at for at, end in enumerate(times(page.bars)) if end.startswith("2020-11-27"))
    assert times(page.bars, "known_at")[0] == "2020-10-23T20:15:00Z"  # options go on until 16:15 in New York
    assert times(page.bars, "known_at")[early] == "2020-11-27T18:15:00Z"  # an early close
    assert prices(page.bars)[-1] == (22.64, 22.89, 20.48, 20.57, None)


def test_a_table_of_one_column_has_closes() -> None:
    page = cboe.parse_bars(
        Response(200, b"DATE,VVIX\r\n03/06/2006,71.73\r\n", (), LATE), bars_query(cboe.SOURCE, "VVIX")
    )
    assert prices(page.bars) == [(None, None, None, 71.73, None)]


def test_refusals_and_damage() -> None:
    for status in (403, 404):
        with pytest.raises(UnknownName, match=r"'VIX'.*no table.*index:VIX"):
            cboe.parse_bars(Response(status, b"<Error><Code>AccessDenied</Code></Error>", (), LATE), VIX)
    with pytest.raises(SourceLimited, match=r"slow down"):
        cboe.parse_bars(Response(429, b"", (), LATE), VIX)
    head = b"DATE,OPEN,HIGH,LOW,CLOSE\n"
    assert_damage_fails(
        lambda answer: cboe.parse_bars(answer, VIX),
        head + b"2024-03-08,1,1,1,1\n",
        head + b"03/08/2024,1,1,1\n",
        head + b"03/08/2024,1,1,1,x\n",
        b"DATE,PRICE\n03/08/2024,1\n",
    )


def test_symbols_lead_back_and_the_request_is_as_documented() -> None:
    assert_symbols(cboe.SOURCE, ("VIX", "index:VIX"), ("VIX9D", "index:VIX9D"))
    assert_unknown(cboe.SOURCE, "equity:AAPL", "no such thing")
    request = cboe.bars_request(VIX)
    assert request.url == "https://cdn.cboe.com/api/global/us_indices/daily_prices/VIX_History.csv"
