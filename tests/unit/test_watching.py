"""What a stream means: gaps, silence, refusals and new connections, told second by second."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tradewright.sources.streams import Acknowledged, Event, Heartbeat, Stream, Trade, Trouble
from tradewright.sources.watching import (
    ACKNOWLEDGED_S,
    LEAST_SILENT_S,
    MOST_BACKOFF_S,
    MOST_SILENT_S,
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


def trade(number: int, second: float, symbol: str = "A", past: bool = False) -> Trade:
    return Trade(symbol, round(second * SECOND), 1.0, 1.0, str(number), number, past)


class Told:
    """A watch and its clock; keeps what it said."""

    def __init__(self, stream: Stream = STREAM) -> None:
        self.watch, self.said = Watch(stream, ("A", "B"), {}), []
        self.said += self.watch.connected(0.0)

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
    assert Told().said == [Say("sub A"), Say("sub B")]


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
    (degraded,) = told.wait(last + 5.2)
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
    told._keep(told.watch.connected(12))
    assert told.hear(13, Acknowledged(), trade(9, 13)) == [
        Now(False, "data again"), Fill("A", 1 * SECOND, 13 * SECOND), Give(trade(9, 13)),
    ]  # fmt: skip
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
    assert told.hear(1, Acknowledged(), Heartbeat("pong")) == [Say("pong")]
    told.hear(15, trade(1, 15))
    assert told.wait(20) == [Say("ping")]
    told.hear(21, trade(2, 21))
    assert told.wait(21) == []


def test_a_trade_of_before_the_subscription_is_not_counted() -> None:
    told = Told()
    assert told.hear(1, Acknowledged(), trade(5, 1, past=True)) == []
    assert told.hear(2, trade(6, 2)) == [Give(trade(6, 2))]
