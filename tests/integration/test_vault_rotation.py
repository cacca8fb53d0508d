"""Sealed secrets get a new main key, also when that is cut off in the middle, and open nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tradewright.accounts import keys
from tradewright.accounts.keys import Terms
from tradewright.accounts.principal import Signing
from tradewright.app import house, main_key
from tradewright.app.operator import reseal_all, rotate_main_key
from tradewright.errors import Conflict, StorageFailed
from tradewright.settings import Settings
from tradewright.storage import sealed, third_parties
from tradewright.storage.database import Database, Tx
from tradewright.storage.tables import api_keys, authenticators, broker_accounts, source_credentials
from tradewright.storage.vault import Vault, new_main_key

COUNT = 12


def fill(tx: Tx, vault: Vault) -> None:
    for n in range(COUNT):
        person, account = f"usr_{n:02}", f"bra_{n:02}"
        secret = vault.seal(f"totp {n}".encode(), f"authenticators/{person}")
        tx.execute(authenticators.insert().values(user=person, secret=secret, last_step=0, created_at=1))
        credentials = vault.seal(f"broker {n}".encode(), f"broker_accounts/{account}") if n else None
        row = {"id": account, "organization": "org_a", "environment": "live", "broker": "paper", "name": account}
        tx.execute(broker_accounts.insert().values({**row, "credentials": credentials, "created_at": 1}))
        secret = vault.seal(f"source {n}".encode(), f"source_credentials/scr_{n:02}")
        third_parties.keep_credentials(tx, "org_a", f"source{n}", f"scr_{n:02}", secret, 1)
        signing = Signing("hmac-sha256", True) if n % 2 else None
        keys.issue(tx, vault, "org_a", "paper", Terms(f"key {n}", ("market:read",), signing=signing), n)


def opened(tx: Tx, vault: Vault) -> dict[str, bytes]:
    found = {}
    for column in sealed.SEALED:
        for key, secret in tx.execute(sa.select(column.key, column.secret).where(column.secret.is_not(None))):
            found[column.place(key)] = vault.open(secret, column.place(key))
    return found


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """An installation with sealed secrets in every column that holds some."""
    made = Settings(data_folder=tmp_path / "data", database_url="" if "sqlite" in database_url else database_url)
    with house.open_database(made) as database:
        database.write(fill, house.open_vault(made))
    return made


def test_every_sealed_column_is_found_and_sealed_under_the_new_key(settings: Settings) -> None:
    path = main_key.path_in(settings.data_folder)
    with house.open_database(settings) as database:
        before = database.read(opened, house.open_vault(settings))
        done = rotate_main_key(settings, drop_old=False)
        assert done == {
            "new_key": True,
            "resealed": {
                "authenticators": COUNT,
                "api_keys": COUNT // 2,
                "broker_accounts": COUNT - 1,
                "source_credentials": COUNT,
            },
        }
        assert rotate_main_key(settings, drop_old=True) == {"dropped": 1}
        assert len(main_key.read(path)) == 1
        assert path.stat().st_mode & 0o777 == 0o600
        assert database.read(opened, house.open_vault(settings)) == before


def test_a_rotation_that_was_cut_off_goes_on_under_the_same_key(settings: Settings) -> None:
    path = main_key.path_in(settings.data_folder)
    batches = 0

    def cut_off() -> None:
        nonlocal batches
        batches += 1
        if batches == 3:
            raise KeyboardInterrupt

    with house.open_database(settings) as database:
        before = database.read(opened, house.open_vault(settings))
        main_key.add(path)
        with pytest.raises(KeyboardInterrupt):
            reseal_all(database, house.open_vault(settings), batch=5, after_batch=cut_off)
        with pytest.raises(Conflict, match="sealed with an old main key"):
            rotate_main_key(settings, drop_old=True)
        done = rotate_main_key(settings, drop_old=False)
        assert done["new_key"] is False
        assert done["resealed"]["authenticators"] == 0
        assert sum(done["resealed"].values()) == COUNT // 2 + COUNT - 1 + COUNT
        assert len(main_key.read(path)) == 2
        rotate_main_key(settings, drop_old=True)
        assert database.read(opened, house.open_vault(settings)) == before


def test_a_process_that_runs_meanwhile_opens_and_seals_with_the_new_key(settings: Settings) -> None:
    running = house.open_vault(settings)
    held = running.seal(b"held", "api_keys/x")
    rotate_main_key(settings, drop_old=False)
    with house.open_database(settings) as database:
        assert len(database.read(opened, running)) == COUNT + COUNT // 2 + COUNT - 1 + COUNT
        assert database.read(sealed.count_old, running) == 0
    rotate_main_key(settings, drop_old=True)
    fresh = running.seal(b"fresh", "api_keys/x")
    assert house.open_vault(settings).is_current(fresh)
    assert running.open(held, "api_keys/x") == b"held"


def test_keys_of_the_settings_are_not_written_to_a_file(database: Database, tmp_path: Path) -> None:
    old, new = new_main_key(), new_main_key()
    database.write(fill, Vault([old]))
    vault = Vault([new, old])
    assert sum(reseal_all(database, vault).values()) == COUNT + COUNT // 2 + COUNT - 1 + COUNT
    assert len(database.read(opened, Vault([new]))) == COUNT + COUNT // 2 + COUNT - 1 + COUNT


def test_a_secret_that_was_moved_to_another_row_does_not_open(settings: Settings) -> None:
    def move(tx: Tx) -> None:
        secret = sa.select(authenticators.c.secret).where(authenticators.c.user == "usr_00").scalar_subquery()
        tx.execute(authenticators.update().where(authenticators.c.user == "usr_01").values(secret=secret))

    with house.open_database(settings) as database:
        database.write(move)
        with pytest.raises(StorageFailed, match="authenticators/usr_01 does not open"):
            database.read(opened, house.open_vault(settings))
        main_key.add(main_key.path_in(settings.data_folder))
        with pytest.raises(StorageFailed, match="authenticators/usr_01"):
            reseal_all(database, house.open_vault(settings))


def test_every_column_that_is_said_to_be_sealed_is_in_the_table() -> None:
    named = {(column.table.name, column.secret.name) for column in sealed.SEALED}
    assert named == {
        (authenticators.name, "secret"),
        (api_keys.name, "signing_secret"),
        (broker_accounts.name, "credentials"),
        (source_credentials.name, "secret"),
    }
    text = "".join(path.read_text() for path in (Path(sealed.__file__).parent / "tables").glob("*.py"))
    assert text.count("# sealed") == len(named)


def test_two_processes_that_start_together_make_one_main_key(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    made = Settings(data_folder=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        vaults: list[Any] = list(pool.map(house.open_vault, [made] * 16))
    secret = vaults[0].seal(b"x", "a/b")
    assert all(vault.open(secret, "a/b") == b"x" for vault in vaults)
