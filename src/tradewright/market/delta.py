"""One Delta table: append a batch once, read what the partitions and filters leave, compact.

Writers of a table take turns through a file lock, so whatever a failed write left behind can be told from the rest and
removed. Readers need no lock: they see the last complete version. The digest of every file is written down once it is
committed, and checked before the file is read.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import deltalake
import polars as pl
import polars.selectors as cs
from deltalake.exceptions import DeltaError

from tradewright.errors import StorageFailed
from tradewright.market.seals import Seals, damaged, told

PARTITIONS = ("owner", "source", "month")
CONFIGURATION = {
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.setTransactionRetentionDuration": "interval 30 days",
}
_PLAIN = deltalake.ColumnProperties(dictionary_enabled=False)
_STEPS = deltalake.ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED")
WRITING = (
    deltalake.WriterProperties(  # numbers hardly repeat: a dictionary of them takes room and two thirds of the time
        column_properties={
            **dict.fromkeys(("open", "high", "low", "close", "volume"), _PLAIN),
            **dict.fromkeys(("time", "known_at"), _STEPS),
        }
    )
)
KEEP_REPLACED_HOURS = 24  # files that compaction replaced stay this long for readers of the version before
LOCK_SECONDS = 60.0
ROOM_FOR_A_FILE = 16_384  # bytes besides its numbers
MANY_FILES = 64  # beyond this one sync of the whole machine is quicker
LEFTOVER_ROUNDS = 50
_LOG = "_delta_log"
_logger = logging.getLogger("tradewright.market")
_LOG_FILE = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A version of the table. files: `path` (relative), `size_bytes` and the partition of each data file."""

    newest: str
    table: deltalake.DeltaTable
    files: pl.DataFrame

    @property
    def paths(self) -> list[str]:
        return self.files["path"].to_list()


class DeltaStore:
    """A partitioned, append-only table in a folder. Rows carry `owner`, `source` and `month` (YYYY-MM of `time`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seals = Seals(folder)
        self._guard = threading.Lock()
        self._last: _Opened | None = None

    def append(self, rows: pl.DataFrame, batch: str) -> bool:
        """Add the rows of a batch, once and for all; return False when the batch is there already.

        The rows are on the disk when this returns. A batch is remembered for 30 days. Raises StorageFailed when the
        disk does not take it; then the table is as it was before and the call can be repeated. Raises it, too, when
        the files of the table are damaged.
        """
        with self._writing():
            known = self._opened(anew=True)
            if known is not None and known.table.transaction_version(batch) is not None:
                self._seal()
                return False
            self._refuse_without_room(rows)
            before = set() if known is None else set(known.paths)
            began_ns = time.time_ns() - 100_000_000  # file times lag behind the clock by up to one tick
            try:
                self._write(rows, batch, first=known is None)
                self._seal()
                self._make_durable(before)
            except (OSError, DeltaError) as error:
                self._remove_leftovers(began_ns)
                raise _storage_failed(self.folder, error) from error
        return True

    def read(self, columns: Sequence[str], filters: Sequence[pl.Expr]) -> pl.DataFrame | None:
        """Return the rows that pass every filter, None when nothing was ever written.

        The files that the filters on partitions leave are verified first. Raises StorageFailed, naming the file, when
        one is missing or not as it was written.
        """
        opened = self._opened()
        if opened is None:
            return None
        among = [each for each in filters if set(each.meta.root_names()) <= set(PARTITIONS)]
        self._verify(opened.files.filter(*among) if among else opened.files)
        with told(self.folder):
            lazy = pl.scan_delta(opened.table)
            return (lazy.filter(*filters) if filters else lazy).select(columns).collect()

    def compact(self) -> int:
        """Merge the small files of each partition; return how many went in.

        Files that were replaced, and those of a writer that was killed, are deleted once they are a day old. Raises
        StorageFailed when a file is damaged: nothing is merged then.
        """
        with self._writing():
            opened = self._opened(anew=True)
            if opened is None:
                return 0
            self._verify(opened.files)
            try:
                merged = opened.table.optimize.compact(writer_properties=WRITING)
                keep = KEEP_REPLACED_HOURS
                opened.table.vacuum(retention_hours=keep, dry_run=False, enforce_retention_duration=False, full=True)
                self._last = None
                self._seal()
                self._seals.forget_missing()
            except (OSError, DeltaError) as error:
                raise _storage_failed(self.folder, error) from error
            finally:
                self._last = None
            return int(merged["numFilesRemoved"])

    def forget(self, owner: str) -> int:
        """Remove every row of an owner from the table and from the disk, at once; return how many files went.

        Can be repeated, after a cut too. Raises StorageFailed.
        """
        if not self.folder.exists():
            return 0  # and no lock is made where nothing ever was
        with self._writing():
            opened = self._opened(anew=True)
            if opened is None:
                return 0
            mine = opened.files.filter(pl.col("owner") == owner).height
            try:
                if mine:
                    opened.table.delete("owner = '{}'".format(owner.replace("'", "''")), writer_properties=WRITING)
                    self._last = None
                    self._seal()
                shutil.rmtree(self.folder / f"owner={quote(owner)}", ignore_errors=True)  # replaced files are there too
                self._seals.forget_missing()
            except (OSError, DeltaError) as error:
                raise _storage_failed(self.folder, error) from error
            finally:
                self._last = None
            return mine

    def is_empty(self) -> bool:
        """Return whether nothing was ever written. Raises StorageFailed when the table is damaged."""
        return self._opened() is None

    def _opened(self, anew: bool = False) -> _Opened | None:
        sealed = self._seals.known()  # before the listing, which then has at least what is sealed
        log = self._log()
        newest = log[-1] if log else ""
        missing = max((name for name in map(_in_log, sealed) if name), default="")
        if missing > newest:
            raise damaged(self.folder, f"{_LOG}/{missing} is missing")
        if not log:
            return None
        with self._guard:
            if anew or self._last is None or self._last.newest != newest:
                self._verify_log(log, sealed)
            if self._last is None or self._last.newest != newest:
                with told(self.folder):
                    table = deltalake.DeltaTable(str(self.folder))
                    self._last = _Opened(newest, table, _files_of(table))
            return self._last

    def _verify_log(self, log: Sequence[str], sealed: Iterable[str]) -> None:
        # what lies before the last checkpoint is not read, and cleaned away in time
        start = max((name[:20] for name in os.listdir(self.folder / _LOG) if _is_checkpoint(name)), default="")
        needed = {name for name in map(_in_log, sealed) if name[:20] > start}
        needed |= {name for name in log if name[:20] > start}
        needed |= {f"{start}.checkpoint.parquet"} if start else set()
        self._seals.verify(f"{_LOG}/{name}" for name in sorted(needed))

    def _verify(self, files: pl.DataFrame) -> None:
        self._seals.verify(files["path"])
        sealed = self._seals.known()
        for name, size in files.select("path", "size_bytes").iter_rows():
            if name not in sealed and (self.folder / name).stat().st_size != size:
                raise damaged(self.folder, f"{name} does not have the {size} bytes that were written")

    def _seal(self) -> None:
        opened = self._opened()
        if opened is None:
            return
        log = [f"{_LOG}/{name}" for name in os.listdir(self.folder / _LOG) if _LOG_FILE.fullmatch(name)]
        try:
            self._seals.add([*opened.paths, *log])
        except OSError:
            # the rows are committed and readable; the next writer writes down the digests that are missing
            _logger.warning("no room for the digests of the files at %s yet", self.folder, exc_info=True)

    def _log(self) -> list[str]:
        try:
            names = os.listdir(self.folder / _LOG)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if name.endswith(".json") and _LOG_FILE.fullmatch(name))

    def _refuse_without_room(self, rows: pl.DataFrame) -> None:
        # a write that fails halfway is mended, but the threads of the library tell of it on the standard error output
        space = os.statvfs(self.folder.parent)
        free, parts = space.f_bavail * space.f_frsize, rows.select(PARTITIONS).n_unique()
        needed = int(rows.select(cs.numeric()).estimated_size()) + parts * ROOM_FOR_A_FILE
        if free < needed:
            raise _storage_failed(
                self.folder, f"No space left: {free:,} bytes are free and this batch may need {needed:,}"
            )

    def _write(self, rows: pl.DataFrame, batch: str, first: bool) -> None:
        once = deltalake.Transaction(app_id=batch, version=1, last_updated=time.time_ns() // 1_000_000)
        deltalake.write_deltalake(
            str(self.folder),
            rows,
            mode="append",
            partition_by=list(PARTITIONS),
            configuration=CONFIGURATION if first else None,
            writer_properties=WRITING,
            commit_properties=deltalake.CommitProperties(app_transactions=[once]),
        )

    def _live(self) -> set[Path]:
        opened = self._opened()
        return set() if opened is None else {self.folder / name for name in opened.paths}

    def _make_durable(self, before: set[str]) -> None:
        paths = self._live() - {self.folder / name for name in before}
        if len(paths) > MANY_FILES:
            os.sync()
            return
        log = self.folder / _LOG
        for path in {*paths, *(path.parent for path in paths), log / self._log()[-1], log}:
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
        live = self._live()
        removed = False
        for path in list(self.folder.rglob("*")):
            in_log = path.parent.name == _LOG
            keep = in_log and (path.suffix in (".json", ".parquet", ".crc") or path.name == "_last_checkpoint")
            try:
                if path.is_file() and not keep and path not in live and path.stat().st_mtime_ns >= began_ns:
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


def _files_of(table: deltalake.DeltaTable) -> pl.DataFrame:
    actions = pl.DataFrame(table.get_add_actions(flatten=True))
    written = pl.col("path").map_elements(unquote, return_dtype=pl.String)
    return actions.select(written, "size_bytes", *(pl.col(f"partition.{name}").alias(name) for name in PARTITIONS))


def _in_log(name: str) -> str:
    folder, _, file = name.partition("/")
    return file if folder == _LOG and file.endswith(".json") else ""


def _is_checkpoint(name: str) -> bool:
    return not name.endswith(".json") and _LOG_FILE.fullmatch(name) is not None


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
