"""The order in which trades come changes no bar, and no trade is counted twice or lost without being counted."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from tradewright.market.building import AGREED, GRACE_US, LATE_US, SKEW_US, BarBuilder, Built

MINUTE = 60_000_000
BEGIN = 1_700_000_040_000_000 - 1_700_000_040_000_000 % MINUTE
Trade = tuple[int, float, float]

trades_of = st.lists(
    st.tuples(
        st.integers(0, 5 * MINUTE - 1), st.integers(1, 1_000).map(lambda n: n / 4), st.integers(1, 100).map(float)
    ),
    min_size=1,
    max_size=60,
)


def by_hand(trades: list[Trade]) -> dict[int, tuple[float, float, float, float, float]]:
    """The bars of trades in the order of their numbers, the slow and plain way."""
    bars: dict[int, list[tuple[int, int, float, float]]] = {}
    for number, (offset, price, size) in enumerate(trades):
        bars.setdefault(BEGIN + (offset // MINUTE + 1) * MINUTE, []).append((offset, number, price, size))
    made = {}
    for end, within in bars.items():
        ordered = sorted(within)
        prices = [price for _, _, price, _ in ordered]
        made[end] = (prices[0], max(prices), min(prices), prices[-1], sum(size for *_, size in ordered))
    return made


def built(trades: list[Trade], order: list[int], repeats: int = 0) -> tuple[list[Built], BarBuilder]:
    builder = BarBuilder(MINUTE, skew_us=5 * MINUTE)  # all come at once, so the last is as far ahead of the first
    now = BEGIN + 5 * MINUTE + 1_000
    for number in [*order, *order[:repeats]]:
        offset, price, size = trades[number]
        builder.trade("X", BEGIN + offset, price, size, number, number, now)
    return builder.close(now + 5 * MINUTE + GRACE_US), builder


@given(trades=trades_of, seed=st.integers(0, 1_000), repeats=st.integers(0, 20))
def test_any_order_and_any_repetition_give_the_same_bars(trades: list[Trade], seed: int, repeats: int) -> None:
    order = list(range(len(trades)))
    random.Random(seed).shuffle(order)
    made, builder = built(trades, order, repeats)
    wanted = by_hand(trades)
    got = {bar.time_us: (bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in made}
    assert got.keys() == wanted.keys()
    for end, values in wanted.items():
        assert got[end][:4] == values[:4]
        assert abs(got[end][4] - values[4]) < 1e-9
    assert not any(bar.revision for bar in made)
    assert builder.repeated == min(repeats, len(order))
    assert sum(bar.trades for bar in made) == len(trades)


@given(trades=trades_of, late=st.integers(0, 59))
def test_a_late_trade_makes_a_revision_with_all_trades(trades: list[Trade], late: int) -> None:
    assume(len(trades) > 1)  # of a single trade nobody can say how late it is
    late %= len(trades)
    builder, now = BarBuilder(MINUTE), BEGIN + 5 * MINUTE + GRACE_US
    for number, (offset, price, size) in enumerate(trades):
        if number != late:
            builder.trade("X", BEGIN + offset, price, size, number, number, BEGIN + offset)
    latest = {bar.time_us: bar for bar in builder.close(now)}
    offset, price, size = trades[late]
    builder.trade("X", BEGIN + offset, price, size, late, late, now)
    for bar in builder.close(now + 1_000_000):
        assert bar.revision == (bar.time_us in latest)
        latest[bar.time_us] = replace(bar, revision=False)
    got = {end: (bar.open, bar.high, bar.low, bar.close) for end, bar in latest.items()}
    assert got == {end: values[:4] for end, values in by_hand(trades).items()}


def test_a_bar_of_which_a_trade_was_taken_back_comes_from_the_source_or_not_at_all() -> None:
    builder = BarBuilder(MINUTE)
    for number in range(180):
        builder.trade("X", BEGIN + number * 1_000_000, 1.0, 1.0, number, number, BEGIN + number * 1_000_000)
    (told,) = [bar for bar in builder.close(BEGIN + 2 * MINUTE) if bar.time_us == BEGIN + MINUTE]
    held = [builder.withdraw("X", number, BEGIN + 170_000_000) for number in (5, 100)]
    assert held == [BEGIN, BEGIN + MINUTE], "the bar is the one that has the trade, however the message is stamped"
    assert builder.withdraw("X", "unknown", BEGIN + 130_000_000) == BEGIN + 2 * MINUTE
    assert builder.withdraw("X", "unknown", BEGIN - 9 * MINUTE) is None
    for moment_us in held:
        builder.doubt("X", moment_us, moment_us)
    assert [bar.time_us for bar in builder.close(BEGIN + 4 * MINUTE)] == [BEGIN + 3 * MINUTE]
    assert builder.awaited("X", BEGIN + MINUTE, BEGIN + 3 * MINUTE) == {BEGIN + MINUTE: True, BEGIN + 2 * MINUTE: True}
    values = (1.0, 1.0, 1.0, 1.0, 59.0)
    revised = builder.closed_by_source("X", BEGIN + MINUTE, values)
    assert revised is not None
    assert (revised.revision, revised.volume, told.volume) == (True, 59.0, 60.0)
    builder.withdraw("X", 6, BEGIN)
    builder.doubt("X", BEGIN, BEGIN)
    assert builder.awaited("X", BEGIN + MINUTE, BEGIN + MINUTE) == {BEGIN + MINUTE: True}, "asked for once more"


def test_what_is_awaited_is_remembered_until_a_late_history_can_answer() -> None:
    for kept_us in (0, 15 * MINUTE):
        builder = BarBuilder(MINUTE, kept_us=LATE_US + kept_us)
        for number in range(1_600):
            now = BEGIN + number * 1_000_000
            builder.trade("X", now, 1.0, 1.0, number, number, now)
            if number == 70:
                builder.close(now)
                builder.doubt("X", BEGIN, BEGIN)
            builder.close(now)
        builder.trade("X", BEGIN + 2_000_000, 9.0, 1.0, "late", 0, BEGIN + 1_600_000_000)
        assert builder.dropped == 1
        assert builder.close(BEGIN + 1_600_000_000) == []
        assert builder.awaited("X", BEGIN + MINUTE, BEGIN + MINUTE) == ({BEGIN + MINUTE: True} if kept_us else {})


def test_a_trade_on_the_edge_belongs_to_the_next_bar() -> None:
    builder = BarBuilder(MINUTE)
    builder.trade("X", BEGIN + MINUTE - 1, 1.0, 1.0, 1, 1, BEGIN + MINUTE - 1)
    builder.trade("X", BEGIN + MINUTE, 2.0, 1.0, 2, 2, BEGIN + MINUTE)
    assert [(b.time_us, b.close) for b in builder.close(BEGIN + MINUTE + GRACE_US)] == [(BEGIN + MINUTE, 1.0)]


def test_a_clock_that_is_wrong_closes_nothing_early() -> None:
    for skew in (-3_600_000_000, 3_600_000_000):
        builder = BarBuilder(MINUTE)
        builder.trade("X", BEGIN, 1.0, 1.0, 1, 1, BEGIN + skew)
        assert builder.close(BEGIN + skew + MINUTE + GRACE_US - 1) == []
        assert len(builder.close(BEGIN + skew + MINUTE + GRACE_US)) == 1


@given(delays=st.lists(st.integers(0, 900_000), min_size=8, max_size=400), seed=st.integers(0, 1_000))
def test_trades_far_ahead_change_no_bar_and_close_none_early(delays: list[int], seed: int) -> None:
    draw = random.Random(seed)
    plain, builder = BarBuilder(MINUTE), BarBuilder(MINUTE)
    wanted, got, wrong = [], [], 0
    for number, delay in enumerate(delays):
        time = BEGIN + number * 1_000_000
        for each in (plain, builder):
            assert each.trade("X", time, 1.0 + number, 1.0, number, number, time + delay)
        if draw.random() < 0.1:
            ahead = draw.randrange(SKEW_US + 1_000_000, 86_400_000_000)
            assert not builder.trade("X", time + ahead, 9e9, 1.0, f"x{number}", number, time + delay)
            wrong += 1
        wanted += plain.close(time + delay)
        got += builder.close(time + delay)
        assert all(bar.time_us <= time + delay for bar in got)
    assert got == wanted
    assert builder.clock.refused == wrong


@given(stamp=st.integers(1_000_000, 86_400_000_000))
def test_even_when_it_is_the_first_of_all_one_wrong_stamp_makes_no_bar_of_the_future(stamp: int) -> None:
    builder, made = BarBuilder(MINUTE), []
    for number in range(400):
        now = BEGIN + number * 1_000_000
        builder.trade("X", now + (0 if number else stamp), 1.0, 1.0, number, number, now)
        if number > 2:
            made += builder.close(now)
            assert all(bar.time_us <= now for bar in made)
    ends = [bar.time_us for bar in made if not bar.revision]
    assert ends[-3:] == [BEGIN + n * MINUTE for n in (4, 5, 6)], "the bars go on"


def test_a_clock_that_was_set_back_is_believed_once_all_trades_say_so() -> None:
    builder, hour = BarBuilder(MINUTE), 3_600_000_000
    for number in range(200):
        time = BEGIN + number * 1_000_000
        builder.trade("X", time, 1.0, 1.0, number, number, time - (hour if number >= 70 else 0))
    assert builder.clock.refused == AGREED - 1
    assert builder.clock.now(BEGIN) == BEGIN + hour


def test_once_a_symbol_is_lost_its_bars_are_in_doubt_until_it_is_known_how_far() -> None:
    builder = BarBuilder(MINUTE)
    for symbol in ("X", "Y"):
        builder.trade(symbol, BEGIN + 10_000_000, 1.0, 1.0, 1, 1, BEGIN + 10_000_000)
    builder.lose("X", BEGIN + 10_000_000)
    assert [b.symbol for b in builder.close(BEGIN + MINUTE + GRACE_US)] == ["Y"]
    for number, offset in ((2, MINUTE + 1), (3, 2 * MINUTE + 1)):
        builder.trade("X", BEGIN + offset, 1.0, 1.0, number, number, BEGIN + offset)
    assert builder.close(BEGIN + 3 * MINUTE) == []
    assert builder.doubt("X", BEGIN + MINUTE + 1, BEGIN + MINUTE + 2) == (BEGIN + MINUTE, BEGIN + 2 * MINUTE)
    assert [b.time_us for b in builder.close(BEGIN + 3 * MINUTE + GRACE_US)] == [BEGIN + 3 * MINUTE]
    assert builder.awaited("X", BEGIN, BEGIN + 3 * MINUTE) == {BEGIN + MINUTE: True, BEGIN + 2 * MINUTE: True}
    builder.closed_by_source("X", BEGIN + MINUTE, (1.0, 3.0, 1.0, 2.0, 9.0))
    assert builder.awaited("X", BEGIN, BEGIN + 3 * MINUTE) == {BEGIN + 2 * MINUTE: True}


@given(ahead=st.integers(-3_600_000_000, 3_600_000_000))
def test_a_late_trade_of_before_we_came_makes_no_bar(ahead: int) -> None:
    builder = BarBuilder(MINUTE)  # our clock is that much ahead
    builder.begin(BEGIN + 400_000 + ahead)
    builder.trade("X", BEGIN - 100_000, 1.0, 1.0, 1, 1, BEGIN + 500_000 + ahead)
    for number, offset in enumerate((1_000_000, MINUTE, 2 * MINUTE), start=2):
        builder.trade("X", BEGIN + offset, 1.0, 1.0, number, number, BEGIN + offset + 10_000 + ahead)
    made = builder.close(BEGIN + 2 * MINUTE + GRACE_US + ahead + 20_000)
    assert [bar.time_us for bar in made] == [BEGIN + 2 * MINUTE], "that of before us and that during which we came"
    assert builder.closed_by_source("X", BEGIN + MINUTE, (1.0, 1.0, 1.0, 1.0, 9.0)) is not None


def test_a_trade_later_than_that_is_counted_and_changes_nothing() -> None:
    builder = BarBuilder(MINUTE)
    builder.trade("X", BEGIN, 1.0, 1.0, 1, 1, BEGIN)
    builder.close(BEGIN + MINUTE + GRACE_US)
    now = BEGIN + MINUTE + LATE_US + GRACE_US + 1
    builder.close(now)
    builder.trade("X", BEGIN + 1, 9.0, 1.0, 2, 2, now)
    assert builder.close(now + MINUTE) == []
    assert builder.dropped == 1


def test_a_bar_in_doubt_comes_from_the_source_or_not_at_all() -> None:
    builder = BarBuilder(MINUTE)
    assert builder.doubt("X", BEGIN + 1, BEGIN + 2) == (BEGIN + MINUTE, BEGIN + MINUTE)
    for number, offset in enumerate((10, MINUTE + 10)):
        builder.trade("X", BEGIN + offset, 1.0, 1.0, number, number, BEGIN + offset)
    assert [b.time_us for b in builder.close(BEGIN + 2 * MINUTE + GRACE_US)] == [BEGIN + 2 * MINUTE]
    made = builder.closed_by_source("X", BEGIN + MINUTE, (1.0, 3.0, 1.0, 2.0, 9.0))
    assert made == Built("X", BEGIN + MINUTE, 1.0, 3.0, 1.0, 2.0, 9.0, trades=0)


def test_what_the_source_closes_is_the_bar_and_a_difference_is_a_revision() -> None:
    builder = BarBuilder(MINUTE)
    builder.trade("X", BEGIN, 1.0, 1.0, 1, 1, BEGIN)
    builder.close(BEGIN + MINUTE + GRACE_US)
    assert builder.closed_by_source("X", BEGIN + MINUTE, (1.0, 1.0, 1.0, 1.0, 1.0)) is None
    made = builder.closed_by_source("X", BEGIN + MINUTE, (1.0, 2.0, 1.0, 1.0, 1.0))
    assert made is not None
    assert made.revision
    builder.trade("X", BEGIN + 1, 5.0, 1.0, 2, 2, BEGIN + MINUTE + GRACE_US)
    assert builder.close(BEGIN + MINUTE + 2 * GRACE_US) == [], "trades change no bar that the source closed"
