"""What a stream means: gaps, silence, refusals and new connections, told second by second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tradewright.market.building import LATE_US
from tradewright.sources.registry import SOURCES
from tradewright.sources.streams import Acknowledged, Candle, Event, Heartbeat, Stream, Ticker, Trade, Trouble, fault_of
from tradewright.sources.watching import (
    ACKNOWLEDGED_S,
    LEAST_SILENT_S,
    MOST_BACKOFF_S,
    MOST_SILENT_S,
    Doubt,
    Fill,
    Give,
    Now,
    Reconnect,
    Say,
    Stop,
    Watch,
)

SECOND = 1_000_000
STREAM = Stream(
    "wss://x", lambda symbols, _: tuple(f"sub {s}" for s in symbols), lambda text: (), gapless=True,
    ping="ping", ping_s=20.0, quiet_s=30.0,
)  # fmt: skip


def test_a_trade_taken_back_puts_its_bar_in_doubt_and_is_no_sign_of_trouble() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    assert told.watch.withdrawn("A", 30 * SECOND) == [Fill("A", 30 * SECOND, 30 * SECOND)]
    assert not told.watch.degraded


def trade(number: int, second: float, symbol: str = "A", past: bool = False) -> Trade:
    return Trade(symbol, round(second * SECOND), 1.0, 1.0, str(number), number, past)


class Told:
    """A watch and its clock; keeps what it said."""

    def __init__(self, stream: Stream = STREAM) -> None:
        self.watch, self.said = Watch(stream, ("A", "B"), {}), []
        self.connect(0)

    def connect(self, second: float) -> list[object]:
        return self._keep(self.watch.connected(second, round(second * SECOND)))

    def hear(self, second: float, *events: Event) -> list[object]:
        return self._keep(self.watch.received(events, second, round(second * SECOND)))

    def wait(self, second: float) -> list[object]:
        return self._keep(self.watch.passed(second, round(second * SECOND)))

    def end(self, second: float) -> list[object]:
        return self._keep(self.watch.ended("gone", second, round(second * SECOND)))

    def _keep(self, commands: Sequence[object]) -> list[object]:
        self.said += commands
        return list(commands)


def test_it_says_what_opens_the_stream() -> None:
    assert Told().said == [Doubt("A", 0), Doubt("B", 0), Say("sub A"), Say("sub B")]


def test_what_came_before_the_subscription_was_acknowledged_is_asked_for() -> None:
    told = Told()
    assert told.hear(2, Acknowledged(("A",))) == [Fill("A", 0, 2 * SECOND)]
    assert told.hear(3, trade(5, 3, "B")) == [Fill("B", 0, 3 * SECOND), Give(trade(5, 3, "B"))]
    assert told.hear(4, Acknowledged(("B",)), trade(6, 4, "B")) == [Give(trade(6, 4, "B"))]


def test_a_subscription_without_an_answer_is_given_up() -> None:
    told = Told()
    assert told.wait(ACKNOWLEDGED_S) == []
    degraded, again = told.wait(ACKNOWLEDGED_S + 0.1)
    assert isinstance(degraded, Now)
    assert degraded.degraded
    assert isinstance(again, Reconnect)
    assert "subscription" in again.why


def test_new_trades_are_handed_on_and_those_that_came_before_are_not() -> None:
    told = Told()
    told.hear(1, Acknowledged())
    assert told.hear(1, trade(5, 1)) == [Give(trade(5, 1))]
    assert told.hear(2, trade(6, 2)) == [Give(trade(6, 2))]
    assert told.hear(3, trade(6, 2), trade(5, 1)) == []
    assert told.hear(3, trade(1, 1, "B")) == [Give(trade(1, 1, "B"))]


def test_a_lost_connection_puts_every_symbol_in_doubt_from_its_last_trade_until_it_is_heard_again() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    told.hear(8, Heartbeat())
    assert told.end(10)[:2] == [Doubt("A", 1 * SECOND), Doubt("B", 8 * SECOND)]
    assert not any(isinstance(each, Doubt) for each in told.end(11)), "it is told once"
    assert told.connect(70) == [Say("sub A"), Say("sub B")]
    assert told.wait(71) == []
    assert told.hear(72, Acknowledged()) == [Fill("A", 1 * SECOND, 72 * SECOND), Fill("B", 8 * SECOND, 72 * SECOND)]


def test_a_connection_that_is_given_up_is_in_doubt_as_well() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    assert Doubt("A", 1 * SECOND) in told.wait(31.1)


def test_while_data_stay_away_every_symbol_is_in_doubt() -> None:
    told = Told(replace(STREAM, quiet_s=1_000.0, ping=""))
    told.hear(1, Acknowledged(), trade(5, 1), trade(7, 1, "B"))
    assert told.wait(1 + told.watch.patience_s + 0.1)[:2] == [Doubt("A", 1 * SECOND), Doubt("B", 1 * SECOND)]
    assert told.wait(140) == [], "it is told once"
    said = told.hear(150, trade(6, 150))
    assert said[1:] == [Fill("A", 1 * SECOND, 150 * SECOND), Fill("B", 1 * SECOND, 150 * SECOND), Give(trade(6, 150))]


def test_a_heartbeat_that_says_a_higher_number_shows_the_gap_at_once() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    assert told.hear(2, Heartbeat(symbol="A", sequence=5)) == []
    assert told.hear(9, Heartbeat(symbol="A", sequence=8)) == [Fill("A", 1 * SECOND, 9 * SECOND)]
    assert told.hear(10, Heartbeat(symbol="A", sequence=8)) == [], "it is asked for once"
    assert told.hear(11, trade(9, 11)) == [Give(trade(9, 11))], "no gap behind what was asked for"
    assert told.hear(12, trade(12, 12)) == [Fill("A", 11 * SECOND, 12 * SECOND), Give(trade(12, 12))]
    assert told.hear(13, Heartbeat(symbol="C", sequence=8)) == [], "nobody asked for it"


def test_a_trade_that_its_heartbeat_overtook_is_handed_on() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1), Heartbeat(symbol="A", sequence=6))
    assert told.hear(2, trade(6, 1)) == [Give(trade(6, 1))]


def test_without_a_trade_yet_heartbeats_begin_the_numbers() -> None:
    told = Told()
    told.hear(1, Acknowledged())
    assert told.hear(10, Heartbeat(symbol="A", sequence=5)) == []
    assert told.hear(20, trade(8, 20)) == [Fill("A", 8 * SECOND, 20 * SECOND), Give(trade(8, 20))]


def test_a_trade_that_is_not_believed_is_told_and_doubted_until_the_next() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    doubt, degraded = told.watch.refused("A", 2 * SECOND)
    assert doubt == Doubt("A", 1 * SECOND)
    assert isinstance(degraded, Now)
    assert degraded.degraded
    assert told.hear(3, trade(7, 3)) == [
        Now(False, "data again"), Fill("A", 1 * SECOND, 3 * SECOND), Give(trade(7, 3)),
    ]  # fmt: skip


def test_no_stamp_moves_what_is_asked_for_into_the_future() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1), trade(6, 4_000))
    assert told.end(2)[0] == Doubt("A", 1 * SECOND)


def test_a_number_left_out_asks_for_the_span_between_its_neighbours() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    assert told.hear(9, trade(8, 9)) == [Fill("A", 1 * SECOND, 9 * SECOND), Give(trade(8, 9))]


def test_without_gapless_numbers_a_jump_is_no_gap() -> None:
    told = Told(Stream("wss://x", STREAM.opening, STREAM.read))
    told.hear(1, Acknowledged(), trade(5, 1))
    assert told.hear(2, trade(90, 2)) == [Give(trade(90, 2))]


def test_a_heart_that_beats_without_data_is_degraded_within_the_stated_time() -> None:
    told = Told()
    told.hear(0.1, Acknowledged())
    for number in range(200):
        told.hear(0.1 + number * 0.05, trade(number + 1, number * 0.05))
    assert told.watch.patience_s == LEAST_SILENT_S
    last = 0.1 + 199 * 0.05
    for second in range(1, 5):
        told.hear(last + second, Heartbeat())
        assert told.wait(last + second) == []
    told.hear(last + 5.1, Heartbeat())
    *_, degraded = told.wait(last + 5.2)
    assert isinstance(degraded, Now)
    assert degraded.degraded
    assert "connected, but no trade for 5 s" in degraded.why
    assert told.wait(last + 6) == [], "it is told once"
    first, *_ = told.hear(last + 7, trade(201, last + 7))
    assert first == Now(False, "data again")


def test_a_quiet_market_has_longer_than_a_busy_one_but_not_for_ever() -> None:
    told = Told()
    told.hear(0.1, Acknowledged())
    for number in range(60):
        told.hear(number * 3.0 + 3, trade(number + 1, number * 3.0))
    assert 60 < told.watch.patience_s <= MOST_SILENT_S


def test_a_connection_without_any_message_is_made_anew() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(1, 1))
    commands = told.wait(31.1)
    assert isinstance(commands[-1], Reconnect)
    assert "no message for 30 s" in commands[-1].why


def test_what_was_missed_between_two_connections_is_asked_for() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1), trade(3, 1, "B"))
    told.end(10)
    told.connect(12)
    assert told.hear(13, trade(9, 13)) == [
        Now(False, "data again"), Fill("A", 1 * SECOND, 13 * SECOND), Give(trade(9, 13)),
    ]  # fmt: skip
    assert told.hear(13, Acknowledged()) == [Fill("B", 1 * SECOND, 13 * SECOND)]
    assert told.hear(14, trade(4, 14, "B")) == [Give(trade(4, 14, "B"))], "numbers show that nothing was missed"


def test_back_off_doubles_up_to_its_most_and_ends_with_an_answer() -> None:
    told = Told()
    told.watch.draw = 1.0
    waits = [told.end(n)[-1] for n in range(9)]
    assert [wait.after_s for wait in waits if isinstance(wait, Reconnect)][:7] == [1, 2, 4, 8, 16, 32, MOST_BACKOFF_S]
    told.hear(20, Acknowledged())
    again = told.end(21)[-1]
    assert isinstance(again, Reconnect)
    assert again.after_s == 1.0


@pytest.mark.parametrize("fatal", [True, False])
def test_a_refusal_ends_the_stream_only_when_trying_again_is_of_no_use(fatal: bool) -> None:
    commands = Told().hear(1, Trouble("no such key", fatal))
    assert any(isinstance(each, Stop) for each in commands) == fatal
    assert any(isinstance(each, Now) and each.degraded for each in commands)


def test_pings_are_sent_and_answered() -> None:
    told = Told()
    told.hear(1, Acknowledged())
    assert told.hear(1, Heartbeat("pong")) == [Say("pong")]
    told.hear(15, trade(1, 15))
    assert told.wait(20) == [Say("ping")]
    told.hear(21, trade(2, 21))
    assert told.wait(21) == []


def test_a_trade_of_before_the_subscription_is_not_counted() -> None:
    told = Told()
    told.hear(1, Acknowledged())
    assert told.hear(1, trade(5, 1, past=True)) == []
    assert told.hear(2, trade(6, 2)) == [Give(trade(6, 2))]


def test_a_span_that_the_history_never_gave_is_told_until_data_come_again() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(1, 1.0))
    assert told.watch.lost("A", "it has not come there") == [
        Now(True, "the history of A could not be filled: it has not come there")
    ]
    assert told.watch.lost("B", "nor this") == [], "it is degraded already"
    assert Now(False, "data again") in told.hear(2, trade(2, 2.0))


def anew(since: float, until: float, known: int, number: int, symbol: str = "A") -> list[object]:
    return [
        Fill(symbol, round(since * SECOND), round(until * SECOND)),
        Now(True, f"the trades of {symbol} are numbered anew: {known}, then {number}"),
    ]


def test_after_one_number_far_too_high_the_next_trade_shows_that_it_was_wrong() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    assert told.hear(2, trade(10**12, 2)) == [Fill("A", 1 * SECOND, 2 * SECOND), Give(trade(10**12, 2))]
    assert told.hear(3, trade(7, 3)) == [*anew(2, 3, 10**12, 7), Give(trade(7, 3))]
    assert told.hear(4, trade(8, 4)) == [Now(False, "data again"), Give(trade(8, 4))]
    assert told.hear(5, trade(10, 5)) == [Fill("A", 4 * SECOND, 5 * SECOND), Give(trade(10, 5))], "gaps are seen again"


def test_numbers_that_begin_at_one_after_a_new_connection_silence_no_symbol() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5_000, 1))
    told.end(10)
    told.connect(12)
    told.hear(13, Acknowledged())
    first, *rest = told.hear(14, trade(1, 14))
    assert first == Now(False, "data again")
    assert rest == [*anew(13, 14, 5_000, 1), Give(trade(1, 14))]
    assert told.hear(15, trade(2, 15)) == [Now(False, "data again"), Give(trade(2, 15))]
    assert told.hear(16, trade(5_000, 16))[0] == Fill("A", 15 * SECOND, 16 * SECOND)


def test_where_the_numbers_go_on_a_new_connection_hides_no_gap() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    told.end(10)
    told.connect(12)
    told.hear(13, Acknowledged())
    assert Fill("A", 13 * SECOND, 14 * SECOND) in told.hear(14, trade(9, 14)), "up to 13 it is asked for already"


def test_a_gap_behind_a_trade_of_before_the_subscription_asks_for_no_more_than_this_connection() -> None:
    told = Told()
    told.hear(100, Acknowledged())
    told.hear(101, trade(5, 3, past=True))
    assert told.hear(102, trade(9, 102)) == [Fill("A", 100 * SECOND, 102 * SECOND), Give(trade(9, 102))]


def test_trades_that_came_before_are_no_data() -> None:
    told = Told(replace(STREAM, quiet_s=1_000.0, ping=""))
    told.hear(1, Acknowledged(), *(trade(number, 1) for number in range(1, 60)))
    for second in range(2, 200):
        assert not any(isinstance(each, Give) for each in told.hear(second, trade(59, 1)))
        told.wait(second)
    assert any(isinstance(each, Now) and "no trade" in each.why for each in told.said)
    assert told.watch.degraded


def test_a_trade_whose_number_and_time_came_before_counts_once_over_connections_too() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1), trade(6, 1.5))
    told.end(10)
    told.connect(12)
    told.hear(13, Acknowledged())
    assert told.hear(14, trade(5, 1), trade(6, 1.5), trade(6, 1.5, past=True)) == []
    assert told.hear(15, trade(7, 15)) == [Now(False, "data again"), Give(trade(7, 15))]


def test_where_numbers_have_gaps_a_lower_one_is_handed_on_for_nothing_shows_that_it_came() -> None:
    told = Told(replace(STREAM, gapless=False))
    told.hear(1, Acknowledged(), trade(5, 1), trade(9, 2))
    assert told.hear(3, trade(7, 1.5)) == [Give(trade(7, 1.5))]
    assert told.hear(4, trade(1, 4)) == [Give(trade(1, 4))], "numbers of a new day"


def test_a_heartbeat_with_a_number_too_high_hides_no_gap() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    assert told.hear(10, Heartbeat(symbol="A", sequence=10**12)) == [Fill("A", 1 * SECOND, 10 * SECOND)]
    told.hear(11, trade(6, 11), trade(9, 11.5))  # a gap that the heartbeat hides for now
    assert told.hear(13, trade(10, 13)) == [*anew(8, 13, 10**12, 10), Give(trade(10, 13))]
    assert Fill("A", 13 * SECOND, 14 * SECOND) in told.hear(14, trade(12, 14))


def test_a_heartbeat_that_says_less_than_one_before_shows_that_one_was_wrong() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    told.hear(10, Heartbeat(symbol="A", sequence=10**12))
    assert told.hear(11, Heartbeat(symbol="A", sequence=5)) == anew(1, 11, 10**12, 5)
    assert told.hear(12, Heartbeat(symbol="A", sequence=6)) == [Fill("A", 9 * SECOND, 12 * SECOND)]


def test_a_heartbeat_that_begins_the_numbers_wrongly_is_found_out() -> None:
    told = Told()
    told.hear(1, Acknowledged(), Heartbeat(symbol="A", sequence=10**12))
    assert told.hear(9, trade(8, 9))[:2] == anew(-1, 9, 10**12, 8)


def test_what_happened_before_the_first_connection_is_not_counted_however_much_of_it_is_told() -> None:
    told = Told()
    told.hear(300, Acknowledged())
    assert told.hear(300, *(trade(number, number, past=True) for number in range(1, 51))) == []
    assert told.hear(301, trade(51, 301)) == [Give(trade(51, 301))]
    told.end(310)
    told.connect(312)
    told.hear(313, Acknowledged())
    again = [trade(51, 301, past=True), trade(52, 312, past=True)]
    assert [each for each in told.hear(313, *again) if isinstance(each, Give)] == [Give(again[1])]


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize("price", [0.0, -1.0, NAN, INFINITE])
def test_a_price_that_is_none_is_a_fault_wherever_it_stands(price: float) -> None:
    assert "price" in fault_of(Trade("A", 1, price, 1.0))
    assert "price" in fault_of(Ticker("A", 1, price))
    for place in range(4):
        values = [2.0, 2.0, 2.0, 2.0]
        values[place] = price
        assert "price" in fault_of(Candle("A", 0, 60, *values, 1.0))


@pytest.mark.parametrize("size", [-50.0, NAN, INFINITE])
def test_a_size_that_is_none_is_a_fault(size: float) -> None:
    assert fault_of(Trade("A", 1, 2.0, size)) == f"its size is {size}"
    assert fault_of(Candle("A", 0, 60, 2.0, 2.0, 2.0, 2.0, size)) == f"its volume is {size}"


def test_what_can_be_is_no_fault() -> None:
    assert fault_of(Trade("A", 1, 1e-9, 0.0)) == "", "currencies are told without a size"
    assert fault_of(Candle("A", 0, 60, 2.0, 3.0, 1.0, 2.0, 0.0)) == ""
    assert fault_of(Candle("A", 0, 60, 2.0, 3.0, 2.5, 2.0, 0.0)) != "", "its low is above its open"
    assert fault_of(Ticker("A", 1, 2.0)) == fault_of(Acknowledged()) == fault_of(Heartbeat()) == ""


def test_the_bar_of_a_trade_that_cannot_be_comes_from_the_history() -> None:
    told = Told()
    told.hear(1, Acknowledged(), trade(5, 1))
    assert told.watch.unsound(trade(6, 2), "its price is 0.0", 2 * SECOND) == [
        Fill("A", 2 * SECOND, 2 * SECOND), Now(True, "A: a trade is refused, its price is 0.0"),
    ]  # fmt: skip
    assert told.hear(3, trade(7, 3)) == [
        Now(False, "data again"), Fill("A", 1 * SECOND, 3 * SECOND), Give(trade(7, 3)),
    ], "its number is missing as well"  # fmt: skip
    candle = Candle("A", 0, 60 * SECOND, 2.0, 2.0, 0.0, 2.0, 1.0)
    assert told.watch.unsound(candle, "x", 61 * SECOND)[0] == Fill("A", 0, 60 * SECOND - 1)


def test_while_a_symbol_is_in_doubt_a_trade_that_cannot_be_widens_the_doubt_and_does_not_end_it() -> None:
    told = Told()
    told.hear(100, Acknowledged(), trade(5, 100))
    told.end(110)
    told.connect(111)
    first, *_ = told.watch.unsound(trade(4, 90), "x", 112 * SECOND)
    assert first == Doubt("A", 90 * SECOND)
    assert Fill("A", 90 * SECOND, 113 * SECOND) in told.hear(113, Acknowledged())


def test_a_trade_that_cannot_be_and_comes_too_late_for_everything_asks_for_nothing() -> None:
    told = Told()
    told.hear(1, Acknowledged())
    said = told.watch.unsound(trade(6, 2), "x", LATE_US + 3 * SECOND)
    assert [type(each) for each in said] == [Now]


def test_a_source_that_never_answers_a_subscription_keeps_its_connection_until_a_trade_comes() -> None:
    told = Told(replace(STREAM, acknowledges=False, gapless=False, quiet_s=1_000.0, ping=""))
    assert not any(isinstance(each, Reconnect) for second in range(1, 500) for each in told.wait(second))
    assert any(isinstance(each, Now) and "no trade" in each.why for each in told.said)
    assert Fill("A", 0, 600 * SECOND) in told.hear(600, trade(5, 600))


def test_back_off_ends_with_data_where_nothing_else_answers() -> None:
    told = Told(replace(STREAM, acknowledges=False))
    told.watch.draw = 1.0
    for second in range(5):
        told.end(second)
    told.connect(10)
    told.hear(11, trade(5, 11))
    assert told.end(12)[-1] == Reconnect(1.0, "gone")


@pytest.mark.parametrize("name", ["alpaca", "finnhub", "polygon"])
def test_shares_that_do_not_trade_by_night_keep_their_connection(name: str) -> None:
    stream = SOURCES[name].stream
    assert stream is not None
    watch = Watch(stream, ("AAPL",), {"key_id": "k", "secret_key": "s", "api_key": "k"})
    watch.connected(0, 0)
    watch.received([Acknowledged()] if stream.acknowledges else [], 1, 1 * SECOND)
    said = [each for second in range(1, 3_600) for each in watch.passed(second, second * SECOND)]
    assert not any(isinstance(each, Reconnect) for each in said)
    assert [each.degraded for each in said if isinstance(each, Now)] == [True]
