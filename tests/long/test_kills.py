"""Two hundred times kill -9, each followed by `up`: what is left equals an uninterrupted run, row for row."""

from __future__ import annotations

import random
import shutil
import sys
import time
from pathlib import Path

import pytest

from running import Up, traces

pytestmark = pytest.mark.long

PREPARATION_KILLS = 20
KILLS = 180
SPEED = "2"
STANDING = "0.001"


def uninterrupted(folder: Path) -> Path:
    with Up(folder) as up:
        up.wait_for("replay has ended")
        assert up.stop() == 0
    return folder


def kill_while_running(folder: Path, seconds: float, speed: str = SPEED) -> bool:
    """Start, kill after `seconds`; return whether the replay had ended by then."""
    with Up(folder, speed=speed) as up:
        left = up.started + seconds - time.monotonic()
        while left > 0 and "replay has ended" not in up.said():
            time.sleep(min(0.02, left))
            left = up.started + seconds - time.monotonic()
        ended = "replay has ended" in up.said()
        up.kill()
    return ended


def test_two_hundred_kills_change_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def report(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}")
            sys.stdout.flush()

    chance = random.Random(20)
    expected = traces(uninterrupted(tmp_path / "uninterrupted"))
    assert len(expected["signals"]) > 4000
    assert len(expected["postings"]) > 1000
    assert expected["gaps"] == []

    prepared = tmp_path / "prepared"
    with Up(tmp_path / "clock") as up:
        up.wait_until_ready()
        preparation = time.monotonic() - up.started
    for _ in range(PREPARATION_KILLS):
        kill_while_running(prepared, chance.uniform(0, preparation), STANDING)
    for _ in range(2):
        with Up(prepared, speed=STANDING) as up:
            up.wait_until_ready()
            ready = time.monotonic() - up.started
            up.kill()
    begun = traces(prepared)
    assert len({signal[3] for signal in begun["signals"]}) < 30, "the replay must lie ahead"

    kills, replays, worst = 0, 0, []
    while kills < KILLS:
        folder = tmp_path / f"replay-{replays}"
        shutil.copytree(prepared, folder)
        replays += 1
        ended = False
        while not ended and kills < KILLS:
            ended = kill_while_running(folder, chance.uniform(0, ready + 10))
            kills += 1
        uninterrupted(folder)
        left = traces(folder)
        worst += [name for name in expected if left[name] != expected[name]]
        report(f"{kills} kills, {replays} replays, {len(worst)} differences")
    assert worst == []
