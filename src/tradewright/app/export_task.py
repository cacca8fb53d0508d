"""The job that writes an export: one archive with a file of JSON lines for each table, and a manifest."""

from __future__ import annotations

import base64
import json
import tempfile
import zipfile
from decimal import Decimal
from typing import IO, Any

from tradewright.clock import Clock, format_us
from tradewright.errors import Cancelled, InvalidInput, NotFound
from tradewright.jobs.compute import Report
from tradewright.storage import exports
from tradewright.storage.database import Database
from tradewright.storage.types import plain

_LARGEST = 64 * 1024 * 1024
_ABOUT = (
    "One file for each table, one JSON object a line. Times are microseconds since 1970, UTC; amounts are decimal "
    "strings; bytes are base64. Secrets and their hashes are left out. Tables were read one after another."
)


def write_export(database: Database, clock: Clock, job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the export of a job into its row; return how many rows each table gave. Raises NotFound when it is gone."""
    payload = job["payload"]
    names = exports.tables_of(payload["kind"])
    counts: dict[str, int] = {}
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for place, name in enumerate(names):
                if report(place / len(names), f"reading {name}"):
                    raise Cancelled("the export was cancelled")
                counts[name] = _write_table(database, archive, file, payload, name)
            manifest = {"about": _ABOUT, "kind": payload["kind"], "of": payload["owner"], "rows": counts}
            manifest["created_at"] = format_us(clock.now_us())
            archive.writestr("manifest.json", json.dumps(manifest, indent=2))
        file.seek(0)
        content = file.read()
    if not database.write(exports.save_content, payload["export"], content):
        raise NotFound("the export is not there any more")
    return {"rows": counts, "size": len(content)}


def _write_table(
    database: Database, archive: zipfile.ZipFile, file: IO[bytes], payload: dict[str, Any], name: str
) -> int:
    written, after = 0, None
    with archive.open(f"{name}.jsonl", "w", force_zip64=True) as out:
        while True:
            rows, after = database.read(exports.rows, payload["kind"], payload["owner"], name, after)
            for row in rows:
                out.write(json.dumps(row, default=_plain, sort_keys=True).encode() + b"\n")
            written += len(rows)
            if file.tell() > _LARGEST:
                raise InvalidInput(
                    f"there is more than {_LARGEST // 1024**2} MiB; ask an operator for a copy of the database"
                )
            if after is None:
                return written


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    return base64.b64encode(value).decode()
