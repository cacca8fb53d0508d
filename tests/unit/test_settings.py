"""Settings: their order, their origin, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradewright.errors import SettingsInvalid
from tradewright.settings import describe, load


def test_the_command_line_beats_a_variable_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "tradewright.toml"
    file.write_text('port = 1\nhost = "a"\ndata_set = "b"\n')
    loaded = load({"TRADEWRIGHT_PORT": "2", "TRADEWRIGHT_HOST": "c"}, file, {"port": 3, "speed": None})
    assert (loaded.port, loaded.host, loaded.data_set, loaded.replay_rows) == (3, "c", "b", 500)
    origins = {row["name"]: row["origin"] for row in describe(loaded)}
    assert origins["port"] == "command line"
    assert origins["host"] == "TRADEWRIGHT_HOST"
    assert origins["data_set"] == str(file)
    assert origins["speed"] == "default"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "did you mean port"),
        ("port = 70000", "between 0 and 65535"),
        ("port = true", "port must be"),
        ("speed = -1", "between"),
        ('log_level = "loud"', "one of debug"),
        ("replay_rows = 0", "between 1"),
        ("port = 1\nspeed == 2", "line 2"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_reason(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "tradewright.toml"
    file.write_text(text)
    with pytest.raises(SettingsInvalid, match=said) as caught:
        load({}, file)
    assert str(file) in caught.value.message


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot read"):
        load({"TRADEWRIGHT_SETTINGS": str(tmp_path / "none.toml")})


def test_max_speed_is_no_waiting_and_secrets_are_masked() -> None:
    loaded = load({"TRADEWRIGHT_DATABASE_URL": "postgresql://u:secret@h/d"}, overrides={"speed": "max"})
    assert loaded.speed == 0
    assert "secret" not in str(describe(loaded))
