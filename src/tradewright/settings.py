"""Settings: defaults, then `tradewright.toml`, then `TRADEWRIGHT_*` variables, each value with its origin."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tradewright.errors import SettingsInvalid, UnknownName

PREFIX = "TRADEWRIGHT_"
FILE_NAME = "tradewright.toml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process was told. `origins` says where each value came from."""

    data_folder: Path = Path("tradewright-data")
    database_url: str = ""  # empty: SQLite in the data folder; else postgresql://user:password@host/name
    host: str = "127.0.0.1"
    port: int = 8000
    feed: str = "auto"  # live, replay, or auto: live coins when a source that needs no key answers, else the replay
    feed_source: str = ""  # of the live feed; empty: the first of coinbase, binance, okx, bybit that answers
    feed_instruments: str = ""  # of the live feed, between commas; empty: BTC, ETH, SOL, XRP and ADA
    feed_interval: str = "5m"  # of the live feed
    feed_days: int = 60  # of history that the model of a live feed learns from
    data_set: str = "us-stocks"  # what the replay plays
    speed: float = 0.2  # rows of the replay per second; 0 means as fast as possible
    replay_rows: int = 500  # rows at the end of the data set that the feed replays and no training touches
    log_level: str = "warning"
    database_replica_url: str = ""  # a PostgreSQL replica that may answer what can be a moment old
    cache_url: str = ""  # Valkey or Redis: redis://host:6379/0; empty: each process keeps its own limits
    main_keys: str = ""  # keys that seal secrets, the newest first, between commas; empty: main.key in the data folder
    site_url: str = ""  # where people reach this, as https://api.example.com; empty: http at host and port
    cors_origins: str = ""  # browser origins that may call the API, between commas
    trusted_proxies: str = ""  # networks of the gateways whose X-Forwarded-For is believed, between commas
    registration: str = "auto"  # open, invitation, or auto: open when only this machine can reach it
    key_limit: int = 3_000  # units a minute of one API key or session
    organization_limit: int = 12_000  # units a minute of one organization
    address_limit: int = 6_000  # units a minute from one address
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def resolved_database_url(self) -> str:
        """The database address, with the embedded default filled in."""
        return self.database_url or f"sqlite:///{self.embedded_file}"

    @property
    def embedded_file(self) -> Path:
        """Where the embedded database is kept, unless another one is set."""
        return self.data_folder / "tradewright.db"


_NAMES = {f.name: f for f in fields(Settings) if f.name != "origins"}
SECRET = frozenset({"database_url", "database_replica_url", "cache_url", "main_keys"})


def load(
    environ: Mapping[str, str] | None = None, file: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings of this process.

    file: the toml file to read; default `tradewright.toml` in the working folder when it exists. overrides: values of
    the command line, None meaning not given. Raises SettingsInvalid, naming the file or variable, the value and what
    would be right.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins = dict.fromkeys(_NAMES, "default")
    path = file or Path(environ.get(PREFIX + "SETTINGS", FILE_NAME))
    for name, value in _read(path, required=file is not None or PREFIX + "SETTINGS" in environ).items():
        values[name], origins[name] = _convert(name, value, str(path)), str(path)
    for name in _NAMES:
        variable = PREFIX + name.upper()
        if variable in environ:
            values[name], origins[name] = _convert(name, environ[variable], variable), variable
    for name, value in (overrides or {}).items():
        if value is not None:
            values[name], origins[name] = _convert(name, value, f"--{name.replace('_', '-')}"), "command line"
    return Settings(**values, origins=origins)


def _read(path: Path, required: bool) -> dict[str, Any]:
    if not path.exists() and not required:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(
            f"cannot read the settings file {path}: {error}; mend the line, or move the file away to use the defaults",
            file=str(path),
        ) from error
    for name in table:
        if name not in _NAMES:
            hint = UnknownName.of("setting", name, _NAMES).message
            raise SettingsInvalid(f"{path}: {hint}", file=str(path), name=name)
    return table


def _convert(name: str, value: Any, origin: str) -> Any:
    kind: Any = type(_NAMES[name].default)
    try:
        if isinstance(value, bool) or (isinstance(value, float) and kind is int):
            raise ValueError
        if name == "speed" and value == "max":
            value = 0.0
        result = kind(value)
    except (TypeError, ValueError):
        raise SettingsInvalid(f"{origin}: {name} must be {_WORDS[kind]}, got {value!r}", name=name) from None
    low, high = _BOUNDS.get(name, (None, None))
    if low is not None and not low <= result <= high:
        raise SettingsInvalid(f"{origin}: {name} must lie between {low} and {high}, got {value!r}", name=name)
    if name in _CHOICES and result not in _CHOICES[name]:
        raise SettingsInvalid(f"{origin}: {name} must be one of {', '.join(_CHOICES[name])}, got {value!r}", name=name)
    return result


_BOUNDS: dict[str, tuple[float, float]] = {
    "port": (0, 65_535),
    "speed": (0.0, 1e6),
    "replay_rows": (1, 1_000_000),
    "feed_days": (1, 3_660),
    "key_limit": (1, 60_000_000),
    "organization_limit": (1, 60_000_000),
    "address_limit": (1, 60_000_000),
}
_WORDS = {int: "a whole number", float: "a number", str: "text", Path: "a path"}
_CHOICES = {
    "feed": ("auto", "live", "replay"),
    "log_level": ("debug", "info", "warning", "error"),
    "registration": ("auto", "open", "invitation"),
}


def describe(settings: Settings) -> list[dict[str, str]]:
    """Return name, value and origin of every setting, secrets masked."""
    rows = []
    for name in _NAMES:
        value = getattr(settings, name)
        shown = "********" if name in SECRET and value else str(value)
        rows.append({"name": name, "value": shown, "origin": settings.origins.get(name, "default")})
    return rows
