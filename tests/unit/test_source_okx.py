"""Recorded answers of OKX become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import bars_query, json_answer, recorded
from source_cases import ends, refuses_what_is_no_answer, steps, values
from tradewright.clock import format_us, parse_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.market.instruments import Interval
from tradewright.sources import okx

MINUTES = bars_query(okx.SOURCE, "BTC-USDT", Interval.MINUTE)


def test_recorded_minutes_without_the_one_that_is_not_confirmed(shared: Path) -> None:
    page = okx.parse_bars(recorded(shared, "okx", "bars_intraday__ccxt-BTC-USDT-1m"), MINUTES)
    assert ends(page) == ["2023-03-16T01:06:00Z", "2023-03-16T01:05:00Z"]
    assert values(page) == [(24324.1, 24347.6, 24321.7, 24341.4, 2565.0), (24300.2, 24324.1, 24288.0, 24324.1, 3304.0)]


@pytest.mark.parametrize("text", ["BTC-USDT-SWAP", "BTC-USD-220527", "crypto:BTC-USDT-SWAP", "BTC", "EUR-USD"])
def test_what_is_not_spot_is_refused(text: str) -> None:
    with pytest.raises(UnknownName, match="crypto:BTC-USDT"):
        okx.instrument_of(text)


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("error_unknown_symbol__51001", UnknownName, "does not know 'BTC-USDT'.*does not exist.*crypto:BTC-USDT"),
        ("error_rate_limited__table-50011", SourceLimited, "slow down.*Too Many Requests"),
        ("error_bad_key__ccxt-50103", SourceRefused, "check the credentials of the source 'okx'"),
    ],
)
def test_recorded_refusals_become_typed_errors(shared: Path, name: str, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        okx.parse_bars(recorded(shared, "okx", name), MINUTES)


def test_what_is_no_answer_is_a_failure() -> None:
    row = ["1678928700000", "24324.1", "24347.6", "24321.7", "24341.4", "2565", "10.5", "256500", "1"]

    def body(*rows: object) -> object:
        return {"code": "0", "msg": "", "data": list(rows)}

    refuses_what_is_no_answer(
        okx.SOURCE, MINUTES, body(row), [], {}, {"code": "0"}, {"code": "0", "data": {}}, body(row[:8]), body(7),
        body([row[0], "x", *row[2:]]), body(["never", *row[1:]]), {"code": "50001", "msg": "unavailable"},
        {"code": "51000", "msg": "Parameter bar error"},
    )  # fmt: skip


def test_recorded_pairs_are_listed_and_swaps_are_not(shared: Path) -> None:
    page = okx.parse_listing(recorded(shared, "okx", "instruments__cf-SPOT-2022"))
    assert (len(page.listed), page.skipped) == (513, 0)
    assert steps(page, "BTC-USDT") == ("crypto:BTC-USDT", "0.1", "0.00000001", "", True)
    assert len(okx.parse_listing(recorded(shared, "okx", "instruments__nt-spot")).listed) == 5
    swaps = okx.parse_listing(recorded(shared, "okx", "instruments__nt-swap"))
    assert (len(swaps.listed), swaps.skipped) == (0, 3)


def test_a_recorded_quote_has_the_time_of_okx(shared: Path) -> None:
    wanted = {"ETH-BTC": okx.instrument_of("ETH-BTC")}
    row = okx.parse_quotes(recorded(shared, "okx", "ticker__ccxt-ETH-BTC"), wanted).row(0)
    assert (row[0], format_us(row[1]), *row[2:]) == (
        "crypto:ETH-BTC", "2021-05-19T16:09:43.784000Z", 0.07319, 0.0732, 0.07322,
    )  # fmt: skip
    assert okx.parse_quotes(json_answer({"code": "0", "data": []}), wanted).height == 0


def test_the_request_asks_for_days_of_utc_between_two_bounds_that_are_left_out() -> None:
    query = bars_query(okx.SOURCE, "BTC-USDT", start_us=parse_us("2024-01-02"), end_us=parse_us("2024-01-03"))
    request = okx.bars_request(query)
    assert request.url == "https://www.okx.com/api/v5/market/history-candles"
    assert dict(request.query) == {
        "instId": "BTC-USDT", "bar": "1Dutc", "before": "1704067199999", "after": "1704153600001", "limit": "100",
    }  # fmt: skip


def test_days_that_begin_in_hong_kong_are_noticed() -> None:
    row = ["1704038400000", "1", "2", "0.5", "1.5", "3", "3", "3", "1"]  # 16:00 UTC
    with pytest.raises(SourceFailed, match="starts at 2023-12-31T16:00:00Z, between two of ours"):
        okx.parse_bars(json_answer({"code": "0", "data": [row]}), bars_query(okx.SOURCE, "BTC-USDT"))
