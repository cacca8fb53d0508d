"""`tradewright` and `python -m tradewright`: the command line, with Ctrl-C quiet from the first moment to the last."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time

_INTERRUPTED = 130
_SAME_S = 1.0  # what comes sooner after the first interruption is the same finger


def main() -> None:
    """Run the command line. SIGINT and SIGTERM end it once: what it tidies up then is not interrupted again, unless
    that takes long. Once it has ended they change its exit status no more."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started us wants it ignored
        signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        from tradewright.cli import main as run

        run()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt(*_: object) -> None:
    until = time.monotonic() + _SAME_S

    def again(*_: object) -> None:
        if time.monotonic() > until:
            os._exit(_INTERRUPTED)

    signal.signal(signal.SIGINT, again)
    signal.signal(signal.SIGTERM, again)
    logging.disable()  # of what was cut off half-way there is nothing to report
    raise KeyboardInterrupt  # whoever ends us gets what Ctrl-C gets: what was stored stays


if __name__ == "__main__":
    main()
