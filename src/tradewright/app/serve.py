"""`tradewright api`: only the HTTP face, on Granian."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tradewright import settings as settings_module
from tradewright.api.services import Readiness
from tradewright.app import house, http_server
from tradewright.clock import WallClock
from tradewright.settings import Settings

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


if TYPE_CHECKING:
    from tradewright.api.layers import App
    from tradewright.api.services import Services


class _Ready:
    def now(self) -> Readiness:
        return Readiness(True, "running", 1.0, "serving")


def serve(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    tell: called with the address when the socket listens. Raises SettingsInvalid for an address that cannot be used
    and StorageFailed.
    """
    import multiprocessing

    multiprocessing.set_start_method("spawn", force=True)  # a fork beside the threads of Polars and ours can hang
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops

    address, port = http_server.usable(settings.host, settings.port)
    house.open_database(settings).close()
    for name in ("data_folder", "database_url", "host", "port"):  # of the command line; the rest it reads as we did
        os.environ[settings_module.PREFIX + name.upper()] = str(getattr(settings, name))
    server = Granian(
        "tradewright.app.serve:application",
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,  # where it may be HTTP/2 as well, a connection that says nothing is kept for ever
        backlog=http_server.CONNECTIONS,
        workers=1,
        loop=Loops.uvloop,
        factory=True,
        log_access=False,
        log_level=settings.log_level,  # type: ignore[arg-type]
    )

    def tell_once_it_listens() -> None:
        if http_server.listens(address, port):
            tell(http_server.shown(address, port))

    server.on_startup(threading.Thread(target=tell_once_it_listens, daemon=True).start)
    server.serve()


def application() -> App:
    """Return the ASGI application of the settings in the environment; for the process that Granian starts."""
    from tradewright.api.app import build  # not paid for by the process that only watches

    return build(*begun())


def begun() -> tuple[Services, Callable[[], None]]:
    """Return what the routes use, with the work beside them begun, and what ends that work. Called once in a process,
    which ends with its parent and without taking its interpreter apart: threads of Granian and Polars abort there."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    atexit.register(os._exit, 0)
    from tradewright.app.up import build_services
    from tradewright.app.upkeep import Upkeep

    settings = settings_module.load()
    database = house.open_database(settings)
    clock = WallClock()
    services = build_services(database, clock, settings, _Ready(), None)
    upkeep = Upkeep(database, clock, services.authenticator)
    upkeep.start()
    house.settle()
    return services, upkeep.stop
