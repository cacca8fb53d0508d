"""Whatever is appended, in whatever order and batches, the catalog answers with the latest row of every bar."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tradewright.ids import SYSTEM, Owner
from tradewright.market.catalog import Catalog
from tradewright.market.frames import SCHEMA, VALUES
from tradewright.storage import tail
from tradewright.storage.database import Database
from tradewright.storage.migrations import upgrade

DAY = 86_400_000_000
numbers = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=32))
rows = st.fixed_dictionaries(
    {
        "source": st.just("s"),
        "instrument": st.sampled_from(["crypto:A-USD", "crypto:B-USD"]),
        "interval": st.just("1d"),
        "time": st.integers(-40, 40).map(lambda day: day * DAY),
        "known_at": st.integers(0, 3),
        "observed_at": st.integers(0, 3),
        **dict.fromkeys(VALUES, numbers),
    }
)
batches = st.lists(st.tuples(st.booleans(), st.lists(rows, max_size=12)), min_size=1, max_size=4)


def _latest(everything: list[dict[str, object]], as_of: int | None, before: int | None) -> list[tuple[object, ...]]:
    def order(row: dict[str, object]) -> tuple[object, ...]:
        values = [(row[v] is not None, row[v] if row[v] is not None else 0.0) for v in VALUES]
        return (row["observed_at"], row["known_at"], *values)

    best: dict[object, dict[str, object]] = {}
    for row in everything:
        if as_of is not None and row["known_at"] > as_of:  # type: ignore[operator]
            continue
        if before is not None and row["observed_at"] >= before:  # type: ignore[operator]
            continue
        key = (row["instrument"], row["time"])
        if key not in best or order(row) > order(best[key]):  # type: ignore[operator]
            best[key] = row
    return [tuple(best[key][name] for name in SCHEMA) for key in sorted(best)]  # type: ignore[type-var]


@settings(max_examples=25, deadline=None)
@given(batches, st.one_of(st.none(), st.integers(0, 3)), st.one_of(st.none(), st.integers(0, 4)), st.booleans())
def test_read_after_append_is_the_latest_of_what_was_appended(
    given_batches: list[tuple[bool, list[dict[str, object]]]], as_of: int | None, before: int | None, late: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/t.db") as database:
        upgrade(database)
        catalog = Catalog(Path(folder), database)
        everything: list[dict[str, object]] = []
        for number, (live, batch) in enumerate(given_batches):
            everything += batch
            if live:
                database.write(tail.insert, SYSTEM, batch)
            elif batch:
                catalog.append(SYSTEM, pl.DataFrame(batch, schema=SCHEMA), f"b{number}")
        if late:
            catalog.flush()
            catalog.compact("1d")
        answer = catalog.read(Owner("org_a"), "s", None, "1d", as_of_us=as_of, recorded_before_us=before)
        assert answer.rows() == _latest(everything, as_of, before)
