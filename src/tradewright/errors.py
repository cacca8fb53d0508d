"""Every error Tradewright raises on purpose.

    TradewrightError
    ├── InvalidInput            a value from outside was refused
    │   ├── UnknownName         a name that nothing answers to
    │   ├── TooFewRows          not enough data for what was asked
    │   ├── InSample            a model would be tested on rows it learned from
    │   └── SettingsInvalid     the settings file or a variable cannot be used
    ├── NotFound                no such thing for this caller
    ├── Conflict                the state of things forbids it
    │   ├── FolderInUse         another process holds the data folder
    │   ├── Cancelled           somebody asked for it to stop
    │   └── StillRunning        the first request with this key has not ended
    ├── Unauthenticated         no valid key or session
    │   ├── SecondFactorRequired  the password is right and does not suffice
    │   └── WrongCredentials    a password, code or passkey is not right
    ├── Forbidden               the key or session is valid and may not do this
    ├── TooManyRequests         asked more often than agreed
    ├── SourceFailed            a third party did not deliver
    │   ├── SourceLimited       ... because it was asked too often
    │   └── SourceRefused       ... because of the key, or of what its plan includes
    ├── StorageFailed           the disk or the database did not take it
    └── LibraryMissing          a system library or package is not installed

Each class has a stable `code`; `api/problems.py` maps codes to HTTP answers. The first line of the docstring is the
default message. Facts handed in as keywords become attributes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar

SHOWN = 20  # known names in a message


class TradewrightError(Exception):
    """Something went wrong inside Tradewright."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None, **facts: Any) -> None:
        self.message = message or (type(self).__doc__ or "").partition("\n")[0]
        self.facts = facts
        super().__init__(self.message)

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(f"{type(self).__name__} has no fact {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.facts)


def _rebuild(kind: type[TradewrightError], message: str, facts: dict[str, Any]) -> TradewrightError:
    return kind(message, **facts)


class InvalidInput(TradewrightError):
    """A value was refused."""

    code = "invalid_input"


class UnknownName(InvalidInput):
    """Nothing has this name."""

    code = "unknown_name"

    @classmethod
    def of(cls, what: str, name: str, known: Iterable[str], where: str = "") -> UnknownName:
        """Return the error for `name`, with the closest known names as a hint, else the first of them.

        where: what lists all of them, such as "GET /v1/sources lists them"; told when not all are named.
        """
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(names[:SHOWN]) or 'none'}"
        if not close and len(names) > SHOWN:
            hint += f" and {len(names) - SHOWN} more{where and f'; {where}'}"
        return cls(f"there is no {what} named {name!r}; {hint}", what=what, name=name, close=close)


class TooFewRows(InvalidInput):
    """There is not enough data for this."""

    code = "too_few_rows"


class InSample(InvalidInput):
    """The model learned from rows it would be tested on."""

    code = "in_sample"


class SettingsInvalid(InvalidInput):
    """The settings cannot be used."""

    code = "settings_invalid"


class NotFound(TradewrightError):
    """There is no such thing."""

    code = "not_found"


class Conflict(TradewrightError):
    """The present state does not allow this."""

    code = "conflict"


class FolderInUse(Conflict):
    """Another process is using this data folder."""

    code = "folder_in_use"


class Cancelled(Conflict):
    """It was cancelled."""

    code = "cancelled"


class StillRunning(Conflict):
    """The first request with this Idempotency-Key is still running."""

    code = "idempotency_running"


class Unauthenticated(TradewrightError):
    """A valid API key or session is needed."""

    code = "unauthenticated"


class SecondFactorRequired(Unauthenticated):
    """A second factor is needed."""

    code = "second_factor_required"


class WrongCredentials(Unauthenticated):
    """A password, code or passkey in the body is not right; of the session, if there is one, nothing is wrong."""

    code = "wrong_credentials"


class Forbidden(TradewrightError):
    """This key may not do that."""

    code = "forbidden"


class TooManyRequests(TradewrightError):
    """You asked more often than agreed. The fact `retry_after_s` says how long to wait."""

    code = "rate_limited"


class SourceFailed(TradewrightError):
    """The data source did not deliver."""

    code = "source_failed"


class SourceLimited(SourceFailed):
    """The data source asks us to slow down."""

    code = "source_limited"


class SourceRefused(SourceFailed):
    """The data source does not give this to the credentials in use."""

    code = "source_refused"


class StorageFailed(TradewrightError):
    """The data could not be stored.

    The message is in our own words, and clients are told it. The fact `cause` is what the database or its driver said,
    and what to do about it: `str(error)`, for the log and who runs this, has both.
    """

    code = "storage_failed"

    def __str__(self) -> str:
        cause = self.facts.get("cause")
        return f"{self.message} ({cause})" if cause else self.message


class LibraryMissing(TradewrightError):
    """A library that this needs is not installed."""

    code = "library_missing"
