"""`tradewright worker`: the jobs, schedules and numbers of events, for processes that only answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from tradewright.accounts.authentication import Authenticator
from tradewright.app import house
from tradewright.app.leaving import at_signals
from tradewright.app.numbering import PAUSE_S, number_events
from tradewright.app.scheduling import POLL_S, Scheduler
from tradewright.app.upkeep import Upkeep
from tradewright.app.work import build_hands
from tradewright.clock import WallClock
from tradewright.settings import Settings


def work(settings: Settings, begun: Callable[[], None]) -> None:
    """Work until SIGINT or SIGTERM; running jobs are given back to the queue then. Any number of processes may.

    begun: called once it works. Raises StorageFailed when it cannot begin.
    """
    clock, stop = WallClock(), threading.Event()
    with house.open_database(settings) as database:
        hands = build_hands(database, clock, settings)
        turns = (Scheduler(database, clock, hands.wake).run, POLL_S, "scheduler")
        numbers = (partial(number_events, database), PAUSE_S, "numberer")
        upkeep = Upkeep(database, clock, Authenticator(database, clock), [turns, numbers])
        at_signals(stop.set)
        hands.start()
        upkeep.start()
        try:
            begun()
            stop.wait()
        finally:
            stop.set()
            hands.stop()
            hands.join()
            upkeep.stop()
