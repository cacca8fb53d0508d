"""The same installation on PostgreSQL, by one setting."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from test_cli import GOOD_CSV, api, at_once, refused, tradewright

from running import Up, call

pytestmark = pytest.mark.postgres


def test_preparation_backtest_ingest_and_api_stand_on_postgres(tmp_path: Path, postgres_url: str) -> None:
    folder, file = tmp_path / "data", tmp_path / "bars.csv"
    file.write_text(GOOD_CSV)
    with Up(folder, speed="5", environment={"TRADEWRIGHT_DATABASE_URL": postgres_url}) as up:
        up.wait_until_ready()
        key, address = up.key(), up.address()
        body = {"strategy": "buy_and_hold", "data_set": "us-stocks"}
        path = f"/v1/backtests/{call(address, '/v1/backtests', key, 'POST', body).json['id']}"
        assert tradewright(folder, "ingest", file, "equity:TEST", database_url=postgres_url).status == 0
        deadline = time.monotonic() + 60
        while call(address, path, key).json["status"] in ("queued", "running"):
            assert time.monotonic() < deadline, up.said()
            time.sleep(0.2)
        assert call(address, path, key).json["status"] == "succeeded"
        assert call(address, "/v1/signals?limit=5", key).json["data"]
        assert up.stop() == 0
    assert not (folder / "tradewright.db").exists()
    with api(folder, database_url=postgres_url) as served:
        assert call(served, path, key).json["status"] == "succeeded"
        bars = call(served, "/v1/bars?instruments=equity:AAPL&start=2020-01-01T00:00:00Z&limit=3", key).json
        assert len(bars["data"]) == 3
    listed = tradewright(folder, "catalog", "--json", database_url=postgres_url).json
    assert {s["instrument"]: s["rows"] for s in listed}["equity:TEST"] == 9
    held = tradewright(folder, "backtest", "buy_and_hold", "--instruments", "equity:TEST", database_url=postgres_url)
    assert held.status == 0, held


def test_a_server_that_refuses_is_told_without_the_password(
    tmp_path: Path, postgres_url: str, postgres_server: str
) -> None:
    folder = tmp_path / "data"
    cases = {
        "postgresql://me:top-secret@127.0.0.1:9/x": ("(127.0.0.1:9/x: ", 1),
        "postgresql://me:top-secret@nowhere.invalid/x": ("no connection", 1),
        f"{postgres_server}/absent": ('database "absent" does not exist', 1),
        postgres_url.replace("tradewright@", "nobody-here:top-secret@"): ("nobody-here", 1),
        f"{postgres_url}?sslmode=require": ("no connection", 1),
        f"{postgres_url}?connect_timeout=3": ("the only one known is sslmode", 2),
        "mysql://me:top-secret@127.0.0.1/x": ("must begin with sqlite:/// or postgresql://", 2),
        "postgresql://me:top-secret@127.0.0.1:port/x": ("database_url cannot be read", 2),
    }
    for url, (words, status) in cases.items():
        said = at_once(folder, "keys", "create", "--json", database_url=url)
        refused(said, words, status=status)
        assert words in json.loads(said.out)["error"]["message"]
        assert "top-secret" not in said.out + said.err
    assert tradewright(folder, "doctor", database_url=f"{postgres_url}?sslmode=disable").status == 0
