"""Commands that serve."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from tradewright.cli.base import Folder, Json, app, settings_of, show


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
    run(settings_of(folder, host=host, port=port, feed=feed, speed=speed), restart_feed, console)


@app.command()
def api(
    folder: Folder = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    as_json: Json = False,
) -> None:
    """Only the HTTP API, on the data folder and database of the settings.

    It runs no jobs and no feed: a backtest, ingestion, export or erasure asked for here waits until `tradewright
    worker` or `tradewright up` runs on the same folder and database.
    """
    from tradewright.app.serve import serve

    def tell(address: str) -> None:
        show({"address": address}, as_json, lambda made: f"Tradewright API serves on {made['address']}")
        sys.stdout.flush()

    serve(settings_of(folder, host=host, port=port), tell)


@app.command()
def worker(folder: Folder = None, as_json: Json = False) -> None:
    """Only the jobs asked for over the API, and schedules: beside `tradewright api`, as many as you like."""
    from tradewright.app.worker import work

    def begun() -> None:
        show({"status": "working"}, as_json, lambda _: "Tradewright works on the jobs that are asked for")
        sys.stdout.flush()

    work(settings_of(folder), begun)


@app.command()
def openapi(as_json: Annotated[bool, typer.Option("--json", help="It is JSON in any case.")] = False) -> None:
    """Print the OpenAPI document."""
    from tradewright.api.documents import document_bytes
    from tradewright.app.house import VERSION

    print(json.dumps(json.loads(document_bytes(VERSION)), indent=2))
