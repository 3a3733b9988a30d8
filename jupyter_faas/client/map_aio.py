"""`f.map.aio(...)`: results of a map for `async for`, on the caller's event loop.

The map begins when iteration does. Inputs may come from an iterable, which is read between other
things the loop does, or from an asynchronous one. Leaving the loop ends what runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from jupyter_faas.client import answers
from jupyter_faas.client.map_inputs import END, MOST_BYTES, frame_of
from jupyter_faas.client.map_outcomes import Outcomes
from jupyter_faas.core import codec
from jupyter_faas.core.errors import FaasError, GatewayUnavailable
from jupyter_faas.core.mapping import HEADER, PATH
from jupyter_faas.core.sections import total_bytes
from jupyter_faas.wire.aio_duplex import AsyncDuplex

if TYPE_CHECKING:
    from jupyter_faas.client.map_plan import MapPlan
    from jupyter_faas.client.route import Route

T = TypeVar("T")
_MOST_ITEMS = 256


class AsyncMapIterator(Generic[T], AsyncIterator[T]):
    """Results of one map.

    Args:
        plan: Makes it; called in a thread at the first item, because it may deploy.
    """

    def __init__(self, plan: Callable[[], MapPlan]) -> None:
        self._make = plan
        self._plan: MapPlan | None = None
        self._duplex: AsyncDuplex | None = None
        self._sending: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._is_over = False
        self._outcomes: Outcomes
        self._route: Route
        self._head: dict[str, str] = {}
        self._has_answered = False

    def __aiter__(self) -> AsyncMapIterator[T]:
        return self

    async def __anext__(self) -> T:
        __tracebackhide__ = True
        try:
            if self._plan is None:
                await self._begin()
            while not self._outcomes:
                await self._read()
            return cast(T, self._outcomes.next())
        except BaseException as error:
            if not self._is_over:
                is_left = isinstance(error, (asyncio.CancelledError, GeneratorExit))
                self._shut("cancelled" if is_left else "failed", str(error))
            answers.without_frames(error)
            raise

    async def aclose(self) -> None:
        """Stop: what runs is ended, the rest never begins."""
        self._shut("cancelled")

    async def __aenter__(self) -> AsyncMapIterator[T]:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if getattr(self, "_duplex", None) is not None:
            with suppress(RuntimeError):  # the loop may be closed
                self._shut("cancelled")

    async def _begin(self) -> None:
        plan = self._plan = await asyncio.to_thread(self._make)
        self._outcomes = Outcomes(
            plan.name, plan.output, plan.progress, returns_exceptions=plan.returns_exceptions
        )
        route = plan.route
        while True:
            duplex = await _open(route, plan)
            try:
                head = await duplex.receive_head()
                if answers.is_framed(head.status, head.headers):
                    break
                body = b"".join([piece async for piece in duplex.pieces()])
            except BaseException:
                duplex.cut()
                raise
            duplex.cut()
            error = answers.problem_of(head.status, head.headers, body)
            other = route.refused(error)
            if other is None:
                raise answers.with_load_lines(error, route.name)
            route = other
        self._route, self._head, self._duplex = route, head.headers, duplex
        self._sending = asyncio.get_running_loop().create_task(self._send(plan, duplex))
        plan.show()

    async def _send(self, plan: MapPlan, duplex: AsyncDuplex) -> None:
        """Send the inputs; what an asynchronous iterable gives goes out at once."""
        calls: Any = plan.calls
        try:
            if hasattr(calls, "__aiter__"):
                async for args, kwargs in calls:
                    await duplex.send(frame_of([codec.dumps_call(args, kwargs)]))
            else:
                await self._send_many(calls, duplex)
        except Exception as error:
            self._error = error
        await duplex.send([END])
        await duplex.end()

    async def _send_many(self, calls: Any, duplex: AsyncDuplex) -> None:
        items: list[Any] = []
        size = 0
        for args, kwargs in calls:
            items.append(codec.dumps_call(args, kwargs))
            size += total_bytes(items[-1])
            if len(items) >= _MOST_ITEMS or size >= MOST_BYTES:
                await duplex.send(frame_of(items))
                items, size = [], 0
                await asyncio.sleep(0)
        if items:
            await duplex.send(frame_of(items))

    async def _read(self) -> None:
        __tracebackhide__ = True
        duplex = self._duplex
        if duplex is None or self._is_over:
            raise StopAsyncIteration
        pieces = await duplex.receive()
        for piece in pieces or ():
            self._outcomes.feed(piece)
        if self._outcomes.has_begun and not self._has_answered:
            self._has_answered = True
            self._route.answered(self._head)
        if pieces is None:
            self._finish()

    def _finish(self) -> None:
        __tracebackhide__ = True
        failure = self._outcomes.failure()
        if failure is not None:
            if isinstance(failure, FaasError):
                self._route.refused(failure)
            raise failure
        self._shut("done" if self._error is None else "failed", str(self._error or ""))
        raise self._error or StopAsyncIteration

    def _shut(self, state: str, reason: str = "") -> None:
        self._is_over = True
        duplex, self._duplex = self._duplex, None
        if self._sending is not None:
            self._sending.cancel()
        if duplex is not None:
            duplex.cut()
        if self._plan is not None:
            self._plan.progress.end(state, reason)


async def _open(route: Route, plan: MapPlan) -> AsyncDuplex:
    gateway = route.gateway
    order = msgspec.structs.replace(plan.order, revision=route.pinned)
    for is_last in (not gateway.may_start, True):
        location = gateway.location
        if gateway.access is not None and gateway.access.is_due():
            await asyncio.to_thread(gateway.renew)
        headers = [
            gateway.authorization,
            (HEADER, msgspec.json.encode(order)),
            *route.head_of_map(),
        ]
        try:
            return await AsyncDuplex.open(
                location.address,
                gateway.control_path(PATH),
                headers,
                connect_timeout_s=gateway.connect_timeout_s,
            )
        except GatewayUnavailable:
            if is_last:
                raise
            await asyncio.to_thread(gateway.find_again, location)
    raise AssertionError("the last try raises")
