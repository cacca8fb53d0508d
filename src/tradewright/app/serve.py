"""`tradewright api`: only the HTTP face."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tradewright.api.app import build
from tradewright.api.services import Readiness, Services
from tradewright.app import house, http_server
from tradewright.app.up import build_services
from tradewright.app.upkeep import Upkeep
from tradewright.clock import WallClock
from tradewright.settings import Settings


class _Ready:
    def now(self) -> Readiness:
        return Readiness(True, "running", 1.0, "serving")


def serve(settings: Settings, tell: Callable[[str, Services], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    tell: called with the address, and with what the routes use, once it is served. Raises SettingsInvalid for an
    address that cannot be used and StorageFailed.
    """
    with http_server.listen(settings.host, settings.port) as listener, house.open_database(settings) as database:
        clock = WallClock()
        services = build_services(database, clock, settings, _Ready(), None)
        url = http_server.url_of(listener)
        server = http_server.Server(build(services), settings.log_level, lambda: tell(url, services))

        def leave(*_: object) -> None:
            server.should_exit = True

        signal.signal(signal.SIGINT, leave)
        signal.signal(signal.SIGTERM, leave)
        upkeep = Upkeep(database, clock, services.authenticator)
        upkeep.start()
        http_server.settle()
        try:
            server.run(sockets=[listener])
        finally:
            upkeep.stop()
