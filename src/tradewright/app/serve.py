"""`tradewright api`: only the HTTP face, on Granian."""

from __future__ import annotations

import os
from typing import Any

from tradewright import settings as settings_module
from tradewright.api.services import Readiness
from tradewright.app import house
from tradewright.clock import WallClock
from tradewright.settings import Settings


class _Ready:
    def now(self) -> Readiness:
        return Readiness(True, "running", 1.0, "serving")


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    from granian import Granian
    from granian.constants import Interfaces

    house.open_database(settings).close()
    os.environ["TRADEWRIGHT_DATA_FOLDER"] = str(settings.data_folder)
    if settings.database_url:
        os.environ["TRADEWRIGHT_DATABASE_URL"] = settings.database_url
    server = Granian(
        "tradewright.app.serve:application",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=1,
        factory=True,
        log_access=False,
        log_level=settings.log_level,  # type: ignore[arg-type]
    )
    server.serve()


def application() -> Any:
    """Return the ASGI application of the settings in the environment."""
    from tradewright.api.app import build
    from tradewright.app.up import build_services

    settings = settings_module.load()
    database = house.open_database(settings)
    return build(build_services(database, WallClock(), settings, _Ready(), None))
