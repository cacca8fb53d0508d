"""Limits are kept before a source has to say so, and a source that fails again and again is left alone for a while."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorded import Player
from tradewright.errors import SourceFailed, SourceLimited, SourceRefused, StorageFailed, UnknownName
from tradewright.transport.lane import FAILURES, REST_S, Lane
from tradewright.transport.messages import Policy, Request, Response
from tradewright.transport.pace import Limit, Pace
from tradewright.transport.quota import Quota
from tradewright.transport.recording import Recorder

ASK = Request("https://example.com/a", query=(("x", "1"),))


class World:
    """A transport and a clock: what is sent takes no time, waiting moves the clock."""

    def __init__(self, answers: Callable[[int], Response | Exception] = lambda n: Response(200, b"[]")) -> None:
        self.now, self.sent, self.answers = 0.0, [], answers

    async def fetch(self, request: Request, policy: Policy | None = None) -> Response:
        self.sent.append(self.now)
        answer = self.answers(len(self.sent))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def lane(self, *limits: Limit) -> Lane:
        return Lane(self, "Example", limits, lambda: self.now, self.sleep)


def ask(lane: Lane, request: Request = ASK, policy: Policy | None = None) -> Response:
    return asyncio.run(lane.fetch(request, policy))


@given(
    limits=st.lists(st.tuples(st.integers(1, 20), st.floats(0.5, 30.0)), min_size=1, max_size=3),
    asked=st.lists(st.tuples(st.integers(1, 5), st.floats(0.0, 3.0)), min_size=1, max_size=80),
)
def test_no_window_ever_holds_more_than_its_limit(
    limits: list[tuple[int, float]], asked: list[tuple[int, float]]
) -> None:
    pace, now, taken = Pace(tuple(Limit(*limit) for limit in limits)), 0.0, []
    for weight, gap in asked:
        now += gap
        while (wait := pace.take(weight, now)) > 0.0:
            assert wait < 31.0
            now += wait + 1e-9
        taken.append((now, weight))
    for units, window in limits:
        for moment, weight in taken:
            within = sum(w for at, w in taken if moment - window < at <= moment - 1e-6 or at == moment)
            assert within <= max(units, weight), (units, window, moment)


def test_requests_wait_for_their_turn_and_weigh_what_they_say() -> None:
    world = World()
    lane = world.lane(Limit(6, 60.0))
    for _ in range(4):
        ask(lane, Request("https://example.com/a", weight=2))
    assert world.sent == [0.0, 0.0, 0.0, 60.0]


def test_a_wait_beyond_the_deadline_is_told_with_its_length() -> None:
    lane = World().lane(Limit(1, 3_600.0))
    ask(lane)
    with pytest.raises(SourceLimited, match=r"Example may be asked again in 3600 s") as told:
        ask(lane)
    assert told.value.retry_after_s == 3_600.0
    ask(lane, policy=Policy(patience_s=4_000.0))


def test_what_the_source_says_of_waiting_counts_for_everybody_behind() -> None:
    world = World(lambda n: SourceLimited("slow", retry_after_s=20.0) if n == 1 else Response(200, b"[]"))
    lane = world.lane(Limit(100, 1.0))
    with pytest.raises(SourceLimited):
        ask(lane)
    ask(lane)
    assert world.sent == [0.0, 20.0]


def test_a_source_that_fails_again_and_again_is_left_alone_and_tried_once_after_a_rest() -> None:
    world = World(lambda n: SourceFailed("down") if n <= FAILURES + 1 else Response(200, b"[]"))
    lane = world.lane(Limit(1_000, 1.0))
    for _ in range(FAILURES):
        with pytest.raises(SourceFailed, match="down"):
            ask(lane)
    with pytest.raises(
        SourceFailed, match=rf"failed {FAILURES} times in a row and is left alone; .* in {REST_S:.0f} s"
    ):
        ask(lane)
    assert len(world.sent) == FAILURES
    world.now += REST_S + 1
    with pytest.raises(SourceFailed, match="down"):
        ask(lane)
    with pytest.raises(SourceFailed, match="left alone"):
        ask(lane)
    world.now += REST_S * 2 + 1
    assert ask(lane).status == 200
    assert ask(lane).status == 200


@pytest.mark.parametrize("refusal", [SourceRefused("key"), UnknownName("nothing")])
def test_a_refusal_is_no_failure(refusal: Exception) -> None:
    world = World(lambda n: refusal)
    lane = world.lane(Limit(1_000, 1.0))
    for _ in range(FAILURES * 2):
        with pytest.raises(type(refusal)):
            ask(lane)
    assert len(world.sent) == FAILURES * 2


def test_what_was_recorded_is_played_again_without_secrets(tmp_path: Path) -> None:
    answer = Response(
        200, b'[1, "\xc3\xa9"]', (("content-type", "application/json"), ("set-cookie", "s=1")), 5, ASK.url
    )
    file = Recorder(tmp_path, "example").keep(ASK, answer)
    kept = json.loads(file.read_text())
    assert kept["request"] == {"method": "GET", "url": ASK.url, "query": [["x", "1"]]}
    assert kept["response"]["headers"] == {"content-type": "application/json"}
    played = asyncio.run(Player(tmp_path, "example").fetch(ASK))
    assert (played.status, played.body, played.received_at_us) == (200, answer.body, 5)
    with pytest.raises(SourceFailed, match="was not recorded"):
        asyncio.run(Player(tmp_path, "example").fetch(ASK.asking(y="2")))


def test_bytes_that_are_no_text_are_recorded_as_they_are(tmp_path: Path) -> None:
    Recorder(tmp_path, "example").keep(ASK, Response(200, b"PK\x03\x04\xff", (), 5))
    assert asyncio.run(Player(tmp_path, "example").fetch(ASK)).body == b"PK\x03\x04\xff"


# --- limits that outlive a process ------------------------------------------------------------------------------------

DAY_S = 86_400.0


def test_what_was_used_of_a_day_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    now = 1_700_000_000.0
    limits = (Limit(3, DAY_S), Limit(100, 7 * DAY_S))
    for after_s in (0.0, 3_600.0, 7_200.0):
        assert Quota(tmp_path / "a.json", limits, lambda at=now + after_s: at).take(1) == 0.0  # type: ignore[misc]
    left_s = Quota(tmp_path / "a.json", limits, lambda: now + 10_000.0).take(1)
    assert DAY_S - 10_000.0 <= left_s <= DAY_S - 10_000.0 + DAY_S / 1_000
    assert Quota(tmp_path / "b.json", limits, lambda: now).take(1) == 0.0, "other credentials have their own"
    assert Quota(tmp_path / "a.json", limits, lambda: now + 10_001.0 + left_s).take(1) == 0.0


def test_processes_that_ask_at_once_use_up_a_limit_once(tmp_path: Path) -> None:
    def ask_ten(_: int) -> int:
        quota = Quota(tmp_path / "quotas" / "a.json", (Limit(25, DAY_S),))
        return sum(quota.take(1) == 0.0 for _ in range(10))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask_ten, range(8))) == 25


def test_what_is_remembered_stays_small(tmp_path: Path) -> None:
    path, now = tmp_path / "a.json", 1_700_000_000.0
    for at in range(3_000):
        assert Quota(path, (Limit(50_000, DAY_S),), lambda at=at: now + at * 60).take(1) == 0.0  # type: ignore[misc]
    assert len(json.loads(path.read_text())) <= 1_001


def test_a_clock_that_was_ahead_holds_a_limit_for_one_window_at_most(tmp_path: Path) -> None:
    path, now, limits = tmp_path / "a.json", 1_700_000_000.0, (Limit(1, DAY_S),)
    assert Quota(path, limits, lambda: now + 90 * DAY_S).take(1) == 0.0
    left_s = Quota(path, limits, lambda: now).take(1)
    assert left_s <= DAY_S * 1.001
    assert Quota(path, limits, lambda: now + left_s + 100.0).take(1) == 0.0


@pytest.mark.parametrize("text", ["", "[[1", "[1]", "{}x", "[[null, 1]]", "[[1e999, 5]]", "[[1, -5]]"])
def test_a_count_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(StorageFailed, match="delete the file to count anew"):
        Quota(tmp_path / "a.json", (Limit(1, DAY_S),)).take(1)


def test_a_lane_sends_nothing_that_the_quota_has_no_room_for(tmp_path: Path) -> None:
    world = World()
    for sent in (1, 2, 2):
        quota = Quota(tmp_path / "a.json", (Limit(2, DAY_S),), lambda: 1e9 + world.now)
        lane = Lane(world, "Example", (), lambda: world.now, world.sleep, quota)
        if sent > len(world.sent):
            ask(lane)
        else:
            with pytest.raises(SourceLimited, match="limits are used up"):
                ask(lane)
        assert len(world.sent) == sent
