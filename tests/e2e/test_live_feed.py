"""`tradewright up` on a live feed, in real minutes: a venue of this machine speaks for the source."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from market_server import Market, serving
from running import Up, call
from tradewright.clock import WallClock, parse_us
from tradewright.storage.database import Database
from tradewright.storage.tables import feed_sessions, journal

NOBODY = "http://127.0.0.1:9"
MINUTE = 60_000_000
OTHERS = {f"TRADEWRIGHT_{name}_URL": NOBODY for name in ("BINANCE", "OKX", "BYBIT")}
MINUTES = {
    "TRADEWRIGHT_FEED_INSTRUMENTS": "BTC-USD", "TRADEWRIGHT_FEED_INTERVAL": "1m", "TRADEWRIGHT_FEED_DAYS": "1",
}  # fmt: skip


def waited(find: Callable[[], Any], seconds: float = 150) -> Any:
    """What `find` finds, as soon as it does."""
    until = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.2)
    return found


def live(history: str, stream: str) -> dict[str, str]:
    addresses = {"TRADEWRIGHT_COINBASE_URL": history, "TRADEWRIGHT_COINBASE_STREAM_URL": stream}
    return {"TRADEWRIGHT_FEED": "auto", **MINUTES, **OTHERS, **addresses}


def test_the_first_source_that_answers_is_traded_live_and_taken_up_again(tmp_path: Path) -> None:
    market, folder = Market(WallClock()), tmp_path / "data"
    market.remember(1_500)
    with serving(market) as addresses:
        with Up(folder, environment=live(*addresses)) as up:
            assert "Preparing the live feed: 1m bars of coinbase (coinbase answers)" in up.wait_for("Preparing.*")[0]
            address, key = up.address(), up.key()
            up.wait_for(r"Feed +live, 1m bars from coinbase: crypto:BTC-USD")
            first = waited(lambda: call(address, "/v1/signals", key).json["data"])
            assert {row["feed"] for row in first} == {"live"}
            newest = parse_us(first[0]["bar_time"])
            assert 0 < WallClock().now_us() - newest < 2 * MINUTE
            status = call(address, "/v1/status", key).json
            assert status["feed"]["mode"] == "live"
            assert status["feed"]["status"] == "running"
            assert status["feed"]["age_s"] < 70
            page = call(address, "/v1/quotes?instruments=crypto:BTC-USD", key).json
            assert page["feed"]["mode"] == "live"
            (quote,) = page["data"]
            truth = market.bars(60)[parse_us(quote["time"]) // 1_000_000 - 60]
            assert quote["price"] == pytest.approx(truth[3])
            assert first[0]["decision_price"] == pytest.approx(market.bars(60)[newest // 1_000_000 - 60][3])
            up.kill()
        with Up(folder, environment=live(*addresses)) as up:
            up.wait_for(r"Feed +live")
            assert "Preparing" not in up.said()
            address = up.address()
            later = waited(
                lambda: [r for r in call(address, "/v1/signals", key).json["data"] if parse_us(r["bar_time"]) > newest]
            )
            assert {row["feed_session"] for row in later} == {first[0]["feed_session"]}
            market.silent = True  # hearts beat, trades do not come
            wrong = waited(lambda: call(address, "/v1/status", key).json["feed"]["reason"], 60)
            assert re.fullmatch(r"coinbase is degraded since \S+Z: connected, but no trade for \d+ s", wrong)
            status = call(address, "/v1/status", key).json
            assert (status["message"], status["feed"]["status"]) == (wrong, "degraded")
            market.silent = False
            waited(lambda: call(address, "/v1/status", key).json["feed"]["status"] == "running", 60)
            back = up.wait_for(r"(?m)^coinbase is back since \S+Z: data again$", 10)[0]
            lines = [line for line in up.said().splitlines() if line.startswith("coinbase is ")]
            assert lines == [wrong, back]
            assert call(address, "/v1/status", key).json["feed"]["reason"] is None
            assert up.stop() == 0
    with Database(f"sqlite:///{folder}/tradewright.db") as database:
        sessions = database.read(lambda tx: tx.execute(feed_sessions.select()).all())
        rows = database.read(lambda tx: tx.execute(journal.select().where(journal.c.kind == "row")).all())
    assert [(session.mode, session.rows, session.status) for session in sessions] == [("live", None, "stopped")]
    times = [row.time for row in rows]
    assert times == list(range(times[0], times[-1] + 1, MINUTE)), "no minute is left out, and none came twice"


def test_without_any_source_it_replays_and_says_why(tmp_path: Path) -> None:
    environment = {"TRADEWRIGHT_FEED": "auto", "TRADEWRIGHT_COINBASE_URL": NOBODY, **OTHERS}
    with Up(tmp_path / "data", environment=environment) as up:
        said = up.wait_for("Preparing.*")[0]
        assert said.startswith(
            "Preparing the replay feed: history of us-stocks (no live source can be reached (coinbase: "
        )
        up.wait_until_ready()
        assert call(up.address(), "/v1/status", up.key()).json["feed"]["mode"] == "replay"


def test_a_live_feed_that_cannot_be_reached_is_waited_for(tmp_path: Path) -> None:
    environment = {
        "TRADEWRIGHT_FEED": "live",
        "TRADEWRIGHT_FEED_SOURCE": "coinbase",
        "TRADEWRIGHT_COINBASE_URL": NOBODY,
    }
    with Up(tmp_path / "data", environment=environment) as up:
        up.wait_for("no live source can be reached .*trying again every")
        assert call(up.address(), "/v1/status", up.key()).json["phase"] == "waiting"
        assert up.stop() == 0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FEED_SOURCE", "nosuch", "nosuch"),
        ("FEED_SOURCE", "gemini", "no stream"),
        ("FEED_INTERVAL", "7m", "7m"),
        ("FEED_INSTRUMENTS", "BTC-USD,ETH-EUR", "EUR and USD"),
    ],
)
def test_settings_that_name_no_feed_end_it_at_once(tmp_path: Path, name: str, value: str, said: str) -> None:
    with Up(tmp_path / "data", environment={"TRADEWRIGHT_FEED": "live", f"TRADEWRIGHT_{name}": value}) as up:
        assert up.process.wait(60) == 2
        assert said in up.said()


def test_a_source_that_refuses_is_not_asked_again(tmp_path: Path) -> None:
    environment = {
        "TRADEWRIGHT_FEED": "live", "TRADEWRIGHT_FEED_SOURCE": "alpaca", "TRADEWRIGHT_FEED_INSTRUMENTS": "AAPL",
    }  # fmt: skip
    with Up(tmp_path / "data", environment=environment) as up:
        said = up.wait_for("error: .*")[0]
        assert "needs" in said
        assert "trying again" not in said
        assert call(up.address(), "/v1/status", up.key()).json["phase"] == "failed"
        assert up.stop() == 1
