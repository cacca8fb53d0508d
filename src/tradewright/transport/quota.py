"""Long limits of a source, an hour or more: what was used of them is remembered from one process to the next."""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tradewright.errors import StorageFailed
from tradewright.transport.pace import Limit, Pace

REMEMBERED_S = 3_600.0  # a window as long as this outlives the process that asks
_STEPS = 1_000  # of the shortest window: what was taken within one is remembered as one, at its end


class Quota:
    """The long limits of one source and credential, counted in a file that all processes of a data folder share."""

    def __init__(self, path: Path, limits: tuple[Limit, ...], now_s: Callable[[], float] = time.time) -> None:
        self._path = path
        self._limits = limits
        self._now_s = now_s

    def take(self, weight: int) -> float:
        """Take `weight` if every limit has room and return 0.0; else take nothing and return the seconds to wait.

        Raises StorageFailed when the file cannot be read or written.
        """
        with self._locked():
            now_s = self._now_s()
            step_s = min(limit.window_s for limit in self._limits) / _STEPS
            step_at_s = math.ceil(now_s / step_s) * step_s
            pace, kept = Pace(self._limits), self._kept(now_s, step_at_s)
            for at_s, used in kept.items():
                pace.count(used, min(at_s, now_s))
            wait_s = pace.take(weight, now_s)
            if wait_s == 0.0:
                kept[step_at_s] = kept.get(step_at_s, 0) + weight
            self._keep(kept)
            return wait_s

    def _kept(self, now_s: float, latest_s: float) -> dict[float, int]:
        if not self._path.exists():
            return {}
        longest_s = max(limit.window_s for limit in self._limits)
        kept: dict[float, int] = {}
        for at, used in sorted((float(at), int(used)) for at, used in json.loads(self._path.read_text())):
            if not math.isfinite(at) or used < 0:
                raise ValueError(f"{used} at {at} is no count")
            at = min(at, latest_s)  # a clock that was ahead counted it: it is as if it were taken now, once
            if at > now_s - longest_s:
                kept[at] = kept.get(at, 0) + used
        return kept

    def _keep(self, kept: dict[float, int]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(list(kept.items())))
        new.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)
        except (OSError, ValueError, TypeError) as error:
            raise StorageFailed(
                f"what was used of a limit cannot be kept in {self._path}: {error}; check the disk and the rights on "
                "the folder, or delete the file to count anew"
            ) from error
