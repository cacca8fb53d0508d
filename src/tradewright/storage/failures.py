"""What an error of a database driver means: whose fault it is, what was kept, and our own words for it."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa

from tradewright.errors import StorageFailed

_LOST = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")
_MACHINES = ("40", "53", "54", "55", "57", "58", "XX", "25006")
_KINDS = {
    ("55P03", "40", "SQLITE_BUSY", "SQLITE_LOCKED"): ("others held the same rows for too long", "try again"),
    ("57014",): ("a statement took longer than it allows; ask for less", "look at what it does meanwhile"),
    ("53300",): ("it has no connection left", "try again, or let it have more"),
    ("53200", "SQLITE_NOMEM"): ("it has no memory left", "try again later"),
    ("53100", "SQLITE_FULL"): ("its disk is full", "free some space and run it again"),
    ("25006",): ("it is read-only", "check that database_url names no replica"),
    ("SQLITE_READONLY",): ("it is read-only", "check that the file and its folder may be written"),
    ("XX001", "XX002", "SQLITE_CORRUPT", "SQLITE_NOTADB"): (
        "the file is damaged", "put a copy of it back, or move it away to begin anew"
    ),
    ("SQLITE_CANTOPEN",): ("its file cannot be opened", "check that the folder exists and may be written"),
}  # fmt: skip
_OTHER = ("its log says why", "check the database and run it again")


def is_the_machines(error: sa.exc.DBAPIError) -> bool:
    """Return whether the database could not do it; else a rule or a statement is broken, the caller's fault or ours."""
    if isinstance(error.orig, sqlite3.Error):
        return isinstance(error, sa.exc.OperationalError) or type(error) is sa.exc.DatabaseError
    return is_lost(error) or _code(error).startswith(_MACHINES)


def is_lost(error: sa.exc.DBAPIError) -> bool:
    """Return whether the connection is lost, so that nobody knows whether a commit was done."""
    if isinstance(error.orig, sqlite3.Error):
        return False  # it is in this process
    code = _code(error)
    refused = isinstance(getattr(error.orig, "__cause__", None), ValueError)  # a value that cannot be sent
    broken = isinstance(error, sa.exc.InterfaceError) and not code and not refused
    return error.connection_invalidated or code.startswith(_LOST) or broken


def storage_failed(error: sa.exc.DBAPIError, write: bool) -> StorageFailed:
    """Return the error to raise. The words of the driver, and advice for who runs it, are in its fact `cause` alone."""
    cause = str(error.orig) or type(error.orig).__name__
    if not is_lost(error):
        what, advice = _kind(error)
        return StorageFailed(
            f"the database refused: {what}; nothing of this transaction was kept", cause=f"{cause}; {advice}"
        )
    if write:  # perhaps after it was told to commit
        return StorageFailed(
            "the connection to the database was lost; whether this change was kept is not known: look for it, or ask "
            "for it again, a POST with its Idempotency-Key",
            cause=cause,
        )
    return StorageFailed("the connection to the database was lost; ask again", cause=cause)


def _kind(error: sa.exc.DBAPIError) -> tuple[str, str]:
    code = _code(error)
    return next((words for codes, words in _KINDS.items() if code.startswith(codes)), _OTHER)


def _code(error: sa.exc.DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", None) or "")
