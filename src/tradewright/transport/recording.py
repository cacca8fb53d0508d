"""Exchanges written down on demand: one JSON file each, without what was secret in the request.

A file holds `source, request {method, url, query}, response {status, headers, body}`. The request is the one that was
built before credentials were put into it; of the headers of an answer only those that say what it is or how much may be
asked are kept.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from tradewright.errors import StorageFailed
from tradewright.transport.messages import Request, Response

_TOLD = ("content-type", "retry-after", "link", "cb-after", "cb-before")


class Recorder:
    """Writes exchanges into a folder, one file for each request; the same request again replaces its file."""

    def __init__(self, folder: Path, source: str) -> None:
        self._folder = folder / source
        self._source = source

    def keep(self, request: Request, response: Response) -> Path:
        """Write one exchange and return its file. Raises StorageFailed when the disk refuses."""
        body: dict[str, Any] = {"body": None}
        try:
            text = response.body.decode()
            body = {"body": text}
        except UnicodeDecodeError:
            body = {"body": base64.b64encode(response.body).decode(), "encoding": "base64"}
        kept = {
            "source": self._source,
            "capture": "recorded",
            "request": {"method": request.method, "url": request.url, "query": [list(pair) for pair in request.query]},
            "response": {
                "status": response.status,
                "headers": {name: text for name, text in response.headers if _is_told(name)},
                "received_at_us": response.received_at_us,
                **body,
            },
        }
        file = self._folder / f"{_name(request)}.json"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            part.replace(file)
        except OSError as error:
            raise StorageFailed(f"cannot write the recording {file}: {error.strerror}; name another folder") from error
        return file


def _is_told(name: str) -> bool:
    return name in _TOLD or "limit" in name or "weight" in name or "credits" in name


def _name(request: Request) -> str:
    what = json.dumps([request.method, request.url, [list(pair) for pair in request.query]])
    place = "_".join(part for part in request.url.split("/")[3:] if part)[:60] or "root"
    safe = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in place)
    return f"{safe}__{hashlib.sha256(what.encode()).hexdigest()[:16]}"
