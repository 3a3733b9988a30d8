"""One call that is a chunk of a map: its items one after the other, each with its own outcome.

Stands in for `Call` where the arguments are a batch (core/batch.py). An item that raises is told as
that item's error, and the next one runs. Outcomes are sent together while items are quick, and
never held longer than a moment: `minder.py` sends what is pending, says which item runs, and gives
back what could not be begun within the budget, so that one slow item holds up none of the others.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import deque
from typing import Any

import msgspec

from jupyter_faas.core.batch import DONE, GIVEN_BACK, RAISED, STARTED, Head, pack, unpack
from jupyter_faas.core.sections import Buffer
from jupyter_faas.execution.call import AsyncEmit, Emit, Form, Target, run_alone
from jupyter_faas.execution.failure import (
    Fault,
    memory_fault,
    unreadable_arguments,
    user_fault,
)
from jupyter_faas.execution.minder import TICK_S, Minder

HOLD_S, MOST_HOLD_S = 0.004, 0.03
"""Outcomes of quick items are sent together, so many seconds apart: soon at first, then seldom."""
HOLD_BYTES = 64 << 10

_encode = msgspec.msgpack.Encoder().encode


class ItemsCall:
    """One chunk.

    Args:
        target: Called for each item.
        payload: A batch of arguments.
        form: How to read arguments and write results.
        minder: Looks after calls that run in threads.
    """

    is_in_code = False
    """What ends the chunk as a whole was never raised by one item: nothing of it is retried."""

    def __init__(self, target: Target, payload: Buffer, form: Form, minder: Minder) -> None:
        self._target = target
        self._form = form
        self._minder = minder
        self._head, payloads = unpack(payload)
        self._rest = deque(zip(self._head.indices, payloads, strict=True))
        self._lock = threading.Lock()
        self._emit: Emit | None = None
        self._said: deque[tuple[int, int, Buffer]] = deque()  # two threads: whole entries, at once
        self._bytes = 0
        self._running: int | None = None
        self._told: int | None = None
        self._payload: Buffer = b""
        self._hold_s = HOLD_S
        self._is_bound = self._is_sending = False
        self._timer: asyncio.TimerHandle
        self._began_s = self._sent_s = 0.0
        self._busy_from_s = self._cpu_from_s = 0.0

    def perform(self, emit: Emit) -> None:
        """Run in this thread, to the last item that is not given back.

        Raises:
            BaseException: What ended the chunk from outside; see `fault_of`.
        """
        self._emit = emit
        emit.before_log(self._before_log)
        self._begin()
        try:
            self._minder.watch(self)
            while self._next():
                if self._head.is_exact:
                    self._tell_started()
                    emit.settle()
                self._say(self._running, *self._outcome())
                if self._head.is_exact or self._is_due():
                    with self._lock:
                        self._send()
        finally:
            self._minder.leave(self)
        with self._lock:
            self._send()

    async def perform_async(self, emit: AsyncEmit) -> None:
        """Run on the running loop.

        Raises:
            BaseException: What ended the chunk from outside; see `fault_of`.
        """
        loop = asyncio.get_running_loop()
        self._begin()
        self._timer = loop.call_later(TICK_S, self._tick_async, loop, emit)
        try:
            while self._next():
                if self._head.is_exact:
                    self._note_started()
                    await self._send_async(emit)
                    emit.settle()
                self._say(self._running, *await self._outcome_async())
                await self._send_async(emit)
        finally:
            self._timer.cancel()
        if self._said:
            await self._send_async(emit)

    def fault_of(self, error: BaseException) -> Fault:
        """Return how to tell what ended the chunk."""
        return user_fault(error, self._form.dump_exception)

    # -- asked by the minder, in its thread

    def tick(self, now_s: float) -> None:
        """Send what is pending, and give back what waits too long."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._emit is None or not self._emit.has_room:
                return
            self._give_back(now_s)
            if self._running is not None and self._running != self._told and self._is_due(now_s):
                self._note_started()
            if self._said and self._is_due(now_s):
                self._send()
        finally:
            self._lock.release()

    # -- one item

    def _begin(self) -> None:
        self._began_s = self._sent_s = time.monotonic()
        self._busy_from_s, self._cpu_from_s = self._began_s, time.process_time()

    def _next(self) -> bool:
        try:
            self._running, self._payload = self._rest.popleft()
        except IndexError:
            self._running = None
            return False
        return True

    def _outcome(self) -> tuple[int, list[Buffer]]:
        """Run the item in hand."""
        try:
            value = self._call()
            if inspect.iscoroutine(value):
                value = run_alone(value)
            return DONE, list(self._form.encode(value)[0])
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            return RAISED, [_encode(self._fault(error))]

    async def _outcome_async(self) -> tuple[int, list[Buffer]]:
        try:
            value = self._call()
            if inspect.isawaitable(value):
                value = await value
            return DONE, list(self._form.encode(value)[0])
        except (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
            raise
        except BaseException as error:
            return RAISED, [_encode(self._fault(error))]

    def _call(self) -> Any:
        payload, self._payload = self._payload, b""
        self._is_bound = False
        args, kwargs = self._form.bind(payload, self._target)
        del payload
        self._is_bound = True
        return self._target(*args, **kwargs)

    def _fault(self, error: BaseException) -> Fault:
        try:
            if not self._is_bound:
                return unreadable_arguments(error, self._form.dump_exception)
            return user_fault(error, self._form.dump_exception)
        except MemoryError as memory:
            return memory_fault(memory)

    # -- what is said

    def _say(self, index: int | None, kind: int, parts: list[Buffer]) -> None:
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._running = None
        self._said.append((index or 0, kind, body))
        self._bytes += len(body)

    def _tell_started(self) -> None:
        with self._lock:
            self._note_started()
            self._send()

    def _note_started(self) -> None:
        running = self._running  # once: it may end meanwhile, in its own thread
        if running is not None:
            self._told = running
            self._said.append((running, STARTED, b""))

    def _before_log(self) -> None:
        """Something is printed: what is known must arrive before it, so that it has an item."""
        if self._running == self._told or not self._lock.acquire(blocking=False):
            return
        try:
            if self._emit is not None and self._emit.has_room:
                self._note_started()
                self._send()
        finally:
            self._lock.release()

    def _give_back(self, now_s: float) -> None:
        budget_s = self._head.budget_s
        if not budget_s or now_s - self._began_s < budget_s:
            return
        while self._rest:
            try:
                index, _ = self._rest.pop()
            except IndexError:
                return
            self._said.append((index, GIVEN_BACK, b""))

    def _is_due(self, now_s: float | None = None) -> bool:
        now_s = time.monotonic() if now_s is None else now_s
        return self._bytes >= HOLD_BYTES or now_s - self._sent_s >= self._hold_s

    def _send(self) -> None:
        if self._said and self._emit is not None:
            self._emit.item(self._batch(), 0)

    def _batch(self) -> list[Buffer]:
        """Return what was said since, as the parts of one batch."""
        said = [self._said.popleft() for _ in range(len(self._said))]
        bodies = [body for _, _, body in said]
        self._bytes = 0
        now_s, cpu_s = time.monotonic(), time.process_time()
        head = Head(
            [index for index, _, _ in said],
            bytes([kind for _, kind, _ in said]),
            [len(body) for body in bodies],
            now_s - self._busy_from_s,
            cpu_s - self._cpu_from_s,
        )
        self._sent_s = self._busy_from_s = now_s
        self._hold_s = min(MOST_HOLD_S, 2 * self._hold_s)
        self._cpu_from_s = cpu_s
        return pack(head, bodies)

    async def _send_async(self, emit: AsyncEmit) -> None:
        self._is_sending = True
        try:
            await emit.item(self._batch(), 0)
        finally:
            self._is_sending = False

    def _tick_async(self, loop: asyncio.AbstractEventLoop, emit: AsyncEmit) -> None:
        """Say which item runs, and give back what waits too long, also while an item does."""
        if emit.has_room and not self._is_sending:
            self._give_back(time.monotonic())
            if self._running is not None and self._running != self._told:
                self._note_started()
            if self._said:
                emit.offer(self._batch())
        self._timer = loop.call_later(TICK_S, self._tick_async, loop, emit)
