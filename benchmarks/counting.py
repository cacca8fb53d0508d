"""The API as `tradewright api` builds it, for a server that is measured: it also says how its cache of pages did.

BENCH_COUNTS names the file into which hits and misses are written, as JSON.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from tradewright.api.pages import Pages
from tradewright.app import serve

EVERY_S = 0.25


def application() -> Any:
    """Return the application, untouched; a thread beside it writes the counts."""
    app = serve.application()
    counts = Path(os.environ["BENCH_COUNTS"])
    threading.Thread(target=_tell, args=(pages_of(app), counts), daemon=True).start()
    return app


def pages_of(app: Any) -> Pages:
    """Return the cache that the routes of an application use: its layers are asked from the outermost one inwards."""
    while not hasattr(app, "_services"):
        app = app._app
    pages: Pages = app._services.pages
    return pages


def _tell(pages: Pages, path: Path) -> None:
    fresh = path.with_suffix(".new")
    while True:
        fresh.write_text(json.dumps({"hits": pages.hits, "misses": pages.misses, "bytes": pages.size}))
        fresh.replace(path)
        time.sleep(EVERY_S)
