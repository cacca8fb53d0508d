"""Results as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def evidence_reason(result: Any) -> str:
    """Return the reasons of a judgement as one text."""
    return "; ".join([*result.judgement.reasons, result.judgement.to_know_more])


def backtest_text(result: Any, report: Path | None) -> str:
    """Return what a person wants to know of a backtest: evidence, equity, figures with n and interval, findings.

    report: where the report was written, None when it was not.
    """
    lines = [
        f"evidence: {result.evidence.label}; data: {result.data_verdict.verdict.label}",
        evidence_reason(result),
        f"equity {result.equity[-1]:,.2f} after {len(result.fills)} fills",
    ]
    lines += [f"  {name:34} {_figure(figure)}" for name, figure in result.statistics.items()]
    lines += _findings([*result.findings, *result.data_verdict.findings])
    if report is not None:
        lines.append(f"report: {report}")
    return "\n".join(lines)


def _figure(figure: Any) -> str:
    if figure.value is None:
        return f"none: {figure.reason}"
    text = f"{figure.value:,.0f}" if abs(figure.value) >= 1e5 else f"{figure.value:.6g}"
    if figure.low is not None and figure.high is not None:
        text += f"  (95 % {figure.low:.4g} to {figure.high:.4g})"
    return text + (f"  n={figure.n}" if figure.n is not None else "")


def _findings(findings: Iterable[Any]) -> list[str]:
    grouped: dict[str, list[Any]] = {}
    for finding in findings:
        grouped.setdefault(finding.code, []).append(finding)
    lines = []
    for code, group in grouped.items():
        about = ", ".join(sorted({f.instrument for f in group if f.instrument}))
        more = f" (and {len(group) - 1} more like it)" if len(group) > 1 else ""
        lines.append(f"  finding {code}{': ' + about if about else ''}: {group[0].detail}{more}")
    return lines


def sources_text(rows: list[dict[str, Any]]) -> str:
    """Return the sources as a table, with what they still need below."""
    lines = [f"{'source':18} {'has':34} {'credentials':12} {'series':>6} {'state':10} what it is"]
    for row in rows:
        without = "needed" if row["needs"] else "optional" if row["optional"] else "none"
        needs = "kept" if row["credentials"] else without
        state = "off" if row["opt_in"] else row["status"]
        lines.append(
            f"{row['source']:18} {' '.join(row['offers']):34} {needs:12} {row['series']:>6} {state:10} {row['title']}"
        )
    bad = [row for row in rows if row["status"] == "degraded"]
    lines += [f"{row['source']} is degraded since {row['since']}: {row['said']}" for row in bad]
    lines += [
        f"{row['source']} is asked at {row['elsewhere']}, which a setting names" for row in rows if row["elsewhere"]
    ]
    if any(row["needs"] and not row["credentials"] for row in rows):
        lines.append("`tradewright sources credentials NAME` hands in what is needed")
    return "\n".join(lines)


def checks_text(rows: list[dict[str, Any]]) -> str:
    """Return what came of asking the sources, those that answered first."""
    order = ("answers", "limited", "refused", "failed", "not asked")
    lines = []
    for row in sorted(rows, key=lambda row: order.index(row["status"])):
        took = "" if row["ms"] is None else f"{row['ms']} ms"
        where = f" (asked at {row['elsewhere']}, which a setting names)" if row["elsewhere"] else ""
        lines.append(f"{row['source']:18} {row['status']:10} {took:>8}  {row['said']}{where}")
    counts = [(status, sum(row["status"] == status for row in rows)) for status in order]
    return "\n".join([*lines, ", ".join(f"{count} {status}" for status, count in counts if count)])


def facts_text(rows: list[dict[str, Any]]) -> str:
    """Return facts as a table."""
    wide = max(len(row["name"]) for row in rows)
    lines = [f"{'period_end':20} {'value':>18} {'unit':10} {'known_at':20} {'source':16} {'name':{wide}}".rstrip()]
    lines += [
        f"{row['period_end']:20} {row['value']:>18,.10g} {row['unit']:10} {row['known_at']:20} {row['source']:16} "
        f"{row['name']}".rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def schedules_text(rows: list[dict[str, Any]]) -> str:
    """Return the schedules of ingestions as a table, with what became of the last turn of each below it."""
    if not rows:
        return "there is no schedule; `tradewright schedules add SOURCE INSTRUMENT... --every 1d` makes one"
    lines = [f"{'id':31} {'source':16} {'interval':8} {'every':6} {'next turn':21} last"]
    for row in rows:
        turn = f"{row['next_at'][:19]}Z" if row["next_at"] else "paused"
        last = f"{row['last_status']} {row['last_at'][:16]}".strip()
        lines.append(f"{row['id']:31} {row['source']:16} {row['interval']:8} {row['every']:6} {turn:21} {last}")
        lines.append(f"    {' '.join(row['instruments'])}{': ' if row['last_message'] else ''}{row['last_message']}")
    return "\n".join(lines)


def quotes_text(rows: list[dict[str, Any]]) -> str:
    """Return quotes as a table; those that the source does not have say so."""
    lines = [f"{'instrument':18} {'price':>14} {'bid':>14} {'ask':>14} {'age':>8} time"]
    for row in rows:
        prices = " ".join(f"{'' if row[name] is None else f'{row[name]:.8g}':>14}" for name in ("price", "bid", "ask"))
        age = _age(None if row["age_s"] is None else int(row["age_s"]))
        lines.append(f"{row['instrument']:18} {prices} {age:>8} {row['said'] or row['time']}")
    return "\n".join(lines)


def listing_text(found: dict[str, Any]) -> str:
    """Return what a source lists as a table, with how much it is below."""
    rows = found["data"]
    lines = [f"{'instrument':22} {'symbol':22} {'trades':6} name"] if rows else []
    lines += [
        f"{row['instrument']:22} {row['symbol']:22} {'yes' if row['active'] else 'no':6} {row['name']}" for row in rows
    ]
    more = found["matching"] - len(rows)
    hidden = f"; {more} more match: narrow it with --search, or raise --limit" if more else ""
    skipped = f", {found['skipped']} entries that are nothing we know" if found["skipped"] else ""
    lines.append(f"{found['listed']} instruments listed{skipped}; {found['matching']} match{hidden}")
    if (kept := found["kept"]) is not None:
        lines.append(
            f"kept: {kept['listed']} trade there, {kept['added']} instruments were new, {kept['changed']} names say "
            f"something else than before, {kept['ended']} lead nowhere any more"
        )
    return "\n".join(lines)


def catalog_text(rows: list[dict[str, Any]], findings: bool) -> str:
    """Return the series as a table: what came from where, how old its newest bar is, how far to trust it."""
    if not rows:
        return "there is no data yet; run `tradewright up` or `tradewright ingest us-stocks`"
    head = f"{'instrument':18} {'interval':8} {'source':10} {'rows':>8} {'first':20} {'last':20} {'age':>8} {'due':>6}"
    lines = [f"{head} {'prices':8} verdict"]
    for row in rows:
        lines.append(
            f"{row['instrument']:18} {row['interval']:8} {row['source']:10} {row['rows']:>8} {row['first']:20} "
            f"{row['last']:20} {_age(row['age_s']):>8} {row['due']:>6} {row['prices']:8} {row['verdict']}"
        )
        if findings:
            lines.append(f"    checked {row['checked_at']}")
            lines += [f"    {f['code']}: {f['detail']}" for f in row["findings"]]
    return "\n".join(lines)


def _age(seconds: int | None) -> str:
    if seconds is None:
        return ""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length * 2:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def ingest_text(report: dict[str, Any]) -> str:
    """Return what a person wants to know of an ingestion: rows, verdict, findings, what its sources said together."""
    if report["rows_read"] == 0:
        lines = [f"nothing to do, it is in the catalog already; verdict: {report['verdict']}"]
    else:
        again = f", {report['revised']} in the place of other values" if report["revised"] else ""
        new = f"{report['stored'] - report['revised']} of them new{again}"
        kept = f"{report['accepted']} accepted ({new}), {report['rejected']} to quarantine"
        lines = [
            f"{report['rows_read']} rows read: {kept}, {report['duplicates']} identical duplicates",
            f"verdict: {report['verdict']}",
        ]
    if report["revised"] and report.get("source"):
        whose = f"of the series of `{report['source']}`"
        lines.append(f"they replace bars {whose}; `--as NAME` keeps another file in a series of its own")
    if report.get("elsewhere"):
        lines.append(f"asked at {report['elsewhere']}, which a setting names in the place of the source's own address")
    if report.get("actions_taken_back"):
        lines.append(
            f"{report['actions_taken_back']} splits or dividends that the source no longer tells were taken back"
        )
    if report.get("actions_missing"):
        lines.append(
            f"{report['actions_missing']} splits or dividends were not in the answer, which looks cut off; they stay"
        )
    for each in report["findings"]:
        lines.append(f"  {each['severity']:8} {each['instrument']:16} {each['code']}: {each['detail']}")
    for compared in report.get("compared", ()):
        lines += _compared_text(compared)
    return "\n".join(lines)


def follow_text(made: dict[str, Any]) -> str:
    """Return what came of a stream, and what its source and others say together."""
    counts = ", ".join(f"{count} {name}" for name, count in made.items() if count and name != "compared")
    return "\n".join([counts, *(line for each in made["compared"] for line in _compared_text(each))])


def _compared_text(compared: dict[str, Any]) -> list[str]:
    name, sources, findings = compared["instrument"], ", ".join(compared["sources"]), compared["findings"]
    if not findings:
        return [f"{name} compared between {sources}: no finding"]
    told = [f"  {each['severity']:8} {each['source']:16} {each['code']}: {each['detail']}" for each in findings]
    return [f"{name} compared between {sources}:", *told]
