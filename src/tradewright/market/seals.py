"""Digests of the files of a table, so that what was written can be told from what became of it since.

They stand beside the table, one line for each file, in the form that `sha256sum -c` reads when called in its folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tradewright.errors import StorageFailed

_WIDTH = 64  # characters of a digest
_BUSY = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM)
_Stamp = tuple[int, int, int]


class Seals:
    """The digests of the files below one folder. Names are paths relative to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder.with_name(folder.name + ".sha256")
        self._known: tuple[_Stamp, dict[str, str]] | None = None
        self._verified: dict[str, tuple[_Stamp, str]] = {}

    def known(self) -> Mapping[str, str]:
        """Return the digest of each file that has one. Raises StorageFailed when they cannot be read."""
        with told(self.folder):
            try:
                stamp = _stamp(self.path)
            except FileNotFoundError:
                return {}
            if self._known is None or self._known[0] != stamp:
                text = self.path.read_text(encoding="utf-8", errors="replace")
                lines = (line.partition("  ") for line in text.splitlines())
                self._known = (stamp, {name: digest for digest, _, name in lines if len(digest) == _WIDTH and name})
            return self._known[1]

    def verify(self, names: Iterable[str]) -> None:
        """Raise StorageFailed, naming the file, unless every file is there and as it was written.

        A file that was verified is not read again while its size, time and inode stay. One without a digest, written
        by an older version, only has to be there.
        """
        known = self.known()
        with told(self.folder):
            for name in names:
                stamp, digest = _stamp(self.folder / name), known.get(name)
                if digest is None or self._verified.get(name) == (stamp, digest):
                    continue
                if _digest(self.folder / name) != digest:
                    raise damaged(self.folder, f"{name} is not as it was written: its SHA-256 digest differs")
                self._verified[name] = (stamp, digest)

    def add(self, names: Iterable[str]) -> None:
        """Write down the digests of those files that have none, durably. Only the writer of the table calls this."""
        known = self.known()
        new = {name: _digest(self.folder / name) for name in names if name not in known}
        if not new:
            return
        first = not self.path.exists()
        with self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
            torn = file.read(1) not in (b"", b"\n")  # a writer was killed within a line
            file.write(b"\n" * torn + _lines(new))
            file.flush()
            os.fsync(file.fileno())
        if first:
            _sync_folder(self.path.parent)

    def forget_missing(self) -> None:
        """Drop the digests of files that are no more. Only the writer of the table calls this."""
        known = self.known()
        left = {name: digest for name, digest in known.items() if (self.folder / name).exists()}
        if len(left) == len(known):
            return
        new = self.path.with_name(self.path.name + ".new")
        with new.open("wb") as file:
            file.write(_lines(left))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        _sync_folder(self.path.parent)
        self._verified = {name: seen for name, seen in self._verified.items() if name in left}


def damaged(folder: Path, what: str) -> StorageFailed:
    """Return the error for a table whose files are not what was written. what: the file and what is wrong with it."""
    return StorageFailed(
        f"the bars at {folder} are damaged: {what}; restore {folder.parent} from a backup, or delete the data folder "
        "(with another database: empty that too) and ingest again",
        folder=str(folder),
    )


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Raise StorageFailed where reading the files of a table fails inside, whatever library read them."""
    try:
        yield
    except StorageFailed:
        raise
    except OSError as error:
        if error.errno in _BUSY:
            raise StorageFailed(
                f"the bars at {folder} cannot be read: {error}; check the rights on the folder and the limits of the "
                "process",
                folder=str(folder),
            ) from error
        raise damaged(folder, f"{error.filename or _first_line(error)}: {error.strerror or 'unreadable'}") from error
    except BaseException as error:
        # the libraries that read the files share no root; their panics are no Exception at all
        if type(error).__name__ != "PanicException" and type(error).__module__.partition(".")[0] not in _LIBRARIES:
            raise
        raise damaged(folder, _first_line(error)) from error


_LIBRARIES = ("polars", "deltalake", "_internal")


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _stamp(path: Path) -> _Stamp:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
