"""What goes out and what comes back, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

from tradewright.errors import SettingsInvalid

_HIDDEN = "REDACTED"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. url: absolute, without a query. query, headers: pairs in the order they are sent. weight: what
    it counts against the limits of the source. Secrets stand in query and headers only, so `url` can be told; secrets:
    those texts, which nothing that is told of the answer may hold, since a server may repeat what it was sent."""

    url: str
    method: str = "GET"
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    weight: int = 1
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def cleaned(self, text: str) -> str:
        """Return a text without the secrets of this request, however they are spelled in an address."""
        for secret in self.secrets:
            for spelled in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret)):
                for form in (spelled, _lower_escapes(spelled)):
                    text = text.replace(form, _HIDDEN)
        return text

    def asking(self, **more: str) -> Request:
        """Return this request with more query parameters."""
        return replace(self, query=(*self.query, *more.items()))

    def saying(self, **more: str) -> Request:
        """Return this request with more headers; underscores of the names become hyphens."""
        return replace(self, headers=(*self.headers, *((name.replace("_", "-"), text) for name, text in more.items())))

    def at(self, base_url: str | None) -> Request:
        """Return this request sent to another server: scheme, host and a leading path from `base_url`.

        None leaves it as it is. Raises SettingsInvalid when `base_url` is no http or https address.
        """
        if base_url is None:
            return self
        own = urlsplit(self.url)
        try:
            base = urlsplit(base_url)
            usable = base.scheme in ("http", "https") and bool(base.hostname) and base.port != 0
        except ValueError:  # brackets or a port that cannot be read
            usable = False
        if not usable or any(letter.isspace() for letter in base_url):
            shown = re.sub(r"[^/]*@", f"{_HIDDEN}@", base_url)  # there may be a password before it
            raise SettingsInvalid(f"the address of a source must begin with http:// or https://, got {shown!r}")
        return replace(self, url=urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + own.path, "", "")))


def shortened(text: str, most: int) -> str:
    """Return the first `most` characters of a text; the word that stands for a secret is whole or left out."""
    begin = text.find(_HIDDEN, max(0, most - len(_HIDDEN) + 1), most + len(_HIDDEN) - 1)
    return text[: most if begin < 0 else begin]


def _lower_escapes(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), text)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer. headers: names in lower case. received_at_us: wall time at which the last byte was in. url: that
    of the request, without its query."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    received_at_us: int = 0
    url: str = ""

    def header(self, name: str) -> str | None:
        """Return the first header of that name, None when there is none."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    @property
    def start_of_body(self) -> str:
        """The first 120 characters on one line, for error messages."""
        text = shortened(self.body[:500].decode("utf-8", "replace"), 400)
        return shortened(" ".join(text.split()), 120)


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard to try. deadline_s: for all attempts together, attempt_s: for each. attempts: at most so many.
    cap_bytes: largest body.

    backoff_s: longest wait before the second attempt; it doubles each time, the wait is drawn between half and all of
    it. A server's Retry-After is honoured where it is longer, as far as the deadline lets it.
    """

    deadline_s: float = 60.0
    attempt_s: float = 30.0
    attempts: int = 5
    cap_bytes: int = 64_000_000
    backoff_s: float = 0.5
    connect_s: float = 10.0
    patience_s: float = 0.0
