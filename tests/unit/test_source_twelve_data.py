"""Recorded answers of Twelve Data become the rows a person reads in them."""

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
from tradewright.market.instruments import Interval
from tradewright.sources import twelve_data

AAPL = bars_query(twelve_data.SOURCE, "AAPL")


def test_the_recorded_running_day_is_left_out(shared: Path) -> None:
    during, after = parse_us("2026-09-16T16:00:00Z"), parse_us("2026-09-16T20:00:00Z")
    page = twelve_data.parse_bars(recorded(shared, "twelve_data", "bars_daily__AAPL-1day", during), AAPL)
    assert times(page.bars) == ["2026-09-15T20:00:00Z"]
    assert prices(page.bars) == [(330.14001, 331.78, 328.35001, 331.34, 31694100.0)]
    ended = twelve_data.parse_bars(recorded(shared, "twelve_data", "bars_daily__AAPL-1day", after), AAPL)
    assert ended.bars.height == 2


def test_recorded_minutes_are_wall_times_of_their_exchange(shared: Path) -> None:
    query = bars_query(twelve_data.SOURCE, "index:DJI", Interval.MINUTES_5)
    page = twelve_data.parse_bars(recorded(shared, "twelve_data", "bars_intraday__DJI-5min"), query)
    assert page.bars.height == 30
    assert (times(page.bars)[0], times(page.bars)[-1]) == ("2022-05-04T20:00:00Z", "2022-05-04T17:35:00Z")
    assert prices(page.bars)[0] == (34066.32812, 34080.26953, 34023.98828, 34056.53906, 21762703.0)


def test_the_last_hour_of_a_session_ends_with_it_and_pairs_are_in_utc() -> None:
    row = {"open": "1", "high": "2", "low": "0.5", "close": "1.5"}
    body = {
        "meta": {"exchange_timezone": "America/New_York"},
        "values": [{"datetime": f"2024-03-08 {at}:00", **row} for at in ("09:30", "15:30")],
        "status": "ok",
    }
    hours = twelve_data.parse_bars(json_answer(body), bars_query(twelve_data.SOURCE, "AAPL", Interval.HOUR))
    assert times(hours.bars) == ["2024-03-08T15:30:00Z", "2024-03-08T21:00:00Z"]
    assert hours.bars["known_at"].to_list() == hours.bars["time"].to_list()
    pairs = twelve_data.parse_bars(json_answer(body), bars_query(twelve_data.SOURCE, "EUR/USD", Interval.HOUR))
    assert times(pairs.bars) == ["2024-03-08T10:30:00Z", "2024-03-08T16:30:00Z"]


def test_only_days_are_adjusted() -> None:
    bars = twelve_data.SOURCE.bars
    assert bars is not None
    assert [bars.adjusts(each) for each in (Interval.DAY, Interval.HOUR, Interval.MINUTE)] == [True, False, False]


def test_a_day_or_last_hour_of_the_vix_is_known_a_quarter_of_an_hour_after_the_shares_closed() -> None:
    row = {"open": "1", "high": "2", "low": "0.5", "close": "1.5"}
    body = {"meta": {}, "values": [{"datetime": "2024-03-08", **row}], "status": "ok"}
    vix = bars_query(twelve_data.SOURCE, "index:VIX")
    for received, rows in (("2024-03-08T21:14:59Z", 0), ("2024-03-08T21:15:00Z", 1)):
        page = twelve_data.parse_bars(json_answer(body, received_at_us=parse_us(received)), vix)
        assert page.bars.height == rows
    page = twelve_data.parse_bars(json_answer(body), vix)
    assert (times(page.bars), times(page.bars, "known_at")) == (["2024-03-08T21:00:00Z"], ["2024-03-08T21:15:00Z"])
    body["values"] = [{"datetime": "2024-03-08 15:30:00", **row}]
    hour = twelve_data.parse_bars(json_answer(body), bars_query(twelve_data.SOURCE, "index:VIX", Interval.HOUR))
    assert (times(hour.bars), times(hour.bars, "known_at")) == (["2024-03-08T21:00:00Z"], ["2024-03-08T21:15:00Z"])
    shares = twelve_data.parse_bars(json_answer(body), bars_query(twelve_data.SOURCE, "index:SPX", Interval.HOUR))
    assert times(shares.bars, "known_at") == ["2024-03-08T21:00:00Z"]


@pytest.mark.parametrize("status", [200, None])
def test_refusals_say_what_to_do_whatever_the_status(shared: Path, status: int | None) -> None:
    def parsed(name: str) -> object:
        answer = recorded(shared, "twelve_data", name)
        again = type(answer)(status or answer.status, answer.body, answer.headers, answer.received_at_us)
        return twelve_data.parse_bars(again, AAPL)

    with pytest.raises(SourceRefused, match=r"key \(401\).*apikey.*'twelve_data'"):
        parsed("error_bad_key__401")
    with pytest.raises(SourceRefused, match=r"present plan \(403\).*exclusively"):
        parsed("error_plan__403-dividends")
    with pytest.raises(SourceLimited, match=r"slow down.*run out of API credits"):
        parsed("error_rate_limited__429-minute")
    with pytest.raises(UnknownName, match=r"'AAPL'.*missing or invalid.*equity:AAPL"):
        parsed("error_unknown_symbol__404")


def test_a_span_without_data_is_no_rows() -> None:
    said = "No data is available on the specified dates. Try setting different start/end dates."
    for status in (200, 400):
        page = twelve_data.parse_bars(json_answer({"code": 400, "message": said, "status": "error"}, status), AAPL)
        assert page.bars.height == 0
    with pytest.raises(SourceFailed, match=r"refused \(400\): odd"):
        twelve_data.parse_bars(json_answer({"code": 400, "message": "odd", "status": "error"}), AAPL)


def test_damage_is_a_failure() -> None:
    assert_damage_fails(
        lambda answer: twelve_data.parse_bars(answer, AAPL),
        b"{}",
        b'{"values": {}}',
        b'{"values": [{"datetime": "2024-03-08"}]}',
        b'{"values": [{"datetime": "soon", "open": "1", "high": "1", "low": "1", "close": "1"}]}',
        b'{"values": [{"datetime": "2024-03-08", "open": [], "high": "1", "low": "1", "close": "1"}]}',
    )
    wanted = {"AAPL": AAPL.instrument}
    assert_damage_fails(lambda answer: twelve_data.parse_quotes(answer, wanted), b'{"a": 1}', b'{"symbol": "AAPL"}')
    assert_damage_fails(
        lambda answer: twelve_data.parse_actions(answer, span_query(twelve_data.SOURCE, "AAPL")),
        b'{"splits": [{"date": "2020-08-31", "ratio": 0}]}',
    )
    assert_damage_fails(twelve_data.parse_listing, b"{}")


def test_splits_come_first_and_recorded_dividends_behind_them(shared: Path) -> None:
    query = span_query(twelve_data.SOURCE, "AAPL")
    assert twelve_data.actions_request(query).url.endswith("/splits")
    body = {"meta": {}, "splits": [{"date": "2020-08-31", "ratio": 0.25, "from_factor": 4, "to_factor": 1}]}
    split = twelve_data.parse_actions(json_answer(body), query)
    assert actions(split.actions) == [("2020-08-31T20:00:00Z", "2020-08-30T20:00:00Z", 4.0, 0.0)]
    after = query.page(split.token)
    assert twelve_data.actions_request(after).url.endswith("/dividends")
    paid = twelve_data.parse_actions(recorded(shared, "twelve_data", "dividends__AAPL"), after)
    assert [row[0] for row in actions(paid.actions)] == ["2026-08-10T20:00:00Z", "2026-05-11T20:00:00Z"]
    assert (paid.actions["dividend"].to_list(), paid.token) == ([0.27, 0.27], "")


def test_a_recorded_quote_is_of_its_last_moment(shared: Path) -> None:
    wanted = {"AAPL": AAPL.instrument}
    frame = twelve_data.parse_quotes(recorded(shared, "twelve_data", "quotes__AAPL-quote"), wanted)
    assert frame.rows() == [("equity:AAPL", 1789574220_000_000, 332.695, None, None)]
    one = {"symbol": "AAPL", "timestamp": 1789565400, "close": "5"}
    several = {"AAPL": one, "NOPE": {"code": 404, "message": "symbol invalid", "status": "error"}}
    assert twelve_data.parse_quotes(json_answer(several), wanted)["price"].to_list() == [5.0]
    assert twelve_data.quotes_request(["AAPL", "MSFT"]).weight == 2


def test_shares_are_listed() -> None:
    body = {"data": [{"symbol": "AAPL"}, {"symbol": "BRK.B"}, {"name": "odd"}, None], "status": "ok"}
    page = twelve_data.parse_listing(json_answer(body))
    assert ([one.instrument.id for one in page.listed], page.skipped) == (["equity:AAPL", "equity:BRK.B"], 2)


def test_symbols_lead_back() -> None:
    assert_symbols(
        twelve_data.SOURCE, ("BRK.B", "equity:BRK.B"), ("EUR/USD", "fx:EUR-USD"), ("BTC/USD", "crypto:BTC-USD"),
        ("SPX", "index:SPX"),
    )  # fmt: skip
    assert_unknown(twelve_data.SOURCE, "macro:GDP", "index:NOPE", "EUR/", "no such thing")


def test_the_requests_are_as_documented_and_hold_no_secret() -> None:
    start_us, end_us = parse_us("2024-03-08T14:35:00Z"), parse_us("2024-03-08T21:00:00Z")
    request = twelve_data.bars_request(AAPL.at(start_us, end_us))
    assert request.url == "https://api.twelvedata.com/time_series"
    assert dict(request.query) == {
        "symbol": "AAPL", "interval": "1day", "order": "asc", "outputsize": "5000", "start_date": "2024-03-07",
        "end_date": "2024-03-08 23:59:59", "country": "United States",
    }  # fmt: skip
    signed = assert_secret_apart(twelve_data.SOURCE, request, api_key="K123")
    assert signed.headers == (("Authorization", "apikey K123"),)
    pair = bars_query(twelve_data.SOURCE, "EUR/USD", Interval.MINUTES_5, start_us, end_us)
    asked = dict(twelve_data.bars_request(pair).query)
    assert (asked["start_date"], asked["end_date"]) == ("2024-03-08 14:30:00", "2024-03-08 21:00:00")
    assert (asked["timezone"], "country" in asked) == ("UTC", False)
