"""What an operator decided about the HTTP face, read from the settings once. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tradewright.accounts.limits import Policy
from tradewright.accounts.principal import Network
from tradewright.errors import SettingsInvalid
from tradewright.settings import Settings

_MINUTE_S = 60
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Rules:
    """site_url: origin at which people reach the API. origins: other browser origins that may call it. proxies: whose
    forwarding headers are believed. open_registration: whether anybody may register. opted_in: sources
    that are off by default and on here. elsewhere: by source the host that is asked in the place
    of its own. key, organization, address: the limits, of each of them."""

    site_url: str = "http://127.0.0.1:8000"
    origins: frozenset[str] = frozenset()
    proxies: tuple[Network, ...] = ()
    open_registration: bool = False
    opted_in: frozenset[str] = frozenset()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    key: Policy = field(default=Policy("key", 3_000, _MINUTE_S))
    organization: Policy = field(default=Policy("organization", 12_000, _MINUTE_S))
    address: Policy = field(default=Policy("address", 6_000, _MINUTE_S))

    @property
    def browser_origins(self) -> frozenset[str]:
        """Every origin whose pages may call the API with a cookie."""
        own = {self.site_url}
        parts = urlsplit(self.site_url)
        if parts.hostname in _LOOPBACK:
            port = "" if parts.port is None else f":{parts.port}"
            own |= {f"{parts.scheme}://{host}{port}" for host in ("localhost", "127.0.0.1", "[::1]")}
        return self.origins | own

    @property
    def site_name(self) -> str:
        """The host of the site, without its port: what passkeys are bound to. They know no bare loopback address."""
        host = urlsplit(self.site_url).hostname or "localhost"
        return "localhost" if host in _LOOPBACK else host


def of_settings(settings: Settings) -> Rules:
    """Return the rules. Raises SettingsInvalid, naming the setting, what was seen and what would be right."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    site = settings.site_url or f"http://{host}:{settings.port}"
    behind_a_gateway = bool(settings.trusted_proxies) or urlsplit(site).hostname not in _LOOPBACK
    local = settings.host in _LOOPBACK and not behind_a_gateway
    return Rules(
        site_url=_origin("site_url", site),
        origins=frozenset(_origin("cors_origins", text) for text in _words(settings.cors_origins)),
        proxies=tuple(_network(text) for text in _words(settings.trusted_proxies)),
        open_registration=settings.registration == "open" or (settings.registration == "auto" and local),
        key=Policy("key", settings.key_limit, _MINUTE_S),
        organization=Policy("organization", settings.organization_limit, _MINUTE_S),
        address=Policy("address", settings.address_limit, _MINUTE_S),
    )


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _origin(name: str, text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise SettingsInvalid(
            f"{name} must be an origin like https://app.example.com, without a path; got {text!r}", name=name
        )
    return f"{parts.scheme}://{parts.netloc}".lower()


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingsInvalid(
            f"trusted_proxies must be addresses or networks like 10.0.0.0/8; got {text!r}: {error}",
            name="trusted_proxies",
        ) from None
