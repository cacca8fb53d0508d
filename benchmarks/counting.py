"""`tradewright api` for a benchmark: it serves as that command does, and also says how its cache of pages did.

The settings come from the environment; BENCH_COUNTS names the file into which hits and misses are written, as JSON.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

from tradewright import settings
from tradewright.api.pages import Pages
from tradewright.api.services import Services
from tradewright.app.serve import serve

EVERY_S = 0.25


def main() -> None:
    """Serve, with a thread beside it that writes the counts."""

    def begin(_: str, services: Services) -> None:
        threading.Thread(target=_tell, args=(services.pages, Path(os.environ["BENCH_COUNTS"])), daemon=True).start()

    serve(settings.load(), begin)


def _tell(pages: Pages, path: Path) -> None:
    fresh = path.with_suffix(".new")
    while True:
        fresh.write_text(json.dumps({"hits": pages.hits, "misses": pages.misses, "bytes": pages.size}))
        fresh.replace(path)
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
