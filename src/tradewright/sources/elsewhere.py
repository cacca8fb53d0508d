"""Whether a source is asked at its own address: where a setting names another, rows are only as good as that one."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from tradewright.sources.source import Source

UNREADABLE = "an address that cannot be read"


def other_host(own: str, given: str | None) -> str:
    """Return the host, with its port, of the address that is used in the place of a source's own; "" where that is the
    same host or none is given. Nothing else of the address is told: it may hold a secret."""
    if given is None:
        return ""
    host = host_of(given)
    return "" if host == host_of(own) else host


def host_of(url: str) -> str:
    """Return the host of an address, with the port where it names one, in lower case."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return UNREADABLE
    if not host:
        return UNREADABLE
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def hosts_elsewhere(source: Source, environment: Mapping[str, str]) -> str:
    """Return the hosts that an environment names in the place of a source's own, for its requests and its socket; ""
    where it is asked at its own."""
    hosts = [other_host(source.base_url, environment.get(source.base_url_variable))]
    if source.stream is not None:
        hosts.append(other_host(source.stream.url, environment.get(source.stream_url_variable)))
    return " and ".join(dict.fromkeys(host for host in hosts if host))
