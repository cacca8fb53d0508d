"""`tradewright up` as a user meets it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from running import REPLAY_ROWS, Up, call, traces


def test_the_first_request_is_answered_while_the_rest_is_prepared(tmp_path: Path) -> None:
    with Up(tmp_path / "data") as up:
        address, key = up.address(), up.key()
        assert call(address, "/livez").status == 200
        assert call(address, "/readyz").status == 503
        status = call(address, "/v1/status", key).json
        assert status["ready"] is False
        assert status["phase"] in ("starting", "preparing")
        up.wait_for(r"model: training")
        assert up.stop(signal.SIGINT) == 0
        assert "stopped" in up.said()
        assert "Traceback" not in up.said()
        assert "error" not in up.said()


def test_a_backtest_interrupted_by_ctrl_c_goes_on_after_the_next_start(data_folder: Path, first_key: str) -> None:
    asked = {"strategy": "moving_average_cross", "data_set": "us-stocks"}
    with Up(data_folder, speed="0.001") as up:
        up.wait_until_ready()
        made = call(up.address(), "/v1/backtests", first_key, "POST", asked).json
        deadline = time.monotonic() + 20
        while call(up.address(), f"/v1/backtests/{made['id']}", first_key).json["status"] == "queued":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert up.stop(signal.SIGINT) == 0
        assert "Traceback" not in up.said()
    with Up(data_folder, speed="0.001") as up:
        deadline = time.monotonic() + 60
        while (found := call(up.address(), f"/v1/backtests/{made['id']}", first_key).json)["status"] != "succeeded":
            assert found["status"] in ("queued", "running"), (found["error"], up.said())
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert up.stop() == 0


def test_a_full_disk_stops_trading_until_there_is_space_again(
    data_folder: Path, first_key: str, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine refuses to mount a tmpfs")
    try:
        folder = Path(shutil.copytree(data_folder, small / "data"))
        with Up(folder, speed="20") as up:
            up.wait_until_ready()
            filler = small / "filler"
            _fill(filler)
            up.wait_for("trying again", 60)
            assert call(up.address(), "/readyz").status == 503
            status = call(up.address(), "/v1/status", first_key).json
            assert (status["ready"], status["phase"]) == (False, "waiting")
            assert "its disk is full" in status["error"]
            assert "free some space" in up.said()  # what to do is told to who runs it
            filler.unlink()
            deadline = time.monotonic() + 60
            while call(up.address(), "/readyz").status != 200:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            up.wait_for("replay has ended", 120)
            assert up.stop() == 0
        left = traces(folder)
        assert len({signal[3] for signal in left["signals"]}) == REPLAY_ROWS
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def _fill(filler: Path) -> None:
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4_096)


def test_signals_come_from_real_data_and_new_ones_as_bars_arrive(data_folder: Path, first_key: str) -> None:
    with Up(data_folder, speed="10") as up:
        up.wait_until_ready()
        address = up.address()
        deadline = time.monotonic() + 20
        times: set[str] = set()
        while len(times) < 3 and time.monotonic() < deadline:
            page = call(address, "/v1/signals?limit=20", first_key).json
            assert all(signal["feed"] == "replay" for signal in page["data"])
            assert page["feed"]["mode"] == "replay"
            times |= {signal["bar_time"] for signal in page["data"]}
            time.sleep(0.2)
        assert len(times) >= 3
        newest = call(address, "/v1/signals?limit=1", first_key).json["data"][0]
        bars = call(address, f"/v1/bars?instruments={newest['instrument']}&start={newest['bar_time']}", first_key).json
        assert bars["data"][0]["close"] == newest["decision_price"]
        assert newest["model"]["evidence"] in ("none", "weak", "supported", "leaking")
        assert newest["status"] == ("promoted" if newest["model"]["promoted"] else "candidate")
        assert up.stop() == 0


def test_a_second_start_prints_no_key_and_goes_on_where_it_was(data_folder: Path, first_key: str) -> None:
    with Up(data_folder, speed="20") as up:
        up.wait_until_ready()
        time.sleep(2)
        assert "tw_paper_" not in up.said().replace("tw_paper_...", "")
        assert up.stop() == 0
    with Up(data_folder, speed="0.001") as up:
        left = int(up.wait_for(r"replay of real history, (\d+) of 250 rows to come")[1])
        assert 0 < left < 250
        page = call(up.address(), "/v1/signals?limit=500", first_key).json
        assert "data" in page, page
        seen = page["data"]
        assert len({signal["bar_time"] for signal in seen}) >= min(250 - left, 25)
        assert up.stop() == 0


def test_a_replay_that_ended_says_so_at_every_start(data_folder: Path, first_key: str) -> None:
    for _ in range(2):
        with Up(data_folder) as up:
            up.wait_for("The replay has ended")
            feed = call(up.address(), "/v1/status", first_key).json["feed"]
            assert feed["status"] == "ended"
            assert up.stop() == 0
    with Up(data_folder, speed="0.001", arguments=("--restart-feed",)) as up:
        up.wait_for("250 of 250 rows to come")
        address = up.address()
        new, old = call(address, "/v1/portfolios", first_key).json["data"]
        assert (new["feed"]["status"], old["feed"]["status"]) == ("running", "ended")
        assert old["equity"] is not None
        assert call(address, f"/v1/portfolios/{new['id']}", first_key, "DELETE").status == 409
        assert call(address, f"/v1/portfolios/{old['id']}", first_key, "DELETE").status == 204
        closed = call(address, f"/v1/portfolios/{old['id']}", first_key).json
        assert (closed["status"], closed["equity"]) == ("closed", old["equity"])
        assert up.stop() == 0


def test_two_on_one_data_folder_is_refused_with_the_name_of_the_first(data_folder: Path) -> None:
    with Up(data_folder, speed="0.001") as first:
        first.address()
        with Up(data_folder) as second:
            assert second.process.wait(20) == 1
            assert f"in use by process {first.process.pid}" in second.said()
        assert first.stop() == 0


def test_a_corrupt_settings_file_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "tradewright.toml"
    file.write_text('speed = 1\nport = "eight thousand"\n')
    with Up(tmp_path / "data", environment={"TRADEWRIGHT_SETTINGS": str(file)}) as up:
        assert up.process.wait(20) == 2
        assert "port must be a whole number, got 'eight thousand'" in up.said()
    file.write_text("speed = = 1\n")
    with Up(tmp_path / "data", environment={"TRADEWRIGHT_SETTINGS": str(file)}) as up:
        assert up.process.wait(20) == 2
        assert "line 1" in up.said()
        assert not (tmp_path / "data").exists()


def test_kills_change_nothing(data_folder: Path, tmp_path: Path, prepared_folder: Path) -> None:
    whole = Path(shutil.copytree(prepared_folder, tmp_path / "whole"))
    with Up(whole) as up:
        up.wait_for("replay has ended")
        assert up.stop() == 0
    expected = traces(whole)
    chance = random.Random(3)
    for _ in range(8):
        with Up(data_folder, speed="25") as up:
            time.sleep(chance.uniform(0.2, 6))
            up.kill()
    with Up(data_folder) as up:
        up.wait_for("replay has ended")
        assert up.stop() == 0
    left = traces(data_folder)
    assert {name: len(rows) for name, rows in left.items()} == {name: len(rows) for name, rows in expected.items()}
    assert left == expected


def test_research_sees_no_later_than_the_feed_and_its_result_is_kept(data_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tradewright"]
    place = ["--data-folder", str(data_folder)]
    asked = [*command, "backtest", "buy_and_hold", "--data", "us-stocks", "--json", *place]
    made = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    assert 8313 - REPLAY_ROWS <= made["summary"]["rows"] <= 8313 - REPLAY_ROWS + 1
    written = tmp_path / "report.html"
    subprocess.run([*command, "report", made["id"], "--output", str(written), *place], check=True)
    assert "buy_and_hold" in written.read_text()
