"""Recorded answers of FMP and Intrinio become the rows a person reads in them, and agree with those of Polygon."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import bars_query, json_answer, recorded, span_query
from source_checks import (
    actions,
    assert_damage_fails,
    assert_secret_apart,
    assert_symbols,
    assert_unknown,
    prices,
    times,
)
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, UnknownName
from tradewright.sources import fmp, intrinio, polygon

FMP = bars_query(fmp.SOURCE, "AAPL")
INTRINIO = bars_query(intrinio.SOURCE, "AAPL")


def test_three_sources_agree_to_the_cent_about_the_same_days(shared: Path) -> None:
    a = polygon.parse_bars(
        recorded(shared, "polygon", "bars_daily__AAPL-2023-01"), bars_query(polygon.SOURCE, "AAPL")
    ).bars
    b = fmp.parse_bars(recorded(shared, "fmp", "bars_daily__AAPL-2023-01"), FMP).bars.sort("time")
    c = intrinio.parse_bars(recorded(shared, "intrinio", "bars_daily__AAPL-2023-01"), INTRINIO).bars.sort("time")
    assert times(a) == times(b) == times(c)
    assert len(times(a)) == 6
    for name in ("open", "high", "low", "close"):
        assert a[name].to_list() == pytest.approx(b[name].to_list(), abs=0.005001)  # theirs are rounded to the cent
        assert b[name].to_list() == c[name].to_list()
    assert a["volume"].to_list() == pytest.approx(b["volume"].to_list(), rel=0.0031)
    assert a["volume"].to_list() == pytest.approx(c["volume"].to_list(), rel=0.0031)


def test_recorded_days_come_newest_first(shared: Path) -> None:
    page = fmp.parse_bars(recorded(shared, "fmp", "bars_daily__AAPL-2023-01"), FMP)
    assert (times(page.bars)[0], times(page.bars)[-1]) == ("2023-01-10T21:00:00Z", "2023-01-03T21:00:00Z")
    assert prices(page.bars)[0] == (130.26, 131.26, 128.12, 130.73, 63896200.0)
    other = intrinio.parse_bars(recorded(shared, "intrinio", "bars_daily__AAPL-2023-01"), INTRINIO)
    assert prices(other.bars)[0] == (130.26, 131.26, 128.12, 130.73, 63896155.0)  # as traded, not its adj_close 129.84
    assert (other.token, other.actions.height) == ("", 0)


def test_the_running_day_of_intrinio_is_left_out() -> None:
    row = {"open": 1, "high": 2, "low": 0.5, "close": 1.5, "volume": 9, "split_ratio": 1.0, "dividend": 0.0}
    rows = [row | {"date": "2023-02-13", "intraperiod": True}, row | {"date": "2023-02-10", "intraperiod": False}]
    rows[1] |= {"dividend": 0.23, "split_ratio": None}
    page = intrinio.parse_bars(json_answer({"stock_prices": rows, "next_page": "MjAyMw=="}), INTRINIO)
    assert times(page.bars) == ["2023-02-10T21:00:00Z"]
    assert actions(page.actions) == [("2023-02-10T21:00:00Z", "2023-02-09T21:00:00Z", 1.0, 0.23)]
    following = intrinio.bars_request(INTRINIO.at(0, 1, page.token))
    assert dict(following.query)["next_page"] == "MjAyMw=="


def test_recorded_adjustments_of_intrinio(shared: Path) -> None:
    answer = recorded(shared, "intrinio", "corporate_actions__AAPL-adjustments-2023")
    page = intrinio.parse_actions(answer, span_query(intrinio.SOURCE, "AAPL"))
    assert actions(page.actions) == [
        ("2023-05-12T20:00:00Z", "2023-05-11T20:00:00Z", 1.0, 0.24),
        ("2023-02-10T21:00:00Z", "2023-02-09T21:00:00Z", 1.0, 0.23),
    ]


def test_splits_of_fmp_come_first_and_dividends_behind_them() -> None:
    query = span_query(fmp.SOURCE, "AAPL")
    split = json_answer([{"symbol": "AAPL", "date": "2020-08-31", "numerator": 4, "denominator": 1}])
    page = fmp.parse_actions(split, query)
    assert actions(page.actions) == [("2020-08-31T20:00:00Z", "2020-08-30T20:00:00Z", 4.0, 0.0)]
    assert fmp.actions_request(query.page(page.token)).url.endswith("/stable/dividends")
    paid = json_answer([{"date": "2023-02-10", "dividend": 0.23, "adjDividend": 0.23, "declarationDate": "2023-02-02"}])
    page = fmp.parse_actions(paid, query.page(page.token))
    assert actions(page.actions) == [("2023-02-10T21:00:00Z", "2023-02-03T05:00:00Z", 1.0, 0.23)]


def test_recorded_quotes(shared: Path) -> None:
    wanted = {"AAPL": FMP.instrument}
    frame = fmp.parse_quotes(recorded(shared, "fmp", "ticker__AAPL"), wanted)
    assert frame.rows() == [("equity:AAPL", 1758648182_000_000, 254.86, None, None)]
    assert fmp.parse_quotes(json_answer([]), wanted).height == 0
    last = intrinio.parse_quotes(recorded(shared, "intrinio", "quotes__AAPL-realtime-iex"), wanted)
    assert last.select("price", "bid", "ask").rows() == [(213.15, None, None)]  # 0 is no price to trade at
    assert times(last) == ["2024-06-26T19:59:58.760000Z"]


def test_refusals_say_what_to_do(shared: Path) -> None:
    wrong = recorded(shared, "fmp", "error_bad_key__200-with-Error-Message")
    with pytest.raises(SourceRefused, match=r"key \(200\).*Invalid API KEY.*'fmp'"):
        fmp.parse_bars(wrong, FMP)
    for status, said, kind in (
        (401, "Invalid API KEY. Please retry", SourceRefused),
        (429, "Limit Reach . Please upgrade your plan", SourceLimited),
        (200, "Limit Reach . Please upgrade your plan", SourceLimited),
        (200, "Exclusive Endpoint : available under the current subscription", SourceRefused),
        (402, "Premium Query Parameter", SourceRefused),
        (200, "Something odd", SourceFailed),
    ):
        with pytest.raises(kind, match=said.split()[0]):
            fmp.parse_bars(json_answer({"Error Message": said}, status), FMP)
    missing = {"error": "Not Found", "message": "Security not found"}
    with pytest.raises(UnknownName, match=r"'AAPL'.*not found.*equity:AAPL"):
        intrinio.parse_bars(json_answer(missing, 404), INTRINIO)
    with pytest.raises(SourceRefused, match=r"'intrinio'"):
        intrinio.parse_bars(
            json_answer({"error": "Authentication", "message": "An API key is required"}, 401), INTRINIO
        )
    with pytest.raises(SourceRefused, match=r"present plan"):
        intrinio.parse_bars(json_answer({"message": "You do not have access"}, 403), INTRINIO)
    with pytest.raises(SourceLimited, match=r"slow down"):
        intrinio.parse_bars(json_answer({"message": "Too many"}, 429), INTRINIO)


def test_damage_is_a_failure(shared: Path) -> None:
    day = b'{"symbol": "AAPL", "date": "2023-01-10", "open": 1, "high": 1, "low": 1, "volume": 1'
    assert_damage_fails(
        lambda answer: fmp.parse_bars(answer, FMP),
        b"{}",
        b"[" + day + b"}]",
        b"[" + day + b', "close": "x"}]',
        b"[" + day.replace(b"2023-01-10", b"soon") + b', "close": 1}]',
        b"[" + day.replace(b"AAPL", b"MSFT") + b', "close": 1}]',
    )
    with pytest.raises(SourceFailed, match=r"sent no list"):
        fmp.parse_bars(recorded(shared, "fmp", "bars_daily__BTCUSD-2023-01-former-v3"), FMP)  # another form of answer
    assert_damage_fails(lambda answer: intrinio.parse_bars(answer, INTRINIO), b"{}", b'{"stock_prices": [{}]}')
    query = span_query(intrinio.SOURCE, "AAPL")
    assert_damage_fails(lambda answer: intrinio.parse_actions(answer, query), b"{}")
    assert_damage_fails(lambda answer: fmp.parse_actions(answer, span_query(fmp.SOURCE, "AAPL")), b'[{"date": "x"}]')


def test_symbols_lead_back_and_requests_are_as_documented() -> None:
    assert_symbols(fmp.SOURCE, ("AAPL", "equity:AAPL"), ("BRK-B", "equity:BRK.B"))
    assert_symbols(intrinio.SOURCE, ("AAPL", "equity:AAPL"), ("BRK.B", "equity:BRK.B"))
    for source in (fmp.SOURCE, intrinio.SOURCE):
        assert_unknown(source, "macro:GDP", "no such thing")
    span = (parse_us("2023-01-03T21:00:00Z"), parse_us("2023-01-10T21:00:00Z"))
    request = fmp.bars_request(FMP.at(*span))
    assert request.url == "https://financialmodelingprep.com/stable/historical-price-eod/full"
    assert request.query == (("symbol", "AAPL"), ("from", "2023-01-02"), ("to", "2023-01-10"))
    assert assert_secret_apart(fmp.SOURCE, request, api_key="K123").headers == (("apikey", "K123"),)
    request = intrinio.bars_request(INTRINIO.at(*span))
    assert request.url == "https://api-v2.intrinio.com/securities/AAPL/prices"
    assert dict(request.query) == {
        "start_date": "2023-01-02", "end_date": "2023-01-10", "frequency": "daily", "page_size": "100",
    }  # fmt: skip
    signed = assert_secret_apart(intrinio.SOURCE, request, api_key="K123")
    assert signed.headers == (("Authorization", "Bearer K123"),)
