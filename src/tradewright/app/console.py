"""What `up` says on the terminal."""

from __future__ import annotations

import json
import sys
from typing import Any

from tradewright.app.feeds import Choice
from tradewright.clock import format_us
from tradewright.market.verdicts import DataVerdict

_ADVICE = {
    "none": "no evidence: its signals are candidates, traded on paper only",
    "weak": "weak evidence: its signals are candidates, traded on paper only",
    "supported": "supported: its signals are promoted",
    "leaking": "leaking: the model saw what it could not have known; do not use it",
}


def command_name() -> str:
    """Return how this program was called, for lines that a person copies."""
    called = sys.argv[0]
    return f"{sys.executable} -m tradewright" if called.endswith("__main__.py") else called


class Console:
    """Lines for a person; progress in place on a terminal, one line a step elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._open = False
        self._last = ""

    def say(self, text: str = "") -> None:
        """Print a line."""
        if self._open:
            sys.stdout.write("\n")
            self._open = False
        print(text, flush=True)

    def address(self, url: str) -> None:
        """Where it is served."""
        self._url = url
        self.say(f"Tradewright serves on {url}   reference: {url}/docs")

    def first_key(self, key: str) -> None:
        """The first API key, shown once."""
        self.say(f"\nYour first API key (paper environment; shown only now, keep it):\n\n  {key}\n")

    def progress(self, fraction: float, message: str) -> None:
        """How far the preparation is."""
        line = f"[{fraction:4.0%}] {message}"
        if self._live:
            sys.stdout.write(f"\r\x1b[2K{line}")
            sys.stdout.flush()
            self._open = True
        elif line != self._last:
            self.say(line)
        self._last = line

    def feed(self, choice: Choice) -> None:
        """Which feed is being prepared, and why that one."""
        what = (
            f"{choice.interval} bars of {choice.source}" if choice.mode == "live" else f"history of {choice.data_set}"
        )
        self.say(f"Preparing the {choice.mode} feed: {what} ({choice.why})")

    def ready(self, made: dict[str, Any], session: dict[str, Any], verdict: DataVerdict) -> None:
        """The evidence, the feed, and what to do next."""
        self.say()
        self.say(f"Model   {made['schedule']}, trained on {made['data_set']} until {made['trained_until']}")
        self.say(f"        evidence: {_ADVICE[made['evidence']]}")
        self.say(f"        {made['reason']}")
        findings = ", ".join(sorted({finding.code for finding in verdict.findings})) or "no findings"
        self.say(f"Data    {verdict.verdict.label}: {findings}")
        if session["mode"] == "live":
            choice = made["choice"]
            names = ", ".join(choice["instruments"])
            self.say(f"Feed    live, {choice['interval']} bars from {choice['source']}: {names}")
        else:
            left = session["rows"] - session["next_row"]
            self.say(f"Feed    replay of real history, {left} of {session['rows'] - session['start_row']} rows to come")
        key = "-H 'Authorization: Bearer tw_paper_...'"
        self.say(f"Next    curl {key} '{self._url}/v1/signals?limit=5'")
        self.say(f"        curl {key} {self._url}/v1/portfolios")
        self.say(f"        {command_name()} backtest moving_average_cross --data {made['data_set']}")
        self.say("Stop with Ctrl-C; starting it again goes on where it was.")

    def row(self, time_us: int, left: int | None) -> None:
        """A row was handled. left: how many are to come, None for a live feed."""
        if self._live:
            said = "live at" if left is None else "replay at"
            more = "" if left is None else f", {left} rows to come"
            sys.stdout.write(f"\r\x1b[2K{said} {format_us(time_us)}{more}")
            sys.stdout.flush()
            self._open = True

    def state(self, degraded: bool, text: str) -> None:
        """The live feed became degraded, or delivers again. text: what is wrong and since when."""
        self.say(text)

    def ended(self) -> None:
        """The replay is over."""
        self.say("The replay has ended. `tradewright up --restart-feed` begins it anew with a new portfolio.")

    def failed(self, message: str) -> None:
        """Something stopped the engine."""
        self.say(f"error: {message}")


class JsonConsole(Console):
    """The same for a program: one JSON object a line, told apart by `event`."""

    def say(self, text: str = "") -> None:
        """{"event": "message", "text"}."""
        self._write("message", text=text)

    def address(self, url: str) -> None:
        """{"event": "serving", "address"}."""
        self._write("serving", address=url)

    def first_key(self, key: str) -> None:
        """{"event": "first_key", "key"}."""
        self._write("first_key", key=key)

    def progress(self, fraction: float, message: str) -> None:
        """{"event": "progress", "fraction", "message"}."""
        self._write("progress", fraction=fraction, message=message)

    def feed(self, choice: Choice) -> None:
        """{"event": "preparing", "feed", "why", "source", "data_set"}."""
        self._write("preparing", feed=choice.mode, why=choice.why, source=choice.source, data_set=choice.data_set)

    def ready(self, made: dict[str, Any], session: dict[str, Any], verdict: DataVerdict) -> None:
        """{"event": "ready", ...}: the model with its evidence, the data verdict, the feed, the rows still to come
        (null for a live one)."""
        findings = sorted({finding.code for finding in verdict.findings})
        left = None if session["rows"] is None else session["rows"] - session["next_row"]
        facts = {"model": made, "data_verdict": verdict.verdict.label, "findings": findings}
        self._write("ready", **facts, feed=session["mode"], rows_to_come=left)

    def row(self, time_us: int, left: int | None) -> None:
        """Nothing: the stream of the rows is the API's."""

    def state(self, degraded: bool, text: str) -> None:
        """{"event": "degraded" or "recovered", "message"}."""
        self._write("degraded" if degraded else "recovered", message=text)

    def ended(self) -> None:
        """{"event": "replay_ended"}."""
        self._write("replay_ended")

    def failed(self, message: str) -> None:
        """{"event": "failed", "message"}."""
        self._write("failed", message=message)

    def _write(self, event: str, **facts: Any) -> None:
        print(json.dumps({"event": event, **facts}), flush=True)
