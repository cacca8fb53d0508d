"""Recorded answers of Alpaca become the rows a person reads in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recorded import LATE, bars_query, json_answer, recorded, span_query
from tradewright.clock import DAY_US, format_us, parse_us
from tradewright.errors import SourceFailed, SourceRefused, UnknownName
from tradewright.market.adjustment import adjusted
from tradewright.market.instruments import Interval
from tradewright.market.panel import Action, Panel
from tradewright.sources import alpaca
from tradewright.transport.messages import Response

AAPL = bars_query(alpaca.SOURCE, "AAPL")


def test_recorded_days_end_with_their_session(shared: Path) -> None:
    page = alpaca.parse_bars(recorded(shared, "alpaca", "bars_daily__stock-get_bars"), AAPL)
    assert [format_us(t) for t in page.bars["time"]] == ["2022-02-01T21:00:00Z", "2022-02-02T21:00:00Z"]
    assert page.bars.select("open", "high", "low", "close", "volume").rows() == [
        (174.0, 174.84, 172.31, 174.61, 85998033.0),
        (174.64, 175.88, 173.33, 175.84, 84817432.0),
    ]
    assert page.bars["instrument"].unique().to_list() == ["equity:AAPL"]
    assert page.token == "QUFQTHxEfDIwMjItMDItMDJUMDU6MDA6MDAuMDAwMDAwMDAwWg=="


def test_only_the_symbol_that_was_asked_for_is_taken_of_several(shared: Path) -> None:
    page = alpaca.parse_bars(recorded(shared, "alpaca", "bars_daily__stock-multisymbol_get_bars"), AAPL)
    assert page.bars["close"].to_list() == [162.95]
    assert page.token == ""


def test_recorded_minutes_of_a_coin(shared: Path) -> None:
    query = bars_query(alpaca.SOURCE, "BTC/USD", Interval.MINUTE)
    page = alpaca.parse_bars(recorded(shared, "alpaca", "bars_intraday__ccxt-crypto-BTC-USD-1Min"), query)
    assert [format_us(t) for t in page.bars["time"]] == ["2022-07-21T05:01:00Z", "2022-07-21T05:02:00Z"]
    assert page.bars["close"].to_list() == [22887.0, 22895.0]


def test_bars_of_shares_are_known_when_the_free_plan_has_them_and_those_of_coins_at_once(shared: Path) -> None:
    shares = alpaca.parse_bars(recorded(shared, "alpaca", "bars_daily__stock-get_bars"), AAPL).bars
    assert format_us(shares["known_at"][0]) == "2022-02-01T21:15:00Z"
    query = bars_query(alpaca.SOURCE, "BTC/USD", Interval.MINUTE)
    coins = alpaca.parse_bars(recorded(shared, "alpaca", "bars_intraday__ccxt-crypto-BTC-USD-1Min"), query).bars
    assert coins["known_at"].equals(coins["time"])
    assert alpaca.SOURCE.bars is not None
    assert alpaca.SOURCE.bars.lag_us == alpaca.LAG_US


def test_a_symbol_without_data_is_no_rows(shared: Path) -> None:
    page = alpaca.parse_bars(recorded(shared, "alpaca", "error_no_data__stock-get_bars_multi_empty_response"), AAPL)
    assert (page.bars.height, page.token) == (0, "")


def test_recorded_refusals_say_what_to_do(shared: Path) -> None:
    with pytest.raises(SourceRefused, match=r"does not accept the key.*credentials of the source 'alpaca'"):
        alpaca.parse_bars(recorded(shared, "alpaca", "error_bad_key__403-not-authorized"), AAPL)
    with pytest.raises(SourceRefused, match=r"present plan.*older or shorter"):
        alpaca.parse_bars(recorded(shared, "alpaca", "error_plan__403-recent-sip"), AAPL)
    with pytest.raises(UnknownName, match=r"equity:AAPL"):
        alpaca.parse_bars(json_answer({"message": "invalid symbol: NOPE"}, 400), AAPL)
    with pytest.raises(SourceFailed, match=r"page for people"):
        alpaca.parse_bars(Response(200, b"<html>maintenance</html>", (), LATE), AAPL)


def test_a_recorded_quote_has_a_middle(shared: Path) -> None:
    frame = alpaca.parse_quotes(
        recorded(shared, "alpaca", "quotes__stock-get_latest_quote"), {"AAPL": alpaca.instrument_of("AAPL")}
    )
    row = frame.row(0, named=True)
    assert (row["instrument"], row["bid"], row["ask"]) == ("equity:AAPL", 161.1, 161.11)
    assert row["price"] == pytest.approx(161.105)
    assert format_us(row["time"]) == "2022-03-18T14:02:43.651613Z"


def test_a_recorded_asset_is_listed(shared: Path) -> None:
    page = alpaca.parse_listing(recorded(shared, "alpaca", "instruments__assets-get_asset"))
    assert [(one.symbol, one.instrument.id, one.active) for one in page.listed] == [("AAPL", "equity:AAPL", True)]


def test_a_split_and_a_dividend_are_dated_by_their_ex_day() -> None:
    body = {
        "corporate_actions": {
            "forward_splits": [{"symbol": "AAPL", "ex_date": "2020-08-31", "new_rate": 4, "old_rate": 1}],
            "reverse_splits": [{"symbol": "AAPL", "ex_date": "2021-06-01", "new_rate": 1, "old_rate": 8}],
            "cash_dividends": [{"symbol": "AAPL", "ex_date": "2023-02-10", "rate": 0.23}],
        },
        "next_page_token": None,
    }
    page = alpaca.parse_actions(json_answer(body), span_query(alpaca.SOURCE, "AAPL"))
    assert [(format_us(r[1]), r[3], r[4]) for r in page.actions.rows()] == [
        ("2020-08-31T20:00:00Z", 4.0, 0.0),
        ("2021-06-01T20:00:00Z", 0.125, 0.0),
        ("2023-02-10T21:00:00Z", 1.0, 0.23),
    ]


def test_a_stock_dividend_is_a_split_of_one_and_its_rate() -> None:
    body = {"corporate_actions": {"stock_dividends": [{"symbol": "AAPL", "ex_date": "2024-03-04", "rate": 0.03}]}}
    page = alpaca.parse_actions(json_answer(body), span_query(alpaca.SOURCE, "AAPL"))
    assert page.actions.select("split", "dividend").rows() == [(1.03, 0.0)]
    assert page.left_out == ()
    # 100 shares at 32.96 are 103 of the same worth at 32.00
    _, at_us, known_us, split, paid = page.actions.row(0)
    times, values = np.array([at_us - DAY_US, at_us]), [np.array([[32.96], [32.00]])] * 5
    action = Action(0, at_us, known_us, split, paid)
    panel = Panel.of(times, (alpaca.instrument_of("AAPL"),), Interval.DAY, *values, actions=(action,))
    assert adjusted(panel, "split").close[:, 0] == pytest.approx([32.00, 32.00])


@pytest.mark.parametrize(
    "told",
    [
        {"stock_dividends": [{"symbol": "AAPL", "ex_date": "2024-03-04", "rate": -0.5}]},
        {"stock_dividends": [{"symbol": "AAPL", "ex_date": "2024-03-04"}]},
        {"spin_offs": [None]},
        {"spin_offs": [{"source_symbol": "AAPL"}]},
        {"spin_offs": [{"source_symbol": "AAPL", "ex_date": "soon"}]},
    ],
)
def test_what_cannot_be_read_of_other_kinds_is_a_failure_too(told: dict[str, object]) -> None:
    with pytest.raises(SourceFailed, match="Alpaca"):
        alpaca.parse_actions(json_answer({"corporate_actions": told}), span_query(alpaca.SOURCE, "AAPL"))


def test_what_changes_the_price_and_is_neither_split_nor_dividend_is_told() -> None:
    entries = {
        "spin_offs": {"source_symbol": "AAPL", "source_rate": 1, "new_symbol": "XYZ", "new_rate": 0.5},
        "rights_distributions": {"source_symbol": "AAPL", "new_symbol": "AAPLR", "rate": 1},
        "unit_splits": {"old_symbol": "AAPL", "old_rate": 1, "new_symbol": "XYZ", "new_rate": 1},
        "what_comes_later": {"symbol": "AAPL"},
    }
    days = {"spin_offs": "ex_date", "rights_distributions": "ex_date", "unit_splits": "effective_date"}
    told = {
        kind: [entry | {days.get(kind, "process_date"): "2024-06-03"}, {"source_symbol": "IBM", "old_symbol": "IBM"}]
        for kind, entry in entries.items()
    }
    page = alpaca.parse_actions(json_answer({"corporate_actions": told}), span_query(alpaca.SOURCE, "AAPL"))
    assert page.actions.height == 0
    kinds = [each.what for each in page.left_out]
    assert kinds == ["spin off", "rights distribution", "unit split", "what comes later"]
    assert {each.time_us for each in page.left_out} == {parse_us("2024-06-03T20:00:00Z")}
    asked = dict(alpaca.actions_request(span_query(alpaca.SOURCE, "AAPL")).query)["types"].split(",")
    assert {"stock_dividend", "spin_off", "rights_distribution", "unit_split"} < set(asked)


def test_a_recorded_dividend_is_taken_of_its_symbol_only(shared: Path) -> None:
    recorded_one = recorded(shared, "alpaca", "corporate_actions__corporate-actions-get_corporate_actions-1")
    other = alpaca.parse_actions(recorded_one, span_query(alpaca.SOURCE, "ZMTBY"))
    assert other.actions["dividend"].to_list() == [0.086928]
    assert alpaca.parse_actions(recorded_one, span_query(alpaca.SOURCE, "AAPL")).actions.height == 0


def test_the_request_asks_for_raw_prices_by_starts_and_holds_no_secret() -> None:
    query = AAPL.at(parse_us("2022-02-01T21:00:00Z"), parse_us("2022-02-02T21:00:00Z"), "abc")
    request = alpaca.bars_request(query)
    assert request.url == "https://data.alpaca.markets/v2/stocks/bars"
    assert dict(request.query) == {
        "symbols": "AAPL", "timeframe": "1Day", "start": "2022-01-31T21:00:00Z", "end": "2022-02-02T21:00:00Z",
        "limit": "10000", "sort": "asc", "adjustment": "raw", "page_token": "abc",
    }  # fmt: skip
    signed = alpaca.sign(request, {"key_id": "K", "secret_key": "S"})
    assert dict(signed.headers) == {"APCA-API-KEY-ID": "K", "APCA-API-SECRET-KEY": "S"}


@pytest.mark.parametrize(
    "entry", [None, "text", {}, {"symbol": "AAPL"}, {"symbol": "AAPL", "ex_date": "x", "new_rate": 1, "old_rate": 0}]
)
def test_a_damaged_action_is_a_failure(entry: object) -> None:
    for listed in (entry, [entry]):
        body = {"corporate_actions": {"forward_splits": listed}}
        if entry == {}:
            assert alpaca.parse_actions(json_answer(body), span_query(alpaca.SOURCE, "AAPL")).actions.height == 0
            continue
        with pytest.raises(SourceFailed, match=r"Alpaca|alpaca"):
            alpaca.parse_actions(json_answer(body), span_query(alpaca.SOURCE, "AAPL"))
