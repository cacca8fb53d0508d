"""The command line."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from tradewright import settings as settings_module
from tradewright.errors import InSample, InvalidInput, TooFewRows, TradewrightError
from tradewright.market.instruments import Interval
from tradewright.settings import Settings

app = typer.Typer(
    help="An AI trading engine whose numbers can be trusted.", add_completion=False, pretty_exceptions_enable=False
)  # fmt: skip
keys_app = typer.Typer(help="API keys.")
app.add_typer(keys_app, name="keys")
users_app = typer.Typer(help="People.")
app.add_typer(users_app, name="users")
sources_app = typer.Typer(help="Third parties that data comes from.")
app.add_typer(sources_app, name="sources")
schedules_app = typer.Typer(help="Ingestions again and again.")
app.add_typer(schedules_app, name="schedules")
db_app = typer.Typer(help="The database.")
app.add_typer(db_app, name="db")
vault_app = typer.Typer(help="Sealed secrets.")
app.add_typer(vault_app, name="vault")

_log = logging.getLogger("tradewright.cli")
_INTERRUPTED = 130

Folder = Annotated[Path | None, typer.Option("--data-folder", help="Where everything is kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command line; exit status 0, 1 (failed), 2 (what was asked for is wrong) or 130 (interrupted)."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = app(sys.argv[1:] or ["--help"], prog_name="tradewright", standalone_mode=False) or 0
        if status == _INTERRUPTED:
            _failed("cancelled", "interrupted; what was stored stays, run it again to go on", status)
        sys.stdout.flush()
    except TradewrightError as error:
        status = _failed(error.code, error.message, exit_status(error))
    except typer.TyperException as error:
        status = _misused(error)
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except MemoryError as error:
        status = _failed("internal_error", f"there is not enough memory for this: {error}; ask for less at a time", 1)
    except Exception as error:  # noqa: BLE001 - the outermost edge: a person is told, a log has the traceback
        _log.debug("a fault", exc_info=True)
        hint = "please report it; with TRADEWRIGHT_LOG_LEVEL=debug it says where it happened"
        status = _failed("internal_error", f"a fault of Tradewright ({type(error).__name__}: {error}); {hint}", 1)
    sys.exit(status)


def exit_status(error: TradewrightError) -> int:
    """Return the exit status of a command that ended with `error`: 2 where what was asked for is wrong, else 1."""
    return 2 if isinstance(error, InvalidInput) and not isinstance(error, TooFewRows | InSample) else 1


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt  # whoever ends us gets what Ctrl-C gets: what was stored stays


def _misused(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = "tradewright" if context is None else context.command_path
    return _failed("usage", f"{error.format_message().rstrip('.')}; `{path} --help` says how", 2)


def _failed(code: str, message: str, status: int) -> int:
    if "--json" in sys.argv:
        print(json.dumps({"error": {"code": code, "message": message}}), flush=True)
    print(f"error: {message}", file=sys.stderr)
    return status


def _settings(folder: Path | None = None, **overrides: Any) -> Settings:
    loaded = settings_module.load(overrides={"data_folder": folder, **overrides})
    logging.basicConfig(level=loaded.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    return loaded


def _show(value: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    if as_json:  # msgspec writes what is not finite as null: JSON has no word for it
        print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    else:
        print(text(value))


@app.command()
def up(
    folder: Folder = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    feed: Annotated[str | None, typer.Option(help="live, replay, or auto: live where a source answers.")] = None,
    speed: Annotated[str | None, typer.Option(help="Rows of the replay per second, or max.")] = None,
    restart_feed: Annotated[
        bool, typer.Option("--restart-feed", help="A new feed session with a new portfolio; auto chooses again.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Everything on this machine: data, model, paper trading, the API and the jobs asked for over it."""
    from tradewright.app.console import Console, JsonConsole
    from tradewright.app.up import up as run

    console = JsonConsole() if as_json else Console()
    run(_settings(folder, host=host, port=port, feed=feed, speed=speed), restart_feed, console)


@app.command()
def api(
    folder: Folder = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    as_json: Json = False,
) -> None:
    """Only the HTTP API, on the data folder and database of the settings.

    It runs no jobs and no feed: a backtest asked for here waits in the queue until `tradewright up` runs on the same
    folder or database.
    """
    from tradewright.app.serve import serve

    def tell(address: str, _: Any) -> None:
        _show({"address": address}, as_json, lambda made: f"Tradewright API serves on {made['address']}")
        sys.stdout.flush()

    serve(_settings(folder, host=host, port=port), tell)


@app.command()
def openapi(as_json: Annotated[bool, typer.Option("--json", help="It is JSON in any case.")] = False) -> None:
    """Print the OpenAPI document."""
    from tradewright.api.documents import document_bytes
    from tradewright.app.house import VERSION

    print(json.dumps(json.loads(document_bytes(VERSION)), indent=2))


@app.command()
def ingest(
    source: Annotated[str, typer.Argument(help="A data set, a source, or a CSV file.")],
    instruments: Annotated[list[str] | None, typer.Argument(help="Instrument ids, for a source or a file.")] = None,
    interval: Annotated[Interval | None, typer.Option(help="Length of a bar; 1d when left out.")] = None,
    start: Annotated[
        str | None, typer.Option(help="First bar time, RFC 3339 or a date; left out: where the stored series ends.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="Last bar time, RFC 3339 or a date; left out: now.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Fetch or read bars, check them, keep them. From a source, without --start, what came since the last time.

    Exit status 1 when they are rejected, too.
    """
    from tradewright.app.commands import ingest as run

    length = None if interval is None else interval.value
    report = run(_settings(folder), source, instruments or [], length, start, end, _progress(as_json))
    _show(report, as_json, _ingest_text)
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

    def say(text: str) -> None:
        print(text, file=sys.stderr if as_json else sys.stdout, flush=True)

    counts = run(_settings(folder), source, instruments, interval.value, say)
    _show(counts, as_json, lambda made: ", ".join(f"{count} {name}" for name, count in made.items() if count))


@sources_app.callback(invoke_without_command=True)
def sources(context: typer.Context, folder: Folder = None, as_json: Json = False) -> None:
    """Third parties that data can come from: what they offer, what they need, and whether they answer."""
    if context.invoked_subcommand is None:
        from tradewright.app.source_commands import listed
        from tradewright.app.texts import sources_text

        _show(listed(_settings(folder)), as_json, sources_text)


@sources_app.command("check")
def check_sources(
    names: Annotated[list[str] | None, typer.Argument(help="Sources; all without names.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Ask sources for something small and show what came. Exit status 1 when one that was asked did not answer."""
    from tradewright.app.source_commands import check
    from tradewright.app.texts import checks_text

    rows = check(_settings(folder), names or [], _progress(as_json))
    _show(rows, as_json, checks_text)
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

    rows = quote(_settings(folder), source, instruments)
    _show(rows, as_json, quotes_text)
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

    _show(listing(_settings(folder), source, search, limit, keep, _progress(as_json)), as_json, listing_text)


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
        _show(forget_credentials(_settings(folder), source), as_json, lambda done: f"forgot those of {done['source']}")
        return
    fields = find(source).auth.fields
    if sys.stdin.isatty():
        given = {name: typer.prompt(name, hide_input=True) for name in fields}
    else:
        parts = (line.partition("=") for line in sys.stdin.read().splitlines() if line.strip())
        given = {name.strip(): value.strip() for name, _, value in parts}
    _show(keep_credentials(_settings(folder), source, given), as_json, lambda done: f"kept those of {done['source']}")


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

    made = add(_settings(folder), source, instruments, interval.value, every)
    _show(made, as_json, lambda row: f"{row['id']}: turns from {row['next_at'][:19]}Z on, while `tradewright up` runs")


@schedules_app.command("list")
def schedules_list(folder: Folder = None, as_json: Json = False) -> None:
    """The schedules there are, and what became of the last turn of each."""
    from tradewright.app.schedule_commands import listed
    from tradewright.app.texts import schedules_text

    _show(listed(_settings(folder)), as_json, schedules_text)


@schedules_app.command("pause")
def schedules_pause(
    schedule: Annotated[str, typer.Argument(metavar="ID")], folder: Folder = None, as_json: Json = False
) -> None:
    """No more turns until it is resumed. What it has asked for goes on."""
    from tradewright.app.schedule_commands import pause

    _show(pause(_settings(folder), schedule), as_json, lambda row: f"paused {row['id']}")


@schedules_app.command("resume")
def schedules_resume(
    schedule: Annotated[str, typer.Argument(metavar="ID")], folder: Folder = None, as_json: Json = False
) -> None:
    """Turns again, as if it were new."""
    from tradewright.app.schedule_commands import resume

    _show(
        resume(_settings(folder), schedule), as_json, lambda row: f"{row['id']}: its next turn is at {row['next_at']}"
    )


@schedules_app.command("remove")
def schedules_remove(
    schedule: Annotated[str, typer.Argument(metavar="ID")], folder: Folder = None, as_json: Json = False
) -> None:
    """End a schedule. What it brought in stays."""
    from tradewright.app.schedule_commands import remove

    _show(remove(_settings(folder), schedule), as_json, lambda row: f"removed {row['id']}")


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

    _show(run(_settings(folder)), as_json, lambda rows: catalog_text(rows, verdict is not None))


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

    _show(run(_settings(folder), instrument, source, name, start, end, as_of, limit), as_json, facts_text)


@app.command()
def train(
    data: Annotated[str, typer.Option(help="Data set.")] = "us-stocks",
    horizon: Annotated[int, typer.Option(help="Bars ahead.")] = 5,
    splits: Annotated[int, typer.Option(help="Walk-forward folds.")] = 8,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Train a model schedule by purged walk-forward, evaluate it, keep it with its evidence."""
    from tradewright.app.commands import train as run

    _show(run(_settings(folder), data, horizon, splits, _progress(as_json)), as_json, _train_text)


@app.command()
def backtest(
    strategy: Annotated[str, typer.Argument(help="Name, as GET /v1/strategies lists it.")],
    data: Annotated[str | None, typer.Option(help="Data set.")] = None,
    instruments: Annotated[list[str] | None, typer.Option("--instruments", help="Instead: instrument ids.")] = None,
    interval: Annotated[Interval, typer.Option(help="Length of a bar.")] = Interval.DAY,
    param: Annotated[list[str] | None, typer.Option(help="name=value, once for each.")] = None,
    cash: Annotated[float, typer.Option(help="Starting cash.")] = 1_000_000.0,
    fee_rate: Annotated[float | None, typer.Option(help="Instead of the default costs.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the HTML report here.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Test a strategy on past data; counted as a trial when the data folder exists."""
    from tradewright.app.commands import backtest as run

    result = run(
        _settings(folder),
        strategy,
        data,
        instruments,
        interval.value,
        param or [],
        cash,
        fee_rate,
        report,
        _progress(as_json),
    )
    _show(result, as_json, _backtest_text)


@app.command()
def signals(
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20, folder: Folder = None, as_json: Json = False
) -> None:
    """The newest signals."""
    from tradewright.app.commands import signals as run

    _show(run(_settings(folder), limit), as_json, _signals_text)


@app.command()
def report(
    backtest_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a backtest.")],
    output: Annotated[Path, typer.Option(help="Where to write the HTML.")] = Path("report.html"),
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Write the HTML report of a backtest that was asked for over the API to a file."""
    from tradewright.app.commands import report as run

    run(_settings(folder), backtest_id, output)
    _show({"backtest": backtest_id, "report": str(output)}, as_json, lambda made: f"wrote {made['report']}")


@keys_app.command("create")
def keys_create(
    environment: Annotated[str, typer.Option(help="sandbox, paper or live.")] = "paper",
    name: Annotated[str, typer.Option(help="What it is for.")] = "key",
    scope: Annotated[list[str] | None, typer.Option(help="Once for each; all when left out.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Make an API key; it is shown once."""
    from tradewright.app.commands import create_key

    made = create_key(_settings(folder), environment, name, scope)
    _show(made, as_json, lambda key: f"{key['key']}\n(shown only now; id {key['id']})")


@keys_app.command("list")
def keys_list(folder: Folder = None, as_json: Json = False) -> None:
    """The keys of this installation, without their secrets."""
    from tradewright.app.commands import list_keys

    _show(list_keys(_settings(folder)), as_json, _keys_text)


@keys_app.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(metavar="ID")], folder: Folder = None, as_json: Json = False
) -> None:
    """End a key now."""
    from tradewright.app.commands import revoke_key

    revoke_key(_settings(folder), key)
    _show({"id": key, "state": "revoked"}, as_json, lambda made: f"revoked {made['id']}")


@db_app.command("upgrade")
def db_upgrade(folder: Folder = None, as_json: Json = False) -> None:
    """Create or migrate every table."""
    from tradewright.app.operator import upgrade_database

    _show(upgrade_database(_settings(folder)), as_json, lambda made: f"the tables are at revision {made['revision']}")


@db_app.command("grant")
def db_grant(
    role: Annotated[str, typer.Argument(help="A PostgreSQL role that exists.")],
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Let a PostgreSQL role serve: rows of every table, of the audit log only reading and adding."""
    from tradewright.app.operator import grant_role

    _show(grant_role(_settings(folder), role), as_json, lambda made: "\n".join(made["statements"]))


@vault_app.command("rotate")
def vault_rotate(
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Forget the old main keys, once nothing needs them.")] = (
        False
    ),
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Seal every secret under a new main key; cut off, it goes on where it was."""
    from tradewright.app.operator import rotate_main_key

    _show(rotate_main_key(_settings(folder), drop_old), as_json, _rotate_text)


@users_app.command("invite")
def users_invite(
    email: Annotated[str, typer.Argument(metavar="EMAIL")],
    role: Annotated[str, typer.Option(help="owner, admin, trader, researcher, developer or viewer.")] = "viewer",
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Ask somebody to join the organization of this installation; the token is shown once."""
    from tradewright.app.people_commands import invite_user

    made = invite_user(_settings(folder), email, role)
    _show(
        made,
        as_json,
        lambda one: (
            f"{one['token']}\n(shown only now; {one['email']} joins as {one['role']} by sending it as "
            f"`invitation` to POST /v1/auth/register before {one['expires_at']})"
        ),
    )


@users_app.command("list")
def users_list(folder: Folder = None, as_json: Json = False) -> None:
    """The people of this installation."""
    from tradewright.app.people_commands import list_users

    found = list_users(_settings(folder))
    _show(found, as_json, lambda rows: "\n".join(f"{row['id']:31} {row['email']:32} {row['name']}" for row in rows))


@users_app.command("reset")
def users_reset(
    email: Annotated[str, typer.Argument(metavar="EMAIL")], folder: Folder = None, as_json: Json = False
) -> None:
    """Let somebody set a new password; the token is shown once."""
    from tradewright.app.people_commands import reset_user

    made = reset_user(_settings(folder), email)
    _show(
        made,
        as_json,
        lambda one: (
            f"{one['token']}\n(shown only now; send it with `new_password` to POST /v1/auth/reset before "
            f"{one['expires_at']}; second factors stay)"
        ),
    )


@users_app.command("recover")
def users_recover(
    email: Annotated[str, typer.Argument(metavar="EMAIL")], folder: Folder = None, as_json: Json = False
) -> None:
    """Take the second factors away from somebody who lost them, and end their sessions."""
    from tradewright.app.people_commands import remove_factors

    done = remove_factors(_settings(folder), email)
    _show(
        done,
        as_json,
        lambda one: (
            f"{one['email']} has no second factor now; removed: {'codes and ' if one['codes'] else ''}"
            f"{one['passkeys']} passkey(s); ended: {one['sessions_ended']} session(s). The password alone suffices "
            "until a new factor is added"
        ),
    )


@app.command()
def doctor(
    show_settings: Annotated[bool, typer.Option("--settings", help="Print the settings with their origin.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Check the installation and say how to mend it."""
    from tradewright.app.doctor import examine

    loaded = _settings(folder)
    if show_settings:
        rows = settings_module.describe(loaded)
        _show(rows, as_json, lambda r: "\n".join(f"{x['name']:14} {x['value']:32} {x['origin']}" for x in r))
        return
    found = examine(loaded)
    _show(found, as_json, lambda r: "\n".join(f"{'ok  ' if x['ok'] else 'MEND'} {x['what']}: {x['detail']}" for x in r))
    if not all(item["ok"] for item in found):
        raise typer.Exit(1)


@app.command()
def bench(
    only: Annotated[list[str] | None, typer.Argument(help="Names of benchmarks; all when left out.")] = None,
    as_json: Json = False,
) -> None:
    """Measure side by side with peers; needs a source checkout (its `benchmarks` folder)."""
    from tradewright.app.commands import bench as run

    status = run(only or [], quiet=as_json)
    if as_json:
        _show({"status": status}, as_json, str)
    raise typer.Exit(status)


def _progress(quiet: bool) -> Callable[[float, str], None]:
    def tell(fraction: float, message: str) -> None:
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[2K[{fraction:4.0%}] {message}" + ("\n" if fraction >= 1 else ""))
            sys.stderr.flush()

    return tell


def _ingest_text(report: dict[str, Any]) -> str:
    if report["rows_read"] == 0:
        lines = [f"nothing to do, it is in the catalog already; verdict: {report['verdict']}"]
    else:
        kept = f"{report['accepted']} accepted ({report['stored']} of them new), {report['rejected']} to quarantine"
        lines = [
            f"{report['rows_read']} rows read: {kept}, {report['duplicates']} identical duplicates",
            f"verdict: {report['verdict']}",
        ]
    for finding in report["findings"]:
        lines.append(f"  {finding['severity']:8} {finding['instrument']:16} {finding['code']}: {finding['detail']}")
    return "\n".join(lines)


def _train_text(made: dict[str, Any]) -> str:
    return f"{made['schedule']}: evidence {made['evidence']}\n{made['reason']}"


def _backtest_text(result: dict[str, Any]) -> str:
    return str(result["text"])


def _signals_text(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "there are no signals yet"
    lines = [f"{'bar time':21} {'instrument':14} {'direction':9} {'p':>6} {'expected':>9} status"]
    for row in rows:
        lines.append(
            f"{row['bar_time']:21} {row['instrument']:14} {row['direction']:9} {row['probability']:6.3f} "
            f"{row['expected_return']:9.4f} {row['status']}"
        )
    return "\n".join(lines)


def _rotate_text(made: dict[str, Any]) -> str:
    if "dropped" in made:
        return f"{made['dropped']} old main key(s) forgotten"
    sealed = ", ".join(f"{count} of {table}" for table, count in made["resealed"].items())
    return f"{'a new main key; ' if made['new_key'] else ''}sealed anew: {sealed}"


def _keys_text(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'id':31} {'environment':11} {'name':20} {'created':27} state"]
    lines += [
        f"{row['id']:31} {row['environment']:11} {row['name']:20} {row['created_at']:27} {row['state']}" for row in rows
    ]
    return "\n".join(lines)
