"""Findings about how a series came in, beside what its rows say.

| code             | severity | what it says                                                                 |
| ---------------- | -------- | ---------------------------------------------------------------------------- |
| released_rows    | usable   | rejected rows that a person released count as bars                           |
| actions_refused  | usable   | raw prices of a share of which the source did not give splits and dividends  |
| actions_left_out | usable   | what the source told of is no split and no dividend in the share's currency  |
| mixed_adjustment | suspect  | some bars of an adjusted source are on the scale of before a split           |
| revised          | usable   | history is filled in without vintages                                        |
| other_address    | usable   | rows came from another address than the source's own                         |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tradewright.clock import format_us
from tradewright.market.dated import LeftOuts
from tradewright.market.frames import VALUES
from tradewright.market.records import finding_from_json
from tradewright.market.verdicts import Finding, Verdict


def release_findings(rows: Sequence[Mapping[str, Any]], whole: pl.DataFrame, instrument: str) -> list[Finding]:
    """Return what was released and counts. rows: of table `quarantine` that were released. whole: the bars that count;
    a row in whose place another bar came since is none of them."""
    times = {row["time"] for row in rows}
    among = whole.filter(pl.col("time").is_in(list(times))).select("time", *VALUES)
    bars = {time: values for time, *values in among.rows()}
    counts = Counter(row["code"] for row in rows if bars.get(row["time"]) == [row["row"].get(name) for name in VALUES])
    if not counts:
        return []
    number = counts.total()
    codes = ", ".join(f"{count} of {code}" for code, count in sorted(counts.items()))
    detail = f"{number} rejected rows were released by a person and count as bars: {codes}"
    return [Finding("released_rows", Verdict.USABLE, detail, instrument, number)]


@dataclass(frozen=True, slots=True)
class Said:
    """What an ingestion learned of a series beside its rows. None: nothing, so it is as it was; "": that there is no
    such finding any more.

    actions_refused: why the source gave no splits and dividends. actions_left_out: what it told of beside them.
    adjusted_apart: why bars are on several scales.
    """

    actions_refused: str | None = None
    actions_left_out: LeftOuts | None = None
    adjusted_apart: str | None = None


NOTHING_SAID = Said()
REVISED = Finding(
    "revised",
    Verdict.USABLE,
    "history is filled in without vintages: a value may not be what was published at its time",
)
_SHOWN, _ON = 5, " on "  # of what was left out: days in its text, and what stands before them
_UNKNOWN = "splits and dividends are not known, so a split is a loss and a dividend nothing: "


def said_findings(said: Said, instrument: str, row: Mapping[str, Any] | None, pre_adjusted: bool) -> list[Finding]:
    """Return the findings of what was learned, or those from before when nothing was. row: of table `series`, None for
    a new one. pre_adjusted: the source adjusts its prices, and only then they can be mixed; else its splits and
    dividends are needed."""
    stored = [] if row is None else [finding_from_json(each) for each in row["findings"]]
    if pre_adjusted:
        return _told("mixed_adjustment", Verdict.SUSPECT, said.adjusted_apart, instrument, stored)
    refused = said.actions_refused and _UNKNOWN + said.actions_refused
    left_out = [finding for finding in stored if finding.code == "actions_left_out"]
    if said.actions_left_out is not None:
        left_out = _left_out(said.actions_left_out, left_out, instrument)
    return _told("actions_refused", Verdict.USABLE, refused, instrument, stored) + left_out


def _told(code: str, severity: Verdict, why: str | None, instrument: str, before: Sequence[Finding]) -> list[Finding]:
    if why is None:
        return [finding for finding in before if finding.code == code]
    return [Finding(code, severity, why, instrument)] if why else []


def _left_out(answer: LeftOuts, before: Sequence[Finding], instrument: str) -> list[Finding]:
    # one finding for each kind, which its text begins with; what an answer does not tell of stays: so all are named
    times = {
        finding.detail.rpartition(_ON)[0]: [at for at in finding.rows if not answer.start_us <= at <= answer.end_us]
        for finding in before
    }
    for each in answer.told:
        times.setdefault(each.what, []).append(each.time_us)
    return [_left_out_of(what, sorted(at), instrument) for what, at in times.items() if at]


def _left_out_of(what: str, times: Sequence[int], instrument: str) -> Finding:
    days = ", ".join(format_us(at)[:10] for at in times[:_SHOWN])
    more = f" and {len(times) - _SHOWN} more" if len(times) > _SHOWN else ""
    detail = f"{what}{_ON}{days}{more}: left out, so its move of the price stands as a gain or a loss"
    return Finding("actions_left_out", Verdict.USABLE, detail, instrument, len(times), tuple(times))


def address_findings(elsewhere: str, instrument: str, row: Mapping[str, Any] | None) -> list[Finding]:
    """Return from which other hosts than the source's own a series came, one finding for each; those of earlier
    ingestions stay, since their rows do. elsewhere: the host of this one, "" for the source's own. row: as above."""
    stored = [] if row is None else [finding_from_json(each) for each in row["findings"]]
    before = [finding for finding in stored if finding.code == "other_address"]
    if not elsewhere:
        return before
    detail = f"rows came from {elsewhere}, which a setting names in the place of the source's own address"
    if any(finding.detail == detail for finding in before):
        return before
    return [*before, Finding("other_address", Verdict.USABLE, detail, instrument)]
