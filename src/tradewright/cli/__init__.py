"""The command line."""

from __future__ import annotations

import json
import logging
import os
import sys

import typer

from tradewright.cli import serving, data, research, people, audit, operation  # isort: skip  # in the order of the help
from tradewright.cli.base import app
from tradewright.errors import InSample, InvalidInput, TooFewRows, TradewrightError

_COMMANDS = (serving, data, research, people, audit, operation)  # imported for the commands that they add
_log = logging.getLogger("tradewright.cli")
_INTERRUPTED = 130


def main() -> None:
    """Run the command line; exit status 0, 1 (failed), 2 (what was asked for is wrong) or 130 (interrupted)."""
    try:
        status = app(sys.argv[1:] or ["--help"], prog_name="tradewright", standalone_mode=False) or 0
        if status == _INTERRUPTED:
            _failed("cancelled", "interrupted; what was stored stays, run it again to go on", status)
        sys.stdout.flush()
    except TradewrightError as error:
        status = _failed(error.code, str(error), exit_status(error))
    except typer.TyperException as error:
        status = _misused(error)
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except MemoryError as error:
        status = _failed("internal_error", f"there is not enough memory for this: {error}; ask for less at a time", 1)
    except Exception as error:  # noqa: BLE001 - the outermost edge: a person is told, a log has the traceback
        _log.debug("a fault", exc_info=True)
        hint = "please report it; with TRADEWRIGHT_LOG_LEVEL=debug it says where it happened"
        status = _failed("internal_error", f"a fault of Tradewright ({type(error).__name__}: {error}); {hint}", 1)
    sys.exit(status)


def exit_status(error: TradewrightError) -> int:
    """Return the exit status of a command that ended with `error`: 2 where what was asked for is wrong, else 1."""
    return 2 if isinstance(error, InvalidInput) and not isinstance(error, TooFewRows | InSample) else 1


def _misused(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = "tradewright" if context is None else context.command_path
    return _failed("usage", f"{error.format_message().rstrip('.')}; `{path} --help` says how", 2)


def _failed(code: str, message: str, status: int) -> int:
    if "--json" in sys.argv:
        print(json.dumps({"error": {"code": code, "message": message}}), flush=True)
    print(f"error: {message}", file=sys.stderr)
    return status
