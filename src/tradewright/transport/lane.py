"""The lane to one third party: its limits kept, and left alone for a while when it fails again and again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tradewright.errors import SourceFailed, SourceLimited, SourceRefused
from tradewright.transport.http import Transport
from tradewright.transport.messages import Policy, Request, Response
from tradewright.transport.pace import Limit, Pace
from tradewright.transport.quota import Quota

FAILURES = 5  # in a row, after which the lane closes
REST_S = 30.0  # how long it is closed the first time; then twice as long, up to
LONGEST_REST_S = 600.0
LONGEST_PAUSE_S = 3_600.0


class Lane:
    """A transport for one source and credential. For one event loop.

    A request waits for the limits as long as its policy's deadline lets it. Those of `limits` are counted here,
    whatever another process sends, those of `quota` wherever they are used up. After FAILURES failures in a row nothing
    is sent for a while; then one request is let through, and whether it succeeds decides. A refusal (an unknown symbol,
    a wrong key) is no failure.
    """

    def __init__(
        self,
        inner: Transport,
        title: str,
        limits: tuple[Limit, ...],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        quota: Quota | None = None,
    ) -> None:
        self._inner = inner
        self._title = title
        self._pace = Pace(limits)
        self._quota = quota
        self._monotonic = monotonic
        self._sleep = sleep
        self._failures = 0
        self._closed_until = 0.0
        self._rest_s = REST_S
        self._trying = False

    async def fetch(self, request: Request, policy: Policy | None = None) -> Response:
        """Return the answer. Raises SourceLimited when the limits leave no room before the deadline, SourceFailed while
        the lane is closed, and what the transport raises."""
        policy = policy or Policy()
        await self._turn(request, policy)
        self._refuse_while_closed()
        try:
            response = await self._inner.fetch(request, policy)
        except SourceRefused:
            raise
        except SourceLimited as error:
            self._pace.pause(min(error.facts.get("retry_after_s") or 1.0, LONGEST_PAUSE_S), self._monotonic())
            raise
        except SourceFailed:
            self._failed()
            raise
        finally:
            self._trying = False
        self._failures, self._rest_s, self._closed_until = 0, REST_S, 0.0
        return response

    async def _turn(self, request: Request, policy: Policy) -> None:
        deadline = self._monotonic() + max(policy.deadline_s, policy.patience_s)
        await self._until(lambda: self._pace.take(request.weight, self._monotonic()), deadline)
        if self._quota is not None:
            quota = self._quota
            await self._until(lambda: quota.take(request.weight), deadline)

    async def _until(self, take: Callable[[], float], deadline: float) -> None:
        while (wait_s := take()) > 0.0:
            if self._monotonic() + wait_s > deadline:
                raise SourceLimited(
                    f"{self._title} may be asked again in {wait_s:.0f} s: its limits are used up until then",
                    retry_after_s=wait_s,
                )
            await self._sleep(wait_s)

    def _refuse_while_closed(self) -> None:
        left_s = self._closed_until - self._monotonic()
        if self._failures < FAILURES:
            return
        if left_s > 0.0 or self._trying:
            raise SourceFailed(
                f"{self._title} failed {self._failures} times in a row and is left alone; the next try is in "
                f"{max(left_s, 0.0):.0f} s",
                retry_after_s=max(left_s, 0.0),
                resting=True,
            )
        self._trying = True

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES:
            self._closed_until = self._monotonic() + self._rest_s
            self._rest_s = min(self._rest_s * 2, LONGEST_REST_S)
