"""Schedules as a user has them: two venues, one of them slow, `tradewright up`, and series that stay fresh."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from json_server import json_server
from running import Up, call
from servers import until
from tradewright.clock import parse_us

HOUR_S = 3_600


class Venues:
    """Binance and Coinbase: hours without an end, the same whoever asks. slow_s: before each answer of Binance.
    refusing: Coinbase is down. now_on: how many questions to Binance are open, and the most there ever were."""

    def __init__(self) -> None:
        self.slow_s, self.refusing, self.asked = 0.0, False, 0
        self.now_on = self.most = 0
        self._guard = threading.Lock()

    def answer(self, path: str) -> tuple[int, Any]:
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked += 1
        if not parts.path.endswith("klines"):
            if self.refusing:
                return 400, {"message": "NotFound"}
            first, last = (parse_us(query[name]) // 1_000_000 for name in ("start", "end"))
            begins = range(-(-first // HOUR_S) * HOUR_S, last + 1, HOUR_S)
            return 200, [[at, 9, 12, 10, 11, 5] for at in reversed(begins) if at < time.time()][:300]
        with self._guard:
            self.now_on += 1
            self.most = max(self.most, self.now_on)
        time.sleep(self.slow_s)
        with self._guard:
            self.now_on -= 1
        first, last = (int(query[name]) // 1_000 for name in ("startTime", "endTime"))
        begins = [at for at in range(-(-first // HOUR_S) * HOUR_S, last + 1, HOUR_S) if at < time.time()]
        rows = [
            [at * 1_000, "10", "12", "9", "11", "5", (at + HOUR_S) * 1_000 - 1, "0", 1, "0", "0", "0"] for at in begins
        ]
        return 200, rows[: int(query["limit"])]


def test_a_slow_source_holds_up_no_other_and_series_are_gone_on_with(tmp_path: Path) -> None:
    venues = Venues()
    venues.slow_s = 0.8

    def api(path: str, method: str = "GET", body: Any = None) -> Any:
        answer = call(up.address(), f"/v1/{path}", up.key(), method, body)
        assert answer.status < 300, answer.body
        return answer.json

    def last(schedule: str) -> Any:
        return api(f"ingestion-schedules/{schedule}")["last"] or {"status": "", "ingestion": None}

    def again(schedule: str) -> Any:
        """Another turn at once, and what became of it."""
        before = last(schedule)["ingestion"]
        for enabled in (False, True):
            api(f"ingestion-schedules/{schedule}", "PATCH", {"enabled": enabled})
        until(lambda: last(schedule)["ingestion"] not in (before, None))
        until(lambda: last(schedule)["status"] not in ("queued", "running"))
        return api(f"ingestions/{last(schedule)['ingestion']}")

    with json_server(venues.answer) as address:
        urls = {"TRADEWRIGHT_BINANCE_URL": address, "TRADEWRIGHT_COINBASE_URL": address}
        with Up(tmp_path / "data", environment=urls) as up:
            wanted = {"interval": "1h", "every": "1h"}
            slow = [
                api("ingestion-schedules", "POST", wanted | {"source": "binance", "instruments": [name]})["id"]
                for name in ("BTCUSDT", "ETHUSDT")
            ]
            quick = api("ingestion-schedules", "POST", wanted | {"source": "coinbase", "instruments": ["BTC-USD"]})[
                "id"
            ]
            until(lambda: last(quick)["status"] == "succeeded")
            assert {last(each)["status"] for each in slow} <= {"running", "queued"}, "they were not slow"
            until(lambda: [last(each)["status"] for each in slow] == ["succeeded"] * 2)
            assert venues.most == 1, "two ingestions asked one source at a time"
            both = "bars?instruments=crypto:BTC-USDT,crypto:ETH-USDT&interval=1h&start=2020-01-01T00:00:00Z"
            assert len(api(f"{both}&end=2100-01-01T00:00:00Z&limit=1000")["data"]) == 1000
            venues.slow_s, asked = 0.0, venues.asked
            fresh = again(quick)
            assert fresh["status"] == "succeeded"
            assert (fresh["report"]["rows_read"], fresh["report"]["stored"]) in ((6, 0), (7, 1)), fresh
            assert venues.asked - asked <= 4
            venues.refusing = True
            assert again(quick)["status"] == "failed"
            shown = api(f"ingestion-schedules/{quick}")
            assert (shown["failures"], shown["last"]["status"]) == (1, "failed")
            assert "NotFound" in shown["last"]["message"] or "Coinbase" in shown["last"]["message"]
            venues.refusing = False
            assert again(quick)["status"] == "succeeded"
            assert api(f"ingestion-schedules/{quick}")["failures"] == 0
            assert len(api(f"ingestions?schedule={quick}")["data"]) == 4
            assert up.stop() == 0
            assert "Traceback" not in up.said()
