"""Recorded answers of the ECB and of the Bank of Canada become the rates a person reads in them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from recorded import LATE, bars_query, json_answer, recorded
from source_checks import assert_damage_fails, assert_symbols, assert_unknown, prices, times
from tradewright.clock import parse_us
from tradewright.errors import SourceFailed, SourceLimited, UnknownName
from tradewright.sources import bank_of_canada, ecb
from tradewright.transport.messages import Response

DOLLAR = bars_query(ecb.SOURCE, "fx:EUR-USD")
CANADA = bars_query(bank_of_canada.SOURCE, "fx:CAD-USD")


def packed(*files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for at, body in enumerate(files):
            archive.writestr(f"{at}.csv", body)
    return made.getvalue()


def test_recorded_rates_end_with_their_day(shared: Path) -> None:
    plain = recorded(shared, "ecb", "fx_rates__eurofxref-hist-csv-2023-2024")
    page = ecb.parse_bars(Response(200, packed(plain.body), (), LATE), DOLLAR)
    assert times(page.bars)[0] == "2024-06-29T00:00:00Z"
    assert prices(page.bars)[0] == (None, None, None, 1.0705, None)
    yen = ecb.parse_bars(plain, bars_query(ecb.SOURCE, "JPY"))  # also as it is, not packed
    assert yen.bars["close"][0] == 171.94
    on_the_day = recorded(shared, "ecb", "fx_rates__eurofxref-hist-csv-2023-2024", parse_us("2024-06-28T18:00:00Z"))
    assert times(ecb.parse_bars(on_the_day, DOLLAR).bars)[0] == "2024-06-28T00:00:00Z"


def test_days_on_which_a_currency_was_not_quoted_are_left_out(shared: Path) -> None:
    old = recorded(shared, "ecb", "fx_rates__eurofxref-hist-csv-1999")
    days = ecb.parse_bars(old, DOLLAR).bars.height
    assert (days, ecb.parse_bars(old, bars_query(ecb.SOURCE, "EUR-CYP")).bars.height) == (days, days)
    assert ecb.parse_bars(old, bars_query(ecb.SOURCE, "BGN")).bars.height == 0
    with pytest.raises(UnknownName, match=r"'XXX'.*no column.*fx:EUR-USD"):
        ecb.parse_bars(old, bars_query(ecb.SOURCE, "EUR-XXX"))


def test_the_columns_of_the_table_are_listed(shared: Path) -> None:
    page = ecb.parse_listing(recorded(shared, "ecb", "fx_rates__eurofxref-hist-csv-2023-2024"))
    active = {one.instrument.id: one.active for one in page.listed}
    assert len(active) == 41
    assert (active["fx:EUR-USD"], active["fx:EUR-CYP"]) == (True, False)
    assert page.skipped == 0


def test_what_is_no_table_is_a_failure(shared: Path) -> None:
    for parse in (ecb.parse_listing, lambda answer: ecb.parse_bars(answer, DOLLAR)):
        assert_damage_fails(
            parse,
            b"PK no archive",
            packed(b"Date,USD,\n2024-01-02,1.0,\n")[:-30],
            packed(b"Date,USD,\n", b"Date,USD,\n"),
            b"USD,JPY\n1,2\n",
            b"Date,USD,\n2024-01-02,1.0\n",
        )
    for odd in (b"Date,USD,\nsoon,1.0,\n", b"Date,USD,\n2024-01-02,dear,\n"):
        with pytest.raises(SourceFailed, match=r"expected"):
            ecb.parse_bars(Response(200, odd, (), LATE), DOLLAR)
    for name in ("error_no_data__eurofxref-hist-empty", "fx_rates__eurofxref-hist-partial"):
        with pytest.raises(SourceFailed, match=r"page for people"):
            ecb.parse_bars(recorded(shared, "ecb", name), DOLLAR)
    with pytest.raises(SourceFailed, match=r"refused \(503\)"):
        ecb.parse_bars(Response(503, b"x", (), LATE), DOLLAR)


def test_recorded_rates_of_the_canadian_dollar(shared: Path) -> None:
    page = bank_of_canada.parse_bars(recorded(shared, "bank_of_canada", "fx_rates__recent"), CANADA)
    assert times(page.bars)[:2] == ["2021-01-05T00:00:00Z", "2021-01-06T00:00:00Z"]
    assert page.bars["close"].to_list()[:2] == [0.7843, 0.787]
    assert times(page.bars)[-1] == "2021-01-08T00:00:00Z"


def test_canadian_refusals_and_damage() -> None:
    with pytest.raises(UnknownName, match=r"'FXCADUSD'.*not found.*fx:USD-CAD"):
        bank_of_canada.parse_bars(json_answer({"message": "Series FXCADXXX not found."}, 404), CANADA)
    with pytest.raises(SourceLimited, match=r"slow down"):
        bank_of_canada.parse_bars(Response(429, b"", (), LATE), CANADA)
    assert_damage_fails(
        lambda answer: bank_of_canada.parse_bars(answer, CANADA),
        b"{}",
        b'{"observations": [{"d": "soon", "FXCADUSD": {"v": "1"}}]}',
        b'{"observations": [{"d": "2024-01-02", "FXCADUSD": {"v": "dear"}}]}',
        b'{"observations": [{"d": "2024-01-02", "FXCADUSD": 1}]}',
        b'{"observations": [{"FXCADUSD": {"v": "1"}}]}',
    )
    holiday = {"observations": [{"d": "2024-01-01"}, {"d": "2024-01-02", "FXCADUSD": {"v": "0.75"}}]}
    assert bank_of_canada.parse_bars(json_answer(holiday), CANADA).bars.height == 1


def test_symbols_lead_back_and_requests_are_as_documented() -> None:
    assert_symbols(ecb.SOURCE, ("USD", "fx:EUR-USD"), ("CYP", "fx:EUR-CYP"))
    assert_unknown(ecb.SOURCE, "fx:USD-EUR", "EUR", "equity:AAPL", "no such thing")
    assert ecb.bars_request(DOLLAR).url == "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip"
    assert_symbols(bank_of_canada.SOURCE, ("FXUSDCAD", "fx:USD-CAD"), ("FXCADUSD", "fx:CAD-USD"))
    assert_unknown(bank_of_canada.SOURCE, "fx:EUR-USD", "CAD-CAD", "no such thing")
    request = bank_of_canada.bars_request(CANADA.at(parse_us("2021-01-05"), parse_us("2021-01-09")))
    assert request.url == "https://www.bankofcanada.ca/valet/observations/FXCADUSD/json"
    assert request.query == (("start_date", "2021-01-04"), ("end_date", "2021-01-09"))
    assert ecb.SOURCE.bars is not None
    assert ecb.SOURCE.bars.close_only
