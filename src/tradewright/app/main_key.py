"""The file of main keys in the data folder: one a line, the newest first. Replaced whole, never half written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tradewright.errors import StorageFailed
from tradewright.storage.vault import new_main_key


def path_in(folder: Path) -> Path:
    """Return where the file stands."""
    return folder / "main.key"


def read(path: Path) -> list[str]:
    """Return the keys. Raises StorageFailed."""
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageFailed(f"cannot read the main keys {path}: {error}; put a copy of the file back") from error


def ensure(path: Path) -> None:
    """Make the file with a fresh key where there is none. Raises StorageFailed."""
    if not path.exists():
        _put(path, [new_main_key()], keep=True)


def add(path: Path) -> None:
    """Put a fresh key before the others. Raises StorageFailed."""
    _put(path, [new_main_key(), *read(path)])


def drop_old(path: Path) -> int:
    """Keep the first key only; return how many went. Raises StorageFailed."""
    keys = read(path)
    if len(keys) > 1:
        _put(path, keys[:1])
    return len(keys) - 1


def _put(path: Path, keys: Sequence[str], keep: bool = False) -> None:
    try:
        handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # readable by its owner only
        fresh = Path(name)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write("".join(key + "\n" for key in keys))
            file.flush()
            os.fsync(file.fileno())
        if keep:
            _link(fresh, path)
        else:
            os.replace(fresh, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name is as durable as what is sealed
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageFailed(f"cannot write the main keys {path}: {error.strerror}") from error


def _link(fresh: Path, path: Path) -> None:
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass  # another process made one meanwhile: that one counts
    finally:
        fresh.unlink()
