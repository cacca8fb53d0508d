"""The application of `tradewright api` for a server that is measured: it also says how its cache of pages did.

The settings come from the environment; BENCH_COUNTS names the file into which hits and misses are written, as JSON.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

from tradewright.api.app import build
from tradewright.api.layers import App
from tradewright.api.pages import Pages
from tradewright.app.serve import begun

EVERY_S = 0.25


def application() -> App:
    """Return the application, with a thread beside it that writes the counts."""
    services, at_end = begun()
    threading.Thread(target=_tell, args=(services.pages, Path(os.environ["BENCH_COUNTS"])), daemon=True).start()
    return build(services, at_end)


def _tell(pages: Pages, path: Path) -> None:
    fresh = path.with_suffix(".new")
    while True:
        fresh.write_text(json.dumps({"hits": pages.hits, "misses": pages.misses, "bytes": pages.size}))
        fresh.replace(path)
        time.sleep(EVERY_S)
