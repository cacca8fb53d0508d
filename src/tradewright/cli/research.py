"""Commands about models, backtests and signals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tradewright.cli.base import Folder, Json, app, progress, settings_of, show
from tradewright.market.instruments import Interval


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

    show(run(settings_of(folder), data, horizon, splits, progress(as_json)), as_json, _train_text)


@app.command()
def backtest(
    strategy: Annotated[str, typer.Argument(help="Name, as GET /v1/strategies lists it.")],
    data: Annotated[str | None, typer.Option(help="Data set.")] = None,
    instruments: Annotated[list[str] | None, typer.Option("--instruments", help="Instead: instrument ids.")] = None,
    interval: Annotated[Interval, typer.Option(help="Length of a bar.")] = Interval.DAY,
    source: Annotated[str | None, typer.Option(help="Whose bars, where several sources have the instruments.")] = None,
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
        settings_of(folder),
        strategy,
        data,
        instruments,
        interval.value,
        param or [],
        cash,
        fee_rate,
        report,
        progress(as_json),
        source,
    )
    show(result, as_json, _backtest_text)


@app.command()
def signals(
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20, folder: Folder = None, as_json: Json = False
) -> None:
    """The newest signals."""
    from tradewright.app.commands import signals as run

    show(run(settings_of(folder), limit), as_json, _signals_text)


@app.command()
def report(
    backtest_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a backtest.")],
    output: Annotated[Path, typer.Option(help="Where to write the HTML.")] = Path("report.html"),
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Write the HTML report of a backtest that was asked for over the API to a file."""
    from tradewright.app.commands import report as run

    run(settings_of(folder), backtest_id, output)
    show({"backtest": backtest_id, "report": str(output)}, as_json, lambda made: f"wrote {made['report']}")


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
