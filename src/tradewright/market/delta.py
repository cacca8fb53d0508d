"""One Delta table: append a batch once, read what the partitions and filters leave, compact.

Writers of a table take turns through a file lock, so whatever a failed write left behind can be told from the rest and
removed. Readers need no lock: they see the last complete version.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
from deltalake.exceptions import DeltaError

from tradewright.errors import StorageFailed

PARTITIONS = ("owner", "source", "month")
CONFIGURATION = {
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.setTransactionRetentionDuration": "interval 30 days",
}
KEEP_REPLACED_HOURS = 24  # files that compaction replaced stay this long for readers of the version before
LOCK_SECONDS = 60.0
MANY_FILES = 64  # beyond this one sync of the whole machine is quicker
LEFTOVER_ROUNDS = 50


class DeltaStore:
    """A partitioned, append-only table in a folder. Rows carry `owner`, `source` and `month` (YYYY-MM of `time`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._guard = threading.Lock()
        self._opened: tuple[str, deltalake.DeltaTable] | None = None

    def append(self, rows: pl.DataFrame, batch: str) -> bool:
        """Add the rows of a batch, once and for all; return False when the batch is there already.

        The rows are on the disk when this returns. A batch is remembered for 30 days. Raises StorageFailed when the
        disk does not take it; then the table is as it was before and the call can be repeated.
        """
        with self._writing():
            known = self.table()
            if known is not None and known.transaction_version(batch) is not None:
                return False
            before = self._live_files(known)
            began_ns = time.time_ns() - 100_000_000  # file times lag behind the clock by up to one tick
            try:
                self._write(rows, batch)
                self._make_durable(before)
            except (OSError, DeltaError) as error:
                self._remove_leftovers(began_ns)
                raise _storage_failed(self.folder, error) from error
        return True

    def read(self, filters: Sequence[pl.Expr]) -> pl.LazyFrame | None:
        """Return a lazy frame of the rows that pass every filter, None when nothing was ever written."""
        table = self.table()
        if table is None:
            return None
        return pl.scan_delta(table).filter(*filters) if filters else pl.scan_delta(table)

    def compact(self) -> int:
        """Merge the small files of each partition; return how many went in.

        Files that were replaced, and those of a writer that was killed, are deleted once they are a day old.
        """
        with self._writing():
            table = self.table()
            if table is None:
                return 0
            try:
                merged = table.optimize.compact()
                keep = KEEP_REPLACED_HOURS
                table.vacuum(retention_hours=keep, dry_run=False, enforce_retention_duration=False, full=True)
            except (OSError, DeltaError) as error:
                raise _storage_failed(self.folder, error) from error
            finally:
                self._opened = None
            return int(merged["numFilesRemoved"])

    def table(self) -> deltalake.DeltaTable | None:
        """Return the table at its last version, None when nothing was ever written."""
        newest = self._newest_commit()
        if newest is None:
            return None
        with self._guard:
            if self._opened is None or self._opened[0] != newest:
                self._opened = (newest, deltalake.DeltaTable(str(self.folder)))
            return self._opened[1]

    def _newest_commit(self) -> str | None:
        try:
            with os.scandir(self.folder / "_delta_log") as entries:
                return max((e.name for e in entries if e.name.endswith(".json") and e.name[0].isdigit()), default=None)
        except FileNotFoundError:
            return None

    def _write(self, rows: pl.DataFrame, batch: str) -> None:
        once = deltalake.Transaction(app_id=batch, version=1, last_updated=time.time_ns() // 1_000_000)
        deltalake.write_deltalake(
            str(self.folder),
            rows,
            mode="append",
            partition_by=list(PARTITIONS),
            configuration=CONFIGURATION if self.table() is None else None,
            commit_properties=deltalake.CommitProperties(app_transactions=[once]),
        )

    def _live_files(self, table: deltalake.DeltaTable | None) -> set[str]:
        return set() if table is None else set(table.file_uris())

    def _make_durable(self, before: set[str]) -> None:
        added = self._live_files(self.table()) - before
        if len(added) > MANY_FILES:
            os.sync()
            return
        log = self.folder / "_delta_log"
        paths = [Path(name) for name in added]
        for path in {*paths, *(path.parent for path in paths), log / (self._newest_commit() or ""), log}:
            _sync(path)

    def _remove_leftovers(self, began_ns: int) -> None:
        # The library's own threads may still be writing when its error arrives: look until nothing new turns up.
        quiet = 0
        for _ in range(LEFTOVER_ROUNDS):
            quiet = 0 if self._remove_unreferenced(began_ns) else quiet + 1
            if quiet == 3:
                return
            time.sleep(0.02)

    def _remove_unreferenced(self, began_ns: int) -> bool:
        live = self._live_files(self.table())
        removed = False
        for path in list(self.folder.rglob("*")):
            in_log = path.parent.name == "_delta_log"
            keep = in_log and (path.suffix in (".json", ".parquet", ".crc") or path.name == "_last_checkpoint")
            try:
                if path.is_file() and not keep and str(path) not in live and path.stat().st_mtime_ns >= began_ns:
                    path.unlink()
                    removed = True
            except FileNotFoundError:
                continue
        return removed

    @contextmanager
    def _writing(self) -> Iterator[None]:
        lock = self.folder.with_name(self.folder.name + ".lock")
        deadline = time.monotonic() + LOCK_SECONDS
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            handle = lock.open("a")
        except OSError as error:
            raise _storage_failed(self.folder, error) from error
        with handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise StorageFailed(
                            f"{self.folder} is being written by another process for {LOCK_SECONDS:g} s; "
                            "wait until it is done, or end it, and run this again"
                        ) from None
                    time.sleep(0.01)
            yield


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _storage_failed(folder: Path, error: Any) -> StorageFailed:
    text = str(error)
    full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in text or "os error 28" in text
    advice = "the disk is full: free some space" if full else "check the disk and the rights on the folder"
    return StorageFailed(
        f"could not write to {folder}: {text.splitlines()[0] if text else type(error).__name__}; nothing of this batch "
        f"was kept and what was there before is unharmed; {advice}, then run it again",
        folder=str(folder),
        full=full,
    )
