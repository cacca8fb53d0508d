"""Of another address than a source's own its host is told, and nothing that could be a secret."""

from __future__ import annotations

import pytest

from tradewright.errors import SettingsInvalid
from tradewright.market.provenance import address_findings
from tradewright.market.records import finding_to_json
from tradewright.market.verdicts import Verdict
from tradewright.sources.elsewhere import UNREADABLE, hosts_elsewhere, other_host
from tradewright.sources.registry import SOURCES
from tradewright.transport.messages import Request

OWN = "https://api.binance.com"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, ""),
        ("https://api.binance.com", ""),
        ("https://API.binance.com/mirror", ""),
        ("https://api.binance.us", "api.binance.us"),
        ("https://someone:secret@mirror.example.com:8443/secret?key=secret#secret", "mirror.example.com:8443"),
        ("http://[::1]:9/x", "[::1]:9"),
        ("", UNREADABLE),
        ("mirror.example.com/secret", UNREADABLE),
        ("http://[secret", UNREADABLE),
        ("http://mirror.example.com:secret", UNREADABLE),
    ],
)
def test_the_host_is_told_where_it_is_another(given: str | None, told: str) -> None:
    assert other_host(OWN, given) == told


def test_requests_and_socket_can_go_to_different_hosts() -> None:
    source = SOURCES["binance"]
    assert hosts_elsewhere(source, {}) == ""
    one = {source.base_url_variable: "http://127.0.0.1:1", source.stream_url_variable: "ws://127.0.0.1:1/ws"}
    assert hosts_elsewhere(source, one) == "127.0.0.1:1"
    two = one | {source.stream_url_variable: "ws://127.0.0.1:2/ws"}
    assert hosts_elsewhere(source, two) == "127.0.0.1:1 and 127.0.0.1:2"
    assert hosts_elsewhere(SOURCES["fred"], two) == ""


def test_a_series_keeps_every_address_that_its_rows_came_from() -> None:
    assert address_findings("", "crypto:BTC-USDT", None) == []
    (first,) = address_findings("a.example", "crypto:BTC-USDT", None)
    assert (first.code, first.severity) == ("other_address", Verdict.USABLE)
    assert "rows came from a.example, which a setting names" in first.detail
    row = {"findings": [finding_to_json(first)]}
    assert address_findings("a.example", "crypto:BTC-USDT", row) == [first]
    assert address_findings("", "crypto:BTC-USDT", row) == [first], "its rows are still there"
    both = address_findings("b.example", "crypto:BTC-USDT", row)
    assert [finding.detail.split()[3] for finding in both] == ["a.example,", "b.example,"]


@pytest.mark.parametrize("base", ["ftp://me:s3cret@mirror.test", "https://me:s3cret@mirror.test:port", "me:s3cret@x"])
def test_an_address_that_cannot_be_used_is_told_without_its_password(base: str) -> None:
    with pytest.raises(SettingsInvalid, match="must begin with") as refused:
        Request("https://api.test/v1").at(base)
    assert "s3cret" not in refused.value.message
    assert "REDACTED" in refused.value.message
