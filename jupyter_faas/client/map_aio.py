"""`f.map.aio(...)`: results of a map for `async for`, on the caller's event loop.

The map begins when iteration does. Inputs may come from an iterable, which is read between other
things the loop does, or from an asynchronous one. Leaving the loop ends what runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from jupyter_faas.client import answers, map_lines
from jupyter_faas.client.map_inputs import MOST_BYTES, Item, end_of, frame_of, in_batches, item_of
from jupyter_faas.client.map_left import PATIENCE_S, PAUSE_S, SETTLE_S, Left
from jupyter_faas.client.map_outcomes import Outcomes
from jupyter_faas.client.map_watch import MapWatch
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import FaasError, GatewayLost, GatewayUnavailable
from jupyter_faas.core.mapping import HEADER, PATH, MapOrder
from jupyter_faas.wire.aio_duplex import AsyncDuplex
from jupyter_faas.wire.background import Background

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
        self._watch: MapWatch | None = None
        self._turn = asyncio.Lock()
        """Of whoever sends inputs: the task that takes them, or one that sends them once more."""
        self._has_room = asyncio.Event()
        self._background = Background("work on a map")
        self._error: BaseException | None = None
        self._is_over = self._is_complete = False
        self._outcomes: Outcomes
        self._left: Left
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
                self._shut("cancelled" if is_left else "failed", map_lines.one_line(error))
            answers.without_frames(error)
            raise

    async def aclose(self) -> None:
        """Stop: what runs is ended, the rest never begins, and nothing more is given."""
        self._shut("cancelled")
        if self._plan is not None:
            self._outcomes.clear()

    async def __aenter__(self) -> AsyncMapIterator[T]:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if getattr(self, "_plan", None) is not None and not self._is_over:
            with suppress(RuntimeError):  # the loop may be closed
                self._shut("cancelled")

    async def _begin(self) -> None:
        plan = self._plan = await asyncio.to_thread(self._make)
        self._outcomes, self._left, self._route = Outcomes(plan), plan.left, plan.route
        self._left.on_room = self._has_room.set
        while self._duplex is None:
            try:
                await self._begin_leg(plan)
            except GatewayLost as lost:
                self._left.begin_again(lost)
        self._background.run(self._send(plan))
        plan.show()
        self._watch = MapWatch(plan, self._outcomes)

    async def _begin_leg(self, plan: MapPlan) -> None:
        order = self._left.order(plan.order, self._head)
        while True:
            duplex = await _open(self._route, order)
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
            other = None if order.revision is not None else self._route.refused(error)
            if other is None:
                raise answers.with_load_lines(error, self._route.name)
            self._route = other
        self._head, self._duplex = head.headers, duplex
        self._left.told(head.headers)

    async def _send(self, plan: MapPlan) -> None:
        """Send the inputs; what an asynchronous iterable gives goes out at once."""
        calls: Any = plan.calls
        try:
            if hasattr(calls, "__aiter__"):
                async for args, kwargs in calls:
                    await self._put([item_of(self._left.count, args, kwargs)])
            else:
                await self._send_many(calls)
        except Exception as error:
            self._error = answers.without_outer_frames(error)
        async with self._turn:
            self._is_complete = True
            await self._send_end(self._duplex)

    async def _send_many(self, calls: Any) -> None:
        items: list[Item] = []
        size = 0
        for number, (args, kwargs) in enumerate(calls):
            items.append(item_of(number, args, kwargs))
            size += len(items[-1])
            if len(items) >= _MOST_ITEMS or size >= MOST_BYTES:
                await self._put(items)
                items, size = [], 0
                await asyncio.sleep(0)
        if items:
            await self._put(items)

    async def _put(self, items: Sequence[Item]) -> None:
        while self._left.is_full:
            self._has_room.clear()
            await self._has_room.wait()
        async with self._turn:
            self._left.add(items)
            if self._duplex is not None:
                await self._duplex.send(frame_of(items))

    async def _send_end(self, duplex: AsyncDuplex | None) -> None:
        if duplex is not None:
            await duplex.send(end_of(self._error))
            await duplex.end()

    async def _read(self) -> None:
        __tracebackhide__ = True
        duplex = self._duplex
        if duplex is None or self._is_over:
            raise StopAsyncIteration
        try:
            pieces = await duplex.receive()
        except GatewayLost as lost:
            if self._is_over:
                raise
            await self._go_on(lost)
            return
        for piece in pieces or ():
            self._outcomes.feed(piece)
        if self._outcomes.has_begun and not self._has_answered:
            self._has_answered = True
            self._route.answered(self._head)
        if pieces is None and self._outcomes.is_cut:
            await self._go_on(answers.cut(self._route.name))
        elif pieces is None:
            self._finish()

    async def _go_on(self, lost: GatewayLost) -> None:
        """Begin the map again with what is left of it, at the gateway's successor."""
        __tracebackhide__ = True
        assert self._plan is not None
        self._leave_connection()
        await self._turn.acquire()
        try:
            again = self._left.begin_again(lost)
            until_s = session.monotonic_s() + PATIENCE_S
            await asyncio.sleep(SETTLE_S)
            while self._duplex is None:
                try:
                    await self._begin_leg(self._plan)
                except GatewayUnavailable:
                    if session.monotonic_s() > until_s:
                        raise
                    await asyncio.sleep(PAUSE_S)
                except GatewayLost as error:
                    again = self._left.begin_again(error)
                    await asyncio.sleep(SETTLE_S)
        except BaseException:
            self._turn.release()
            raise
        self._outcomes.begin_again()
        self._background.run(self._send_again(self._duplex, again))

    async def _send_again(self, duplex: AsyncDuplex, again: Sequence[Item]) -> None:
        """Send inputs once more, before any others: it is this task's turn."""
        try:
            for items in in_batches(again):
                if not await duplex.send(frame_of(items)):
                    return
            if self._is_complete:
                await self._send_end(duplex)
        finally:
            self._turn.release()

    def _finish(self) -> None:
        __tracebackhide__ = True
        failure = self._outcomes.failure()
        if failure is not None:
            if isinstance(failure, FaasError):
                self._route.refused(failure)
            raise failure
        state = "done" if self._error is None else "failed"
        self._shut(state, map_lines.one_line(self._error))
        raise self._error or StopAsyncIteration

    def _shut(self, state: str, reason: str = "") -> None:
        self._is_over = True
        if self._plan is not None and not self._has_answered:
            self._route.left()
        self._background.cancel()
        self._leave_connection()
        if self._watch is not None:
            self._watch.end()
        if self._plan is not None:
            self._outcomes.tell_ended()
            self._plan.progress.end(state, reason)

    def _leave_connection(self) -> None:
        duplex, self._duplex = self._duplex, None
        if duplex is not None:
            duplex.cut()


async def _open(route: Route, order: MapOrder) -> AsyncDuplex:
    gateway = route.gateway
    if order.revision is None:
        order = msgspec.structs.replace(order, revision=route.pinned)
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
