"""Findings about how a series came in, beside what its rows say.

| code            | severity | what it says                                                                  |
| --------------- | -------- | ----------------------------------------------------------------------------- |
| released_rows   | usable   | rejected rows that a person released count as bars                            |
| actions_refused | usable   | raw prices of a share of which the source did not give splits and dividends   |
| mixed_adjustment | suspect | some bars of an adjusted source are on the scale of before a split or dividend  |
| other_address   | usable   | rows came from another address than the source's own                          |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

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

    actions_refused: why the source gave no splits and dividends. adjusted_apart: why bars are on several scales.
    """

    actions_refused: str | None = None
    adjusted_apart: str | None = None


NOTHING_SAID = Said()
_UNKNOWN = "splits and dividends are not known, so a split is a loss and a dividend nothing: "


def said_findings(said: Said, instrument: str, row: Mapping[str, Any] | None, pre_adjusted: bool) -> list[Finding]:
    """Return the findings of what was learned, or those from before when nothing was. row: of table `series`, None for
    a new one. pre_adjusted: the source adjusts its prices, and only then they can be mixed; else its splits and
    dividends are needed."""
    code, severity, what, why = ("actions_refused", Verdict.USABLE, _UNKNOWN, said.actions_refused)
    if pre_adjusted:
        code, severity, what, why = ("mixed_adjustment", Verdict.SUSPECT, "", said.adjusted_apart)
    if why is None:
        before = [] if row is None else [finding_from_json(each) for each in row["findings"]]
        return [finding for finding in before if finding.code == code]
    return [Finding(code, severity, what + why, instrument)] if why else []


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
