"""One call that is a chunk of a map: its items one after the other, each with its own outcome.

Stands in for `Call` where the arguments are a batch (core/batch.py). An item that raises is told as
that item's error, and the next one runs. Outcomes are sent together while items are quick, and
never held longer than a moment: `minder.py` sends what is pending, says which item runs, and gives
back what could not be begun within the budget, so that one slow item holds up none of the others.

Right after an item the caches are full of what it did: all that is done between two items takes
ten times as long as in a row (reading and writing a payload 10 and 16 µs instead of 1.4 each).
So arguments are read some items ahead, and results are written when they are sent, where nobody
can tell the difference.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections import deque
from contextlib import suppress
from sys import getsizeof
from typing import Any

import msgspec

from jupyter_faas.core.batch import DONE, GIVEN_BACK, RAISED, STARTED, Head, pack, unpack
from jupyter_faas.core.sections import Buffer
from jupyter_faas.execution.call import AsyncEmit, Bound, Emit, Form, Target, run_alone
from jupyter_faas.execution.failure import (
    Fault,
    memory_fault,
    unreadable_arguments,
    user_fault,
)
from jupyter_faas.execution.minder import TICK_S, Minder

HOLD_S = 0.1
"""Outcomes of quick items are sent together, so many seconds apart."""
HOLD_BYTES = 256 << 10
AHEAD = 32
"""Items whose arguments are read together."""
_UNWRITTEN = -1
"""Kind of an item that is done, with its value instead of its body."""

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
        self._next_ones: deque[tuple[int, Buffer, Bound | None]] = deque()
        self._lock = threading.Lock()
        self._emit: Emit | None = None
        self._said: deque[tuple[int, int, Any]] = deque()  # two threads: whole entries, at once
        self._bytes = 0
        self._running: int | None = None
        self._told: int | None = None
        self._payload: Buffer = b""
        self._bound: Bound | None = None
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
                if self._head.is_exact or self._bytes >= HOLD_BYTES:
                    with self._lock:
                        self._send()
        except (KeyboardInterrupt, GeneratorExit):
            if emit.has_room:
                self._tell_started()  # one that raised it itself has failed, and no other item
            raise
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
        if not self._next_ones:
            self._read_ahead()
        try:
            self._running, self._payload, self._bound = self._next_ones.popleft()
        except IndexError:
            self._running = None
            return False
        return True

    def _read_ahead(self) -> None:
        with suppress(IndexError):
            for _ in range(AHEAD):
                index, payload = self._rest.popleft()
                self._next_ones.append((index, payload, self._form.bind_ahead(payload)))

    def _outcome(self) -> tuple[int, Any]:
        """Run the item in hand."""
        try:
            value = self._call()
            if type(value) in self._form.lasting:
                return _UNWRITTEN, value
            if inspect.iscoroutine(value):
                value = run_alone(value)
            return DONE, self._written(value)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            return RAISED, _encode(self._fault(error))

    async def _outcome_async(self) -> tuple[int, Any]:
        try:
            value = self._call()
            if inspect.isawaitable(value):
                value = await value
            return DONE, self._written(value)
        except (KeyboardInterrupt, GeneratorExit, asyncio.CancelledError):
            raise
        except BaseException as error:
            return RAISED, _encode(self._fault(error))

    def _call(self) -> Any:
        payload, self._payload = self._payload, b""
        bound, self._bound = self._bound, None
        self._is_bound = False
        args, kwargs = bound or self._form.bind(payload, self._target)
        del payload, bound
        self._is_bound = True
        return self._target(*args, **kwargs)

    def _written(self, value: Any) -> Buffer:
        parts = self._form.encode(value)[0]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _fault(self, error: BaseException) -> Fault:
        try:
            if not self._is_bound:
                return unreadable_arguments(error, self._form.dump_exception)
            return user_fault(error, self._form.dump_exception)
        except MemoryError as memory:
            return memory_fault(memory)

    # -- what is said

    def _say(self, index: int | None, kind: int, body: Any) -> None:
        self._running = None
        self._said.append((index or 0, kind, body))
        self._bytes += getsizeof(body) if kind == _UNWRITTEN else len(body)

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
        with suppress(IndexError):  # each is taken either here or by who runs them
            while self._rest:
                self._said.append((self._rest.pop()[0], GIVEN_BACK, b""))
            while True:
                self._said.append((self._next_ones.pop()[0], GIVEN_BACK, b""))

    def _is_due(self, now_s: float) -> bool:
        return now_s - self._sent_s >= HOLD_S

    def _send(self) -> None:
        if self._said and self._emit is not None:
            self._emit.item(self._batch(), 0)

    def _batch(self) -> list[Buffer]:
        """Return what was said since, as the parts of one batch."""
        said = [self._said.popleft() for _ in range(len(self._said))]
        kinds = [DONE if kind == _UNWRITTEN else kind for _, kind, _ in said]
        bodies = [self._written(one) if kind == _UNWRITTEN else one for _, kind, one in said]
        self._bytes = 0
        now_s, cpu_s = time.monotonic(), time.process_time()
        head = Head(
            [index for index, _, _ in said],
            bytes(kinds),
            [len(body) for body in bodies],
            now_s - self._busy_from_s,
            cpu_s - self._cpu_from_s,
        )
        self._sent_s = self._busy_from_s = now_s
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
