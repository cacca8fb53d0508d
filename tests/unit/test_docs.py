"""What the documents say is so."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from tradewright import errors
from tradewright.api.problems import CATALOGUE
from tradewright.app import sources_page
from tradewright.app.errors_page import page
from tradewright.cli import app, exit_status
from tradewright.errors import TradewrightError
from tradewright.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
    if ".venv" not in path.parts
)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_example_of_the_readme_runs_as_written(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", text("README.md"), re.DOTALL)
    assert found is not None
    (tmp_path / "example.py").write_text(found[1])
    environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"equity [\d,]+ after \d+ fills", done.stdout)
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_every_setting_is_described_with_its_variable_and_default() -> None:
    described = text("docs/settings.md")
    for setting in fields(Settings):
        if setting.name != "origins":
            default = f"`{setting.default}`" if setting.default != "" else "empty"
            assert f"| `{setting.name}` | `{PREFIX}{setting.name.upper()}` | {default} |" in described


def test_every_variable_that_the_code_reads_is_described() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    described = text("docs/settings.md")
    read = set(re.findall(rf'"({PREFIX}[A-Z_]+[A-Z])"', sources))
    assert all(f"`{name}`" in described for name in read)
    assert f"`{PREFIX}<SOURCE>_URL`" in described


def commands(group: Any, path: str) -> list[str]:
    """Every command below a group, as it is typed."""
    found = getattr(group, "commands", None)
    if found is None:
        return [path]
    own = [path] if getattr(group, "invoke_without_command", False) else []
    return own + [name for key, inner in found.items() for name in commands(inner, f"{path} {key}")]


def test_every_command_is_described_and_every_described_one_exists() -> None:
    exist = commands(typer.main.get_command(app), "tradewright")
    described = re.findall(r"(?m)^\| `(tradewright [a-z ]+)` \|", text("docs/commands.md"))
    assert sorted(described) == sorted(exist)


ONLY_OVER_HTTP = {
    "unauthenticated", "wrong_credentials", "second_factor_required", "forbidden", "rate_limited",
    "idempotency_running",
}  # fmt: skip


def test_how_a_command_ends_is_described_for_every_error() -> None:
    table = dict(re.findall(r"(?m)^\| `([a-z_]+)` \| (\d)\b", text("docs/commands.md")))
    assert table.pop("usage") == "2"
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TradewrightError)]
    assert table == {kind.code: str(exit_status(kind())) for kind in kinds if kind.code not in ONLY_OVER_HTTP}


def test_every_command_takes_json() -> None:
    root = typer.main.get_command(app)
    for path in commands(root, ""):
        command: Any = root
        for word in path.split():
            command = command.commands[word]
        assert any("--json" in option.opts for option in command.params), path


def test_every_error_class_has_a_code_of_the_catalogue() -> None:
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.TradewrightError):
            assert kind.code in CATALOGUE


def test_the_page_of_error_codes_is_fresh() -> None:
    assert text("docs/errors.md") == page(), "write it anew: python -m tradewright.app.errors_page > docs/errors.md"
    assert all(f"| `{code}` |" in page() for code in CATALOGUE)


def test_the_page_of_sources_is_fresh() -> None:
    assert text("docs/sources.md") == sources_page.page(), (
        "write it anew: python -m tradewright.app.sources_page > docs/sources.md"
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (document.parent / target).exists(), target


def test_every_place_named_in_the_tour_of_the_house_exists() -> None:
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", text("docs/house.md")))
    assert len(named) > 40
    missing = [name for name in named if not (ROOT / "src/tradewright" / name).exists()]
    assert not missing


def test_every_name_of_code_in_the_tour_of_the_house_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)`[^`|\n]{0,40}`(\w+)(?:\.(\w+))?(?:\(.*?\))?`", text("docs/house.md"))
    assert len(named) > 5
    for file, *words in named:
        source = text(f"src/tradewright/{file}")
        for word in filter(None, words):
            assert re.search(rf"\b{word}\b", source), (file, word)


def test_the_words_of_the_glossary_are_sorted_and_each_stands_once() -> None:
    words = re.findall(r"(?m)^\| ([^|]+?) \|", text("docs/glossary.md"))[1:]
    words = [word for word in words if not word.startswith("---")]
    assert len(words) > 30
    assert words == sorted(set(words))
