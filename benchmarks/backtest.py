"""The back-test of a moving-average cross on a million bars, side by side with vectorbt and backtesting.py."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tradewright.market.instruments import Instrument, Interval
from tradewright.market.panel import Panel
from tradewright.research.backtest import backtest
from tradewright.research.trials import TrialLedger
from tradewright.simulation.bars import simulate
from tradewright.simulation.costs import Costs
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade
from tradewright.strategies import MovingAverageCross

Row = tuple[str, str, float, float, float]  # what, peer, ours median ms, peer median ms, ratio
BARS, RUNS, STATS_RUNS = 1_000_000, 15, 5
_BARE = "averages, fills and equity"
_WHOLE = "the same, checks for leaks, statistics, evidence, durable trial row"
PEERS = {"vectorbt": "vectorbt==1.2.0", "backtesting.py": "backtesting==0.6.6"}

_VECTORBT = """
import sys, time, json, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd, vectorbt as vbt
data = np.load(sys.argv[1]); close, opened = pd.Series(data["close"]), pd.Series(data["open"])
def run():
    fast, slow = vbt.MA.run(close, 20), vbt.MA.run(close, 50)
    held = np.where(np.isnan(slow.ma.values), np.nan, (fast.ma.values > slow.ma.values) * 1.0)
    size = np.concatenate([[np.nan], held[:-1]])
    made = vbt.Portfolio.from_orders(close, size=size, size_type="targetamount", price=opened, fees=0.001,
        init_cash=1e6, freq="1min")
    return made, made.value()
def signals():
    fast, slow = vbt.MA.run(close, 20), vbt.MA.run(close, 50)
    entries, exits = fast.ma_above(slow).vbt.fshift(1), fast.ma_below(slow).vbt.fshift(1)
    made = vbt.Portfolio.from_signals(close, entries, exits, price=opened, size=1.0, fees=0.001,
        init_cash=1e6, freq="1min")
    return made, made.value()
kinds = {"orders": run, "signals": signals}
for line in sys.stdin:
    kind, _, more = line.strip().partition("+")
    began = time.perf_counter(); made, value = kinds[kind]()
    if more: made.stats()
    took = time.perf_counter() - began
    print(json.dumps([took, float(value.iloc[-1]), len(made.orders.records)]), flush=True)
"""

_BACKTESTING = """
import sys, time, json, warnings, os
warnings.filterwarnings("ignore")
sys.stdout, answers = open(os.devnull, "w"), sys.stdout
sys.stderr = sys.stdout
import numpy as np, pandas as pd
from backtesting import Backtest, Strategy
data = np.load(sys.argv[1])
frame = pd.DataFrame({"Open": data["open"], "High": np.maximum(data["open"], data["close"]),
    "Low": np.minimum(data["open"], data["close"]), "Close": data["close"], "Volume": 1.0},
    index=pd.date_range("2000-01-01", periods=len(data["close"]), freq="min"))
class Cross(Strategy):
    def init(self):
        close = pd.Series(self.data.Close)
        self.fast = self.I(lambda: close.rolling(20).mean()); self.slow = self.I(lambda: close.rolling(50).mean())
    def next(self):
        above = self.fast[-1] > self.slow[-1]
        if above and not self.position: self.buy(size=1)
        elif not above and self.position: self.position.close()
for line in sys.stdin:
    began = time.perf_counter()
    stats = Backtest(frame, Cross, cash=1e6, commission=0.001, exclusive_orders=False, finalize_trades=False).run()
    took = time.perf_counter() - began
    closed = len(stats["_trades"]); opened = len(stats._strategy.trades)
    equity = float(stats["_equity_curve"]["Equity"].iloc[-1])
    print(json.dumps([took, equity, 2 * closed + opened]), file=answers, flush=True)
"""


def run(folder: Path) -> list[Row]:
    """Return the measured rows; times are milliseconds, the ratio is peer / ours.

    folder: kept between runs, for the peers' environments. Peers and ours take turns, medians of 15 (of 5 with
    vectorbt's stats(), of 2 for backtesting.py, which takes seconds a run). vectorbt makes the averages, the fills and
    the equity curve, and its default statistics where the name says so. All must give the same fills, and equity to
    1e-9. Raises AssertionError when they do not.
    """
    panel = random_walk(BARS)
    data = folder / "walk.npz"
    np.savez(data, close=panel.close[:, 0], open=panel.open[:, 0])
    strategy, costs = MovingAverageCross(20, 50, 1), Costs(fee_rate=0.001)
    with Database(f"sqlite:///{folder / f'trials-{time.time_ns()}.db'}") as database:
        upgrade(database)
        ledger = TrialLedger(database, "benchmark", "sandbox")

        def decide_and_trade() -> tuple[float, int]:
            done = simulate(panel, strategy.targets(panel), cash=1e6, costs=costs)
            return float(done.equity[-1]), len(done.fills)

        def whole_call() -> tuple[float, int]:
            result = backtest(strategy, panel, cash=1e6, costs=costs, ledger=ledger)
            return float(result.equity[-1]), int(result.statistics["fills"].value or 0)

        bare, whole = _timed(decide_and_trade), _timed(whole_call)
        with Peer(folder, "vectorbt", _VECTORBT, data) as peer:
            both, stats = {_BARE: bare, _WHOLE: whole}, {_WHOLE: whole}
            table = []
            for name in ("orders", "signals"):
                table += _compare(both, f"vectorbt from_{name}, equity", partial(peer.ask, name), RUNS)
                ask = partial(peer.ask, f"{name}+stats")
                table += _compare(stats, f"vectorbt from_{name}, equity, stats()", ask, STATS_RUNS)
        with Peer(folder, "backtesting.py", _BACKTESTING, data) as peer:
            name = "backtesting.py, equity and statistics"
            table += _compare({_BARE: bare, _WHOLE: whole}, name, partial(peer.ask, "run"), 2)
    return table


Timed = tuple[float, float, int]  # seconds, last equity, fills


def _timed(call: Callable[[], tuple[float, int]]) -> Callable[[], Timed]:
    def measured() -> Timed:
        began = time.perf_counter()
        equity, fills = call()
        return time.perf_counter() - began, equity, fills

    return measured


def _compare(calls: dict[str, Callable[[], Timed]], name: str, ask: Callable[[], Timed], times: int) -> list[Row]:
    takers = {**calls, name: ask}
    for call in takers.values():
        call()
    seen: dict[str, list[Timed]] = {key: [] for key in takers}
    for _ in range(times):
        for key, call in takers.items():
            seen[key].append(call())
    peer = seen.pop(name)
    table: list[Row] = []
    for key, ours in seen.items():
        assert {fills for _, _, fills in (*ours, *peer)} == {peer[0][2]}, (key, name, ours[0], peer[0])
        assert abs(ours[0][1] / peer[0][1] - 1) <= 1e-9, (key, name, ours[0], peer[0])
        mine, theirs = (median(t for t, _, _ in rows) * 1_000 for rows in (ours, peer))
        table.append((f"moving-average cross, {BARS:,} bars: {key}, ms", name, mine, theirs, theirs / mine))
    return table


class Peer:
    """Another engine in an environment of its own, asked line by line."""

    def __init__(self, folder: Path, name: str, program: str, data: Path) -> None:
        place = folder / f"peer-{name}"
        python = place / "bin" / "python"
        if not python.exists():
            uv = str(Path(sys.executable).with_name("uv"))
            subprocess.run([uv, "venv", "-q", str(place), "--python", sys.executable], check=True)
            subprocess.run([uv, "pip", "install", "-q", "--python", str(python), PEERS[name]], check=True)
        self._process = subprocess.Popen(
            [str(python), "-c", program, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line: str) -> Timed:
        """Return seconds, last equity and number of fills of one run."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        took, equity, fills = json.loads(self._process.stdout.readline())
        return float(took), float(equity), int(fills)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def random_walk(rows: int) -> Panel:
    """Return the walk that every engine here is given: seed 7, 2 basis points a bar, opens at the previous close."""
    close = 100 * np.exp(np.cumsum(np.random.default_rng(7).standard_normal(rows) * 2e-4))
    opened = np.concatenate([[100.0], close[:-1]])
    columns = [a.reshape(-1, 1) for a in (close, opened, np.maximum(opened, close), np.minimum(opened, close))]
    times = 60_000_000 * np.arange(1, rows + 1)
    return Panel.of(times, (Instrument("crypto:BTC-USD"),), Interval.MINUTE, *columns, np.ones((rows, 1)))
