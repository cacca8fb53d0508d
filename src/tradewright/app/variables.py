"""Variables of the environment that look like ours and that nothing reads: most are misspelled."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from tradewright.settings import PREFIX, Settings

_LONG_TAIL = PREFIX + "CCXT_"
_OWN = {PREFIX + name.upper() for name in Settings.__dataclass_fields__ if name != "origins"}
_OTHERS = {PREFIX + name for name in ("SETTINGS", "RECORD", "SOURCES_OPT_IN")}
_OF_A_CHECKOUT = {
    PREFIX + name for name in ("TEST_POSTGRES", "SHARED", "SOAK_REQUESTS", "SOAK_MINUTES", "BENCH_FOLDER")
}


def unread(environ: Mapping[str, str]) -> list[str]:
    """Return a sentence for each TRADEWRIGHT_ variable that nothing reads, ascending by name, with the nearest name."""
    ours = {name for name in environ if name.startswith(PREFIX) and not name.startswith(_LONG_TAIL)}
    ours -= _OWN | _OTHERS | _OF_A_CHECKOUT
    if not ours:
        return []  # without importing the sources
    known = _OWN | _OTHERS | _of_sources()
    return [f"{name} is no setting and is ignored{_meant(name, known)}" for name in sorted(ours - known)]


def _of_sources() -> set[str]:
    from tradewright.sources.registry import SOURCES

    return {
        f"{PREFIX}{source.name.upper()}_{what.upper()}"
        for source in SOURCES.values()
        for what in ("url", "stream_url", "limits", *source.auth.fields)
    }


def _meant(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean {close[0]}?" if close else ""
