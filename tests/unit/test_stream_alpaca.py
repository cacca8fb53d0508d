"""The recorded socket of Alpaca says what a person reads in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorded import messages
from tradewright.errors import SourceFailed
from tradewright.sources import alpaca, alpaca_stream
from tradewright.sources.streams import Acknowledged, Candle, Ticker, Trade, Trouble, Withdrawn

AT = 10_000_000  # the one stamp of the vendor's tests, ten seconds into 1970


def test_the_recorded_session_is_read_in_its_order(shared: Path) -> None:
    events = [event for text in messages(shared, "alpaca", "ws_stocks") for event in alpaca_stream.read(text)]
    candle = Candle("AAPL", AT, AT + 60_000_000, 177.94, 178.005, 177.94, 178.005, 8547.0)
    assert events == [
        Acknowledged(("AAPL",)),
        candle,
        Trade("AAPL", AT, 177.79, 90.0, "V/6142"),
        Ticker("SPIP", AT, 25.42, 25.41, 25.43),
        Withdrawn("DJT", AT, "D/4868"),
        candle,
    ]  # the book and the status say nothing to us


def test_a_corrected_trade_is_one_taken_back_and_a_minute_again_is_a_minute() -> None:
    corrected = (
        '[{"T":"c","S":"AAPL","x":"V","oi":7,"op":1.5,"os":9,"oc":["@"],"ci":8,"cp":1.6,"cs":9,"cc":["@"],'
        '"t":"1970-01-01T00:00:10Z","z":"C"}]'
    )
    assert alpaca_stream.read(corrected) == (Withdrawn("AAPL", AT, "V/7"),)
    again = '[{"T":"u","S":"AAPL","o":1,"h":3,"l":1,"c":2,"v":4,"t":"1970-01-01T00:00:10Z"}]'
    assert alpaca_stream.read(again) == (Candle("AAPL", AT, AT + 60_000_000, 1.0, 3.0, 1.0, 2.0, 4.0),)


def test_every_recorded_error_says_what_to_do_and_whether_it_is_final(shared: Path) -> None:
    events = [event for text in messages(shared, "alpaca", "ws_errors") for event in alpaca_stream.read(text)]
    troubles = [event for event in events if isinstance(event, Trouble)]
    assert len(troubles) == len(events) == 9
    codes = {int(event.said.partition("(")[2][:3]): event.fatal for event in troubles}
    assert codes == {
        401: True,
        402: True,
        403: False,
        404: False,
        405: True,
        406: False,
        407: False,
        409: True,
        500: False,
    }
    assert "check the credentials of the source 'alpaca'" in troubles[1].said
    assert "subscribe to fewer symbols" in troubles[4].said


def test_it_logs_in_before_it_subscribes() -> None:
    assert alpaca.SOURCE.stream is alpaca_stream.STREAM
    login, wanted = (json.loads(text) for text in alpaca_stream.opening(["AAPL"], {"key_id": "K", "secret_key": "S"}))
    assert login == {"action": "auth", "key": "K", "secret": "S"}
    assert wanted == {"action": "subscribe", "trades": ["AAPL"], "bars": ["AAPL"], "updatedBars": ["AAPL"]}


def test_an_empty_side_has_no_middle_and_damage_is_a_failure() -> None:
    assert alpaca_stream.read('[{"T":"q","S":"A","bp":0,"ap":5,"t":"2024-03-08T15:00:00Z"}]') == ()
    for text in (
        "",
        "[1]",
        "[{}]",
        '[{"T":"t","S":"A"}]',
        '[{"T":"b","S":"A","t":"soon","o":1,"h":1,"l":1,"c":1,"v":1}]',
    ):
        with pytest.raises(SourceFailed, match=r"Alpaca"):
            alpaca_stream.read(text)
