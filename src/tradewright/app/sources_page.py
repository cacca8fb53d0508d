"""Writes docs/sources.md: `python -m tradewright.app.sources_page > docs/sources.md`."""

from __future__ import annotations

from tradewright.sources.registry import SOURCES
from tradewright.sources.source import Bars, Source

_HEAD = """# Sources of data

Third parties that data can come from. What needs no credentials works at once; the rest wants what the column
*credentials* names, kept by `tradewright sources credentials NAME` or `PUT /v1/sources/{name}/credentials`, or given to
one command as `TRADEWRIGHT_<SOURCE>_<FIELD>`. What an organization's credentials fetched is never shown to another.
`tradewright sources` shows the same list with what has come in, `tradewright sources check` asks each of them.

`TRADEWRIGHT_<SOURCE>_URL` sends the requests of a source to another server, for example `TRADEWRIGHT_BINANCE_URL` to
`https://api.binance.us`; `TRADEWRIGHT_<SOURCE>_STREAM_URL` does the same for its socket. The host is then told by
`tradewright sources` and `check`, as `elsewhere` in `GET /v1/sources/{name}` and in the report of an ingestion, and by
the finding `other_address` of what came from there; nothing else of the address is shown.

Limits are the documented ones of the free plan; `TRADEWRIGHT_<SOURCE>_LIMITS` names others. Those of an hour or longer
are counted over all processes of a data folder, by the credentials, in its folder `quotas`. Shorter ones are counted
within one process, and an ingestion is one: its count begins anew, and a command beside a server counts for itself. A
server has four ingestions at a time, never two from one source for one owner. A source that says it was asked too often
is waited for.
This page is generated.

Bars, facts and actions come in by `tradewright ingest` and `POST /v1/ingestions`, again and again by `tradewright
schedules` and `POST /v1/ingestion-schedules`, streams by `tradewright follow`. Quotes are asked for by `tradewright
sources quote`, listings by `tradewright sources instruments`; with `--keep`, or as an ingestion of the kind
`instruments`, what a source without credentials lists is added to the instruments that can be named. How far bars and
facts can be trusted stands in [quality.md](quality.md).
"""


def page() -> str:
    """Return the page."""
    rows = "\n".join(_row(source) for source in SOURCES.values())
    notes = "\n".join(f"- `{source.name}`: {note}" for source in SOURCES.values() for note in _notes(source))
    return (
        f"{_HEAD}\n| source | what it has | bars of | prices | credentials | limits | example |\n"
        f"|---|---|---|---|---|---|---|\n{rows}\n\n## What else one must know\n\n{notes}\n\n## Licences\n\n"
        + "\n".join(f"- `{source.name}`: {source.licence}" for source in SOURCES.values())
        + "\n"
    )


def _row(source: Source) -> str:
    bars = source.bars
    credentials = ", ".join(f"`{name}`" for name in source.auth.fields) or "none"
    columns = (
        f"`{source.name}` {source.title}",
        ", ".join(source.offers),
        "" if bars is None else " ".join(interval.value for interval in bars.intervals),
        "" if bars is None else _prices(bars),
        credentials + (" (optional)" if source.auth.fields and source.auth.optional else ""),
        "; ".join(str(limit) for limit in source.limits),
        f"`{source.example}`",
    )
    return f"| {' | '.join(columns)} |"


def _prices(bars: Bars) -> str:
    adjusted = [interval.value for interval in bars.intervals if bars.adjusts(interval)]
    raw = [interval.value for interval in bars.intervals if not bars.adjusts(interval)]
    if adjusted and raw:
        return f"adjusted {' '.join(adjusted)}, raw {' '.join(raw)}"
    return "adjusted" if adjusted else "closes" if bars.close_only else "raw"


def _notes(source: Source) -> list[str]:
    found = list(source.notes)
    if source.opt_in:
        found.append(f"off unless `TRADEWRIGHT_SOURCES_OPT_IN` names it: {source.opt_in}")
    if source.auth.where:
        found.append(f"credentials: {source.auth.where}")
    return found


if __name__ == "__main__":
    print(page(), end="")
