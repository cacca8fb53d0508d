"""`tradewright up` as a user meets it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from running import REPLAY_ROWS, Up, call, traces


def test_the_first_request_is_answered_while_the_rest_is_prepared(tmp_path: Path) -> None:
    with Up(tmp_path / "data") as up:
        address, key = up.address(), up.key()
        assert call(address, "/livez").status == 200
        assert call(address, "/readyz").status == 503
        status = call(address, "/v1/status", key).json
        assert status["ready"] is False
        assert status["phase"] in ("starting", "preparing")
        assert up.stop(signal.SIGINT) == 0
        assert "stopped" in up.said()


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
        assert len(call(up.address(), "/v1/portfolios", first_key).json["data"]) == 2
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
        assert "port must be a int" in up.said() or "port must be" in up.said()
    file.write_text("speed = = 1\n")
    with Up(tmp_path / "data", environment={"TRADEWRIGHT_SETTINGS": str(file)}) as up:
        assert up.process.wait(20) == 2
        assert "line 1" in up.said()
        assert not (tmp_path / "data").exists()


def test_kills_change_nothing(data_folder: Path, tmp_path: Path, prepared_folder: Path) -> None:
    import shutil

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
