"""The one way out to third parties over HTTP: deadline, size cap, retries with jitter, no redirects, typed errors."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from tradewright.clock import Clock, WallClock
from tradewright.errors import SourceFailed, SourceLimited
from tradewright.transport.messages import Policy, Request, Response

RETRIED = frozenset({408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
LIMITED = frozenset({418, 429})  # 418: an address that went on after 429
_log = logging.getLogger("tradewright.transport")


class Transport(Protocol):
    """Sends a request and returns the answer."""

    async def fetch(self, request: Request, policy: Policy = ...) -> Response: ...


class HttpTransport:
    """A pool of connections. Use it as an async context manager, inside one event loop.

    clock: wall time of answers and of Retry-After dates. sleep, draw: how to wait, and a random number in 0..1.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock or WallClock()
        self._sleep = sleep
        self._draw = draw
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpTransport:
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "tradewright"}, trust_env=True
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, request: Request, policy: Policy | None = None) -> Response:
        """Return the answer; one with a status below 500 other than 408, 418, 429 and redirects is for the caller.

        Connection errors, time-outs, 408, 429 and 5xx are tried again. Raises SourceLimited when the last word was 418
        or 429 (with `retry_after_s` when the server said it), SourceFailed for every other failure: nothing listens,
        no answer in time, a body beyond the cap, a redirect.
        """
        policy = policy or Policy()
        deadline = time.monotonic() + policy.deadline_s
        for attempt in range(1, policy.attempts + 1):
            wait_s = policy.backoff_s * 2 ** (attempt - 1) * (0.5 + self._draw() / 2)
            try:
                response = await self._once(request, policy, deadline, attempt)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                said = request.cleaned(_said(error))
                failure: SourceFailed = SourceFailed(
                    f"{request.url} did not answer: {said} (attempt {attempt} of {policy.attempts}); "
                    "check the network and the address, or try later"
                )
                failure.__cause__ = None if request.secrets else error
            else:
                if response.status not in RETRIED | LIMITED:
                    return response
                asked_s = _retry_after_s(response, self._clock.now_us())
                failure = _refused(response, asked_s)
                if response.status == 418:
                    raise failure
                wait_s = max(wait_s, asked_s or 0.0)
            if attempt == policy.attempts or time.monotonic() + wait_s >= deadline:
                raise failure
            await self._sleep(wait_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(self, request: Request, policy: Policy, deadline: float, attempt: int) -> Response:
        began, status, size = time.monotonic(), "no answer", 0
        try:
            response = await self._exchanged(request, policy, deadline)
            status, size = str(response.status), len(response.body)
            return response
        except SourceFailed as error:
            status = str(error.facts.get("status", status))
            raise
        finally:
            if _log.isEnabledFor(logging.DEBUG):
                place = urlsplit(request.url)
                host, path = place.netloc.rpartition("@")[2], request.cleaned(place.path)
                took_ms = (time.monotonic() - began) * 1e3
                line = "%s %s %s %s in %.0f ms, %d bytes, attempt %d"
                _log.debug(line, request.method, host, path, status, took_ms, size, attempt)

    async def _exchanged(self, request: Request, policy: Policy, deadline: float) -> Response:
        if self._session is None:
            raise AssertionError("the transport is used outside its `async with`")
        left = max(min(deadline - time.monotonic(), policy.attempt_s), 0.001)
        timeout = aiohttp.ClientTimeout(total=left, sock_connect=min(policy.connect_s, left))
        async with self._session.request(
            request.method,
            request.url,
            params=list(request.query),
            headers=dict(request.headers),
            data=request.body or None,
            allow_redirects=False,
            timeout=timeout,
        ) as answer:
            if answer.status in (301, 302, 303, 307, 308):
                elsewhere = request.cleaned(answer.headers.get("Location", "nowhere").partition("?")[0])
                raise SourceFailed(
                    f"{request.url} answered {answer.status} and points to {elsewhere}; "
                    "redirects are not followed: set the address of the source to where it lives now",
                    status=answer.status,
                )
            body = await _read_capped(answer, request, policy.cap_bytes)
            headers = tuple((name.lower(), request.cleaned(value)) for name, value in answer.headers.items())
            if request.secrets:  # byte for byte in this encoding, so that a body that is no text stays as it is
                body = request.cleaned(body.decode("latin-1")).encode("latin-1")
            return Response(answer.status, body, headers, self._clock.now_us(), request.url)


async def _read_capped(answer: aiohttp.ClientResponse, request: Request, cap_bytes: int) -> bytes:
    parts, size = [], 0
    async for part in answer.content.iter_chunked(65_536):
        size += len(part)
        if size > cap_bytes:
            raise SourceFailed(
                f"{request.url} sent more than {cap_bytes} bytes; ask for fewer rows at a time", status=answer.status
            )
        parts.append(part)
    return b"".join(parts)


def _refused(response: Response, retry_after_s: float | None) -> SourceFailed:
    said = response.start_of_body
    if response.status in LIMITED:
        when = "try again later" if retry_after_s is None else f"try again in {retry_after_s:.0f} s"
        return SourceLimited(
            f"{response.url} answered {response.status}, too many requests: {said}; {when}",
            status=response.status,
            retry_after_s=retry_after_s,
        )
    return SourceFailed(
        f"{response.url} answered {response.status}: {said}; the fault is on its side, try later",
        status=response.status,
    )


def _retry_after_s(response: Response, now_us: int) -> float | None:
    text = response.header("retry-after")
    if text is None:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        try:
            return max(email.utils.parsedate_to_datetime(text).timestamp() - now_us / 1e6, 0.0)
        except ValueError:
            return None


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
