"""Commands about data: where it comes from, what there is."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tradewright.cli.base import Folder, Json, app, progress, schedules_app, settings_of, show, sources_app
from tradewright.market.instruments import Interval


@app.command()
def ingest(
    source: Annotated[str, typer.Argument(help="A data set, a source, or a CSV file.")],
    instruments: Annotated[list[str] | None, typer.Argument(help="Instrument ids, for a source or a file.")] = None,
    interval: Annotated[Interval | None, typer.Option(help="Length of a bar; 1d when left out.")] = None,
    start: Annotated[
        str | None, typer.Option(help="First bar time, RFC 3339 or a date; left out: where the stored series ends.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="Last bar time, RFC 3339 or a date; left out: now.")] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--as", help="Name of the source that a file is to be, to tell files apart; `file` when left out."
        ),
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Of the prices of a file; the one that the instrument implies when left out.")
    ] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Fetch or read bars, check them, keep them. From a source, without --start, what came since the last time.

    Exit status 1 when they are rejected, too.
    """
    from tradewright.app.ingest_commands import ingest as run
    from tradewright.app.texts import ingest_text

    length = None if interval is None else interval.value
    report = run(settings_of(folder), source, instruments or [], length, start, end, progress(as_json), name, currency)
    show(report, as_json, ingest_text)
    if report["verdict"] == "rejected":
        bad = [f"{f['instrument']} {f['code']}" for f in report["findings"] if f["severity"] == "rejected"]
        hint = "what could be used is stored, the rest is in quarantine; `tradewright catalog verdict` shows why"
        print(f"error: the data is rejected ({', '.join(bad)}); {hint}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def follow(
    source: Annotated[str, typer.Argument(help="A source with a stream.")],
    instruments: Annotated[list[str], typer.Argument(help="Instrument ids.")],
    interval: Annotated[Interval, typer.Option(help="Length of a bar.")] = Interval.MINUTE,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Stream bars into the catalog as they close, until Ctrl-C. One that was not seen whole comes from the history."""
    from tradewright.app.follow import follow as run
    from tradewright.app.texts import follow_text

    def say(text: str) -> None:
        print(text, file=sys.stderr if as_json else sys.stdout, flush=True)

    counts = run(settings_of(folder), source, instruments, interval.value, say)
    show(counts, as_json, follow_text)


@sources_app.callback(invoke_without_command=True)
def sources(context: typer.Context, folder: Folder = None, as_json: Json = False) -> None:
    """Third parties that data can come from: what they offer, what they need, and whether they answer."""
    if context.invoked_subcommand is None:
        from tradewright.app.source_commands import listed
        from tradewright.app.texts import sources_text

        show(listed(settings_of(folder)), as_json, sources_text)


@sources_app.command("check")
def check_sources(
    names: Annotated[list[str] | None, typer.Argument(help="Sources; all without names.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Ask sources for something small and show what came. Exit status 1 when one that was asked did not answer."""
    from tradewright.app.source_commands import check
    from tradewright.app.texts import checks_text

    rows = check(settings_of(folder), names or [], progress(as_json))
    show(rows, as_json, checks_text)
    if any(row["status"] in ("failed", "limited", "refused") for row in rows):
        raise typer.Exit(1)


@sources_app.command("quote")
def source_quote(
    source: Annotated[str, typer.Argument(help="Whom to ask.")],
    instruments: Annotated[list[str], typer.Argument(help="Instrument ids.")],
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """The latest prices that a source has now, and how old they are. Exit status 1 when there is none of one."""
    from tradewright.app.live_commands import quote
    from tradewright.app.texts import quotes_text

    rows = quote(settings_of(folder), source, instruments)
    show(rows, as_json, quotes_text)
    if any(row["price"] is None for row in rows):
        raise typer.Exit(1)


@sources_app.command("instruments")
def source_instruments(
    source: Annotated[str, typer.Argument(help="Whom to ask.")],
    search: Annotated[str, typer.Option(help="Only what holds this text.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Show so many at most.")] = 50,
    keep: Annotated[bool, typer.Option("--keep", help="Add what trades there to those that can be named.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """The instruments that a source lists now."""
    from tradewright.app.live_commands import listing
    from tradewright.app.texts import listing_text

    show(listing(settings_of(folder), source, search, limit, keep, progress(as_json)), as_json, listing_text)


@sources_app.command("credentials")
def source_credentials(
    source: Annotated[str, typer.Argument(help="Whose credentials.")],
    forget: Annotated[bool, typer.Option("--forget", help="Forget those that are kept.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Keep the credentials of a source, sealed. They are asked for, or read as lines of name=value from a pipe."""
    from tradewright.app.source_commands import forget_credentials, keep_credentials
    from tradewright.sources.registry import source as find

    if forget:
        show(forget_credentials(settings_of(folder), source), as_json, lambda done: f"forgot those of {done['source']}")
        return
    fields = find(source).auth.fields
    if sys.stdin.isatty():
        given = {name: typer.prompt(name, hide_input=True) for name in fields}
    else:
        parts = (line.partition("=") for line in sys.stdin.read().splitlines() if line.strip())
        given = {name.strip(): value.strip() for name, _, value in parts}
    show(keep_credentials(settings_of(folder), source, given), as_json, lambda done: f"kept those of {done['source']}")


@schedules_app.command("add")
def schedules_add(
    source: Annotated[str, typer.Argument(help="A source.")],
    instruments: Annotated[list[str], typer.Argument(help="Instrument ids.")],
    every: Annotated[str, typer.Option(help="15m, 1h, 4h, 1d, or a time of day in UTC such as 06:30.")],
    interval: Annotated[Interval, typer.Option(help="Length of a bar.")] = Interval.DAY,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Ask a source again and again for what is new, while `tradewright up` runs."""
    from tradewright.app.schedule_commands import add

    made = add(settings_of(folder), source, instruments, interval.value, every)
    show(made, as_json, lambda row: f"{row['id']}: turns from {row['next_at'][:19]}Z on, while `tradewright up` runs")


@schedules_app.command("list")
def schedules_list(folder: Folder = None, as_json: Json = False) -> None:
    """The schedules there are, and what became of the last turn of each."""
    from tradewright.app.schedule_commands import listed
    from tradewright.app.texts import schedules_text

    show(listed(settings_of(folder)), as_json, schedules_text)


@schedules_app.command("pause")
def schedules_pause(
    schedule: Annotated[str, typer.Argument(metavar="ID")], folder: Folder = None, as_json: Json = False
) -> None:
    """No more turns until it is resumed. What it has asked for goes on."""
    from tradewright.app.schedule_commands import pause

    show(pause(settings_of(folder), schedule), as_json, lambda row: f"paused {row['id']}")


@schedules_app.command("resume")
def schedules_resume(
    schedule: Annotated[str, typer.Argument(metavar="ID")], folder: Folder = None, as_json: Json = False
) -> None:
    """Turns again, as if it were new."""
    from tradewright.app.schedule_commands import resume

    show(
        resume(settings_of(folder), schedule), as_json, lambda row: f"{row['id']}: its next turn is at {row['next_at']}"
    )


@schedules_app.command("remove")
def schedules_remove(
    schedule: Annotated[str, typer.Argument(metavar="ID")], folder: Folder = None, as_json: Json = False
) -> None:
    """End a schedule. What it brought in stays."""
    from tradewright.app.schedule_commands import remove

    show(remove(settings_of(folder), schedule), as_json, lambda row: f"removed {row['id']}")


@app.command()
def catalog(
    verdict: Annotated[str | None, typer.Argument(help="`verdict` shows the findings too.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """What series there are and how far to trust them."""
    from tradewright.app.commands import catalog as run

    if verdict not in (None, "verdict"):
        raise typer.BadParameter(f"{verdict!r}; write `tradewright catalog` or `tradewright catalog verdict`")
    from tradewright.app.texts import catalog_text

    show(run(settings_of(folder)), as_json, lambda rows: catalog_text(rows, verdict is not None))


@app.command()
def facts(
    instrument: Annotated[str, typer.Argument(help="Whose: macro:GDP, equity:AAPL.")],
    as_of: Annotated[str | None, typer.Option(help="Only what was known then, RFC 3339 or a date.")] = None,
    start: Annotated[str | None, typer.Option(help="First end of a period.")] = None,
    end: Annotated[str | None, typer.Option(help="Last end of a period.")] = None,
    source: Annotated[str | None, typer.Option(help="Only from this source.")] = None,
    name: Annotated[str | None, typer.Option(help="Only this concept, such as us-gaap:Revenues.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="So many, the newest.")] = 100,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """The facts of an instrument: end of the period, value, since when it was known, and from where."""
    from tradewright.app.fact_commands import facts as run
    from tradewright.app.texts import facts_text

    show(run(settings_of(folder), instrument, source, name, start, end, as_of, limit), as_json, facts_text)
