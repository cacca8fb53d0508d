"""Nasdaq Data Link, formerly Quandl: series of economics and commodities; with a free key.

`GET /api/v3/datasets/<database>/<code>.json` answers `{dataset: {column_names, data}}`, an array a row, the first
column a date, newest first unless `order=asc`. Refusals are `{quandl_error: {code, message}}`. The service does not
tell when a value came, which may be weeks after its day, nor what it was before it was revised: so a value counts as
known from the moment it was received.
Source: Nasdaq Data Link API documentation.
"""

from __future__ import annotations

import re
from typing import Any

from tradewright.clock import DAY_US
from tradewright.market.instruments import Instrument, Kind
from tradewright.sources import answers, symbols
from tradewright.sources.rows import arrays_of, days, numbers
from tradewright.sources.source import Auth, Credentials, Facts, FactsPage, Source, SpanQuery
from tradewright.sources.tables import asked_days, facts_frame, midnight_us
from tradewright.transport.messages import Request, Response
from tradewright.transport.pace import Limit

NAME, TITLE, EXAMPLE = "nasdaq_data_link", "Nasdaq Data Link", "macro:EIA.PET-RBRTE-D"
BASE_URL = "https://data.nasdaq.com"
VINTAGES = False
_CODE = re.compile(r"[A-Z0-9]+/[A-Z0-9_]+")


def instrument_of(text: str) -> Instrument:
    """Return the instrument of `EIA/PET_RBRTE_D` or `macro:EIA.PET-RBRTE-D`. Raises UnknownName."""
    kind, symbol = symbols.split(text)
    code = symbol.replace(".", "/", 1).replace("-", "_") if kind == "macro" else symbol
    if kind not in ("", "macro") or not _CODE.fullmatch(code):
        raise symbols.no_such(text, TITLE, EXAMPLE)
    return symbols.series(f"macro:{code.replace('/', '.').replace('_', '-')}", TITLE, EXAMPLE)


def symbol_of(instrument: Instrument) -> str:
    """Return what Nasdaq calls a series: `macro:EIA.PET-RBRTE-D` is `EIA/PET_RBRTE_D`."""
    return instrument.symbol.replace(".", "/", 1).replace("-", "_")


def sign(request: Request, credentials: Credentials) -> Request:
    """Return the request with the key in its header."""
    return request.saying(X_Api_Token=credentials["api_key"])


def facts_request(query: SpanQuery) -> Request:
    """Return the request for the rows of a span."""
    first, last = asked_days(query.start_us, query.end_us)
    asked = (("start_date", first), ("end_date", last), ("order", "asc"))
    return Request(f"{BASE_URL}/api/v3/datasets/{query.symbol}.json", query=asked)


def parse_facts(response: Response, query: SpanQuery) -> FactsPage:
    """Return the values of every column, or of those named; a column that is alone and called Value has no name."""
    dataset = _read(response, query.symbol).get("dataset")
    names = dataset.get("column_names") if isinstance(dataset, dict) else None
    rows = dataset.get("data") if isinstance(dataset, dict) else None
    if not isinstance(names, list) or not isinstance(rows, list) or len(names) < 2:
        raise answers.changed(response, TITLE, "data set")
    columns = arrays_of(rows, len(names), TITLE)
    ends = [midnight_us(day) + DAY_US for day in days(columns[0] if rows else [], TITLE)]
    records = []
    for at, name in enumerate(str(each) for each in names[1:]):
        called = "" if len(names) == 2 and name == "Value" else name
        if query.names and called not in query.names:
            continue
        values = numbers(columns[at + 1] if rows else [], f"{TITLE}, {name}")
        records += [(called, "", None, end, end, value) for end, value in zip(ends, values, strict=True)]
    return FactsPage(facts_frame(query.instrument, records, response.received_at_us, VINTAGES))


def _read(response: Response, symbol: str) -> dict[str, Any]:
    body = answers.json_of(response, TITLE)
    if not isinstance(body, dict):
        raise answers.changed(response, TITLE, "object")
    error = body.get("quandl_error")
    if response.status == 200 and error is None:
        return body
    told = error if isinstance(error, dict) else {}
    code, said = str(told.get("code", "")), f"{told.get('code', '')} {told.get('message', '')}".strip()
    if code.startswith("QEL"):
        raise answers.limited(response, TITLE, said)
    if code.startswith("QEA"):
        raise answers.refused_key(response, TITLE, NAME, said)
    if code.startswith("QEP"):
        raise answers.not_in_plan(response, TITLE, said)
    if code in ("QECx02", "QECx05"):
        raise answers.unknown(TITLE, symbol, said, EXAMPLE)
    raise answers.refusal(response, TITLE, NAME, symbol, said or response.start_of_body, EXAMPLE)


SOURCE = Source(
    name=NAME,
    title=TITLE,
    kinds=(Kind.MACRO,),
    limits=(Limit(300, 10.0), Limit(2_000, 600.0), Limit(50_000, 86_400.0)),
    licence="terms of each publisher; mostly own use, not for passing on",
    base_url=BASE_URL,
    instrument_of=instrument_of,
    symbol_of=symbol_of,
    example=EXAMPLE,
    auth=Auth(("api_key",), sign, "make a free key at https://data.nasdaq.com/sign-up"),
    facts=Facts(facts_request, parse_facts, vintages=VINTAGES),
    notes=(
        "no vintages: what is fetched counts as known from then on, so a backtest over earlier years does not see it",
        "free share prices ended in 2018",
        "a slash is written as a dot and an underscore as a dash in instrument ids",
    ),
)
