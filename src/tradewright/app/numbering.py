"""Committed events get their numbers, gapless for each organization and environment."""

from __future__ import annotations

import logging
import threading

from tradewright.errors import StorageFailed
from tradewright.storage import outbox
from tradewright.storage.database import Database

_PAUSE_S, _AFTER_FAILURE_S = 0.1, 30.0
_log = logging.getLogger("tradewright.numbering")


def number_events(database: Database, stop: threading.Event) -> None:
    """Number events until `stop` is set; those of the last moments get their numbers at the next start."""
    refused = False
    while not stop.wait(_AFTER_FAILURE_S if refused else _PAUSE_S):
        try:
            while database.read(outbox.waiting) and database.write(outbox.sequence):
                continue
            refused = False
        except StorageFailed as error:  # the events keep waiting; a later round tries again
            refused = True
            _log.error("events wait for their numbers: %s", error)
