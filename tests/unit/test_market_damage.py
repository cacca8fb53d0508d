"""What a disk does to the files of the bars is noticed before they are read."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tradewright.errors import StorageFailed
from tradewright.market.delta import DeltaStore

COLUMNS = ("owner", "source", "month", "time", "close")


def _rows(start: int) -> pl.DataFrame:
    days = range(start, start + 50)
    return pl.DataFrame(
        {
            "owner": "org a/b",
            "source": "my file: ü%",
            "month": [f"2024-{1 + day % 2:02}" for day in days],
            "time": list(days),
            "close": [100.0 + day for day in days],
        }
    )


def _read(folder: Path) -> pl.DataFrame | None:
    rows = DeltaStore(folder).read(COLUMNS, [pl.col("source") == "my file: ü%"])
    return None if rows is None else rows.sort("time")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store = DeltaStore(tmp_path / "bars" / "1d")
    store.append(_rows(0), "b1")
    store.append(_rows(50), "b2")
    return store.folder


def _data(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.parquet") if path.parent.name != "_delta_log")


def _log(folder: Path) -> list[Path]:
    return sorted((folder / "_delta_log").glob("*.json"))


def _flip(path: Path, draw: random.Random) -> bytes:
    original = path.read_bytes()
    changed = bytearray(original)
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    path.write_bytes(changed)
    return original


@pytest.mark.parametrize("which", [_data, _log])
def test_no_flipped_bit_silently_changes_what_is_read(folder: Path, which: Callable[[Path], list[Path]]) -> None:
    draw = random.Random(3)
    before = _read(folder)
    for _ in range(60):
        path = draw.choice(which(folder))
        original = _flip(path, draw)
        with pytest.raises(StorageFailed, match=f"{path.name} is not as it was written.*restore"):
            _read(folder)
        path.write_bytes(original)
    after = _read(folder)
    assert before is not None
    assert after is not None
    assert after.equals(before)


def test_a_process_that_read_the_file_before_notices_the_flip(folder: Path) -> None:
    store = DeltaStore(folder)
    assert store.read(COLUMNS, []) is not None
    _flip(_data(folder)[0], random.Random(1))
    with pytest.raises(StorageFailed, match="damaged"):
        store.read(COLUMNS, [])


def test_what_compaction_wrote_is_verified_too(folder: Path) -> None:
    store = DeltaStore(folder)
    old = set(_data(folder))
    assert store.compact() == 4
    new = sorted(set(_data(folder)) - old)
    _flip(new[0], random.Random(1))
    with pytest.raises(StorageFailed, match=new[0].name):
        _read(folder)


def test_compaction_never_gives_damaged_rows_a_good_digest(folder: Path) -> None:
    _flip(_data(folder)[0], random.Random(1))
    with pytest.raises(StorageFailed, match="damaged"):
        DeltaStore(folder).compact()
    DeltaStore(folder).append(_rows(100), "b3")
    with pytest.raises(StorageFailed, match="damaged"):
        _read(folder)


def _garbage_in_the_log(folder: Path) -> None:
    _log(folder)[-1].write_bytes(b"garbage")


def _last_commit_emptied(folder: Path) -> None:
    _log(folder)[-1].write_bytes(b"")


def _last_commit_removed(folder: Path) -> None:
    _log(folder)[-1].unlink()


def _first_commit_removed(folder: Path) -> None:
    _log(folder)[0].unlink()


def _log_removed(folder: Path) -> None:
    shutil.rmtree(folder / "_delta_log")


def _table_removed(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "harm",
    [_garbage_in_the_log, _last_commit_emptied, _last_commit_removed, _first_commit_removed, _log_removed,
     _table_removed],
)  # fmt: skip
def test_a_log_that_is_not_as_it_was_stops_every_use(folder: Path, harm: Callable[[Path], None]) -> None:
    harm(folder)
    store = DeltaStore(folder)
    uses = (lambda: store.read(COLUMNS, []), lambda: store.append(_rows(100), "b3"), store.compact)
    for use in uses:
        with pytest.raises(StorageFailed, match=r"bars at .*1d are damaged: .*restore"):
            use()


@pytest.mark.parametrize("harm", [_garbage_in_the_log, _last_commit_removed, _first_commit_removed, _log_removed])
def test_a_writer_that_has_the_table_open_looks_at_the_log_again(folder: Path, harm: Callable[[Path], None]) -> None:
    store = DeltaStore(folder)
    store.read(COLUMNS, [])
    harm(folder)
    for use in (lambda: store.append(_rows(100), "b3"), store.compact):
        with pytest.raises(StorageFailed, match="damaged"):
            use()


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def _gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [_emptied, _cut_short, _gone])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_broken_or_missing_data_file_is_named(folder: Path, harm: Callable[[Path], None], sealed: bool) -> None:
    if not sealed:
        folder.with_name("1d.sha256").unlink()
    path = _data(folder)[0]
    harm(path)
    for use in (_read, lambda folder: DeltaStore(folder).compact()):
        with pytest.raises(StorageFailed, match=path.name):
            use(folder)


def test_garbage_in_a_table_of_an_older_version_is_told_as_damage(folder: Path) -> None:
    folder.with_name("1d.sha256").unlink()
    path = _data(folder)[0]
    path.write_bytes(path.read_bytes()[:-4] + b"xxxx")
    with pytest.raises(StorageFailed, match="damaged"):
        _read(folder)
    _garbage_in_the_log(folder)
    with pytest.raises(StorageFailed, match="damaged"):
        _read(folder)


def test_a_table_of_an_older_version_is_read_and_sealed_by_the_next_writer(folder: Path) -> None:
    digests = folder.with_name("1d.sha256")
    digests.unlink()
    rows = _read(folder)
    assert rows is not None
    assert rows.height == 100
    assert DeltaStore(folder).append(_rows(0), "b2") is False
    _flip(_data(folder)[0], random.Random(1))
    with pytest.raises(StorageFailed, match="is not as it was written"):
        _read(folder)


def test_a_line_of_digests_that_was_cut_short_hides_no_other(folder: Path) -> None:
    digests = folder.with_name("1d.sha256")
    digests.write_bytes(digests.read_bytes()[:-20])
    DeltaStore(folder).append(_rows(100), "b3")
    rows = _read(folder)
    assert rows is not None
    assert rows.height == 150
    for path in [*_data(folder), *_log(folder)]:
        original = _flip(path, random.Random(1))
        with pytest.raises(StorageFailed, match=path.name):
            _read(folder)
        path.write_bytes(original)


def test_the_digests_can_be_checked_with_a_common_tool(folder: Path) -> None:
    command = shutil.which("sha256sum")
    if command is None:
        pytest.skip("sha256sum is not installed")
    checked = subprocess.run([command, "-c", "--strict", "../1d.sha256"], cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert len(checked.stdout.splitlines()) == len(_data(folder)) + len(_log(folder))


def test_a_log_with_checkpoints_and_cleaned_commits_is_read(tmp_path: Path) -> None:
    store = DeltaStore(tmp_path / "1d")
    for number in range(52):
        store.append(_rows(number), f"b{number}")
    assert list(store.folder.glob("_delta_log/*.checkpoint.parquet"))
    _log(store.folder)[0].unlink()  # as cleaning does with what lies before the checkpoint
    rows = _read(store.folder)
    assert rows is not None
    assert rows.height == 52 * 50
    [checkpoint] = store.folder.glob("_delta_log/*.checkpoint.parquet")
    _flip(checkpoint, random.Random(1))
    with pytest.raises(StorageFailed, match=checkpoint.name):
        _read(store.folder)
