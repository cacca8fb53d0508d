"""`python -m benchmarks [NAME ...]`: run the benchmarks, print a table, write RESULTS.md and results.json.

TRADEWRIGHT_BENCH_FOLDER: where peers' environments and prepared data are kept (default ~/.cache/tradewright-bench).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import machine
from benchmarks.table import Row, markdown, row_of

PLACES = {
    name: f"benchmarks.{name}"
    for name in ("backtest", "prediction", "engine", "catalog", "sources", "start", "api", "busy")
}
HERE = Path(__file__).resolve().parent
INTRODUCTION = (
    "Written by `make bench`; one benchmark alone: `make bench ARGS=NAME`. Figures are medians; the two sides of "
    "a ratio took turns in the same run, so a busy machine slows both. Times and rates by themselves are those of"
    " the machine named; a limit is missed more easily on a busy one."
)


def main(wanted: list[str], places: Mapping[str, str] = PLACES, here: Path = HERE) -> int:
    """Run the benchmarks named (all without names) and write what they gave into `here`.

    Return 1 when one failed or gave no rows, 2 when there is none of that name. places: the module of each benchmark.
    """
    unknown = [name for name in wanted if name not in places]
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are: {', '.join(places)}", file=sys.stderr)
        return 2
    default = Path.home() / ".cache" / "tradewright-bench"
    folder = Path(os.environ.get("TRADEWRIGHT_BENCH_FOLDER", default))
    folder.mkdir(parents=True, exist_ok=True)
    results = here / "results.json"
    stored = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    failed = []
    for name in wanted or places:
        print(f"{name}: running (alone: python -m benchmarks {name})", flush=True)
        began, on = time.monotonic(), machine.describe()
        try:
            module = importlib.import_module(places[name])
            rows = [row_of(row) for row in module.run(folder)]
            assert rows, f"the benchmark {name} gave no rows"
        except Exception:  # noqa: BLE001 - one benchmark that fails must not hide the others
            traceback.print_exc()
            print(f"{name}: FAILED; again: python -m benchmarks {name}", flush=True)
            failed.append(name)
            stored.pop(name, None)
            continue
        stored[name] = {
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "seconds": round(time.monotonic() - began),
            "machine": on,
            "note": getattr(module, "NOTE", ""),
            "rows": [row._asdict() for row in rows],
        }
        print(markdown(rows), flush=True)
    results.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    (here / "RESULTS.md").write_text(_page(stored, list(places), machine.versions(folder), failed), encoding="utf-8")
    print(f"wrote {here / 'RESULTS.md'}" + (f"; FAILED: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _page(stored: dict[str, dict[str, object]], names: list[str], peers: str, failed: list[str]) -> str:
    parts = [
        "# Measured beside its peers",
        INTRODUCTION,
        f"Peers, in environments of their own: {peers}.",
    ]
    for name in names:
        entry = stored.get(name)
        if entry is None:
            why = "failed in this run" if name in failed else "not run yet"
            parts += [f"## {name}", f"{why}: `python -m benchmarks {name}`"]
            continue
        rows = [Row(**row) for row in entry["rows"]]  # type: ignore[attr-defined]
        parts += [f"## {name}", f"{entry['date']}, {entry['seconds']} s. {entry['machine']}."]
        parts += [str(entry["note"])] if entry["note"] else []
        parts.append(markdown(rows))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
