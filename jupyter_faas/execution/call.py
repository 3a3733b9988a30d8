"""One call: arguments in, user code, results out; in a thread or on an event loop.

Knows nothing of channels and processes: `Form` reads and writes payloads, `Emit` takes what the
call gives. Ending the code from outside is `ending.py`'s or the loop's work; whatever comes out of
`perform` is told to the caller by `fault_of`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, closing
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Protocol

from jupyter_faas.core.errors import FaasError
from jupyter_faas.execution.failure import (
    Fault,
    memory_fault,
    platform_fault,
    unreadable_arguments,
    user_fault,
)

Buffer = bytes | bytearray | memoryview
Target = Callable[..., Any]
Bound = tuple[Sequence[Any], dict[str, Any]]
"""Positional and keyword arguments."""

BINDING, RUNNING, ENCODING = range(3)


class Form(Protocol):
    """How arguments are read and values written: framed pickles, or JSON."""

    @property
    def lasting(self) -> frozenset[type]:
        """Types of values that stay what they are: they may be written later."""

    def bind(self, payload: Buffer, target: Target) -> Bound:
        """Return positional and keyword arguments."""

    def bind_ahead(self, payload: Buffer) -> Bound | None:
        """The same long before the call; None: what is in it must be read when it is its turn."""

    def encode(self, value: Any) -> tuple[Sequence[Buffer], int]:
        """Return the buffers of one value, and what kind of body they are."""

    def encode_item(self, value: Any) -> tuple[Sequence[Buffer], int]:
        """The same for one item of a generator."""

    def dump_exception(self, error: BaseException) -> bytes | None:
        """Return the payload of an exception; None if this form has none."""


class Emit(Protocol):
    """Takes what a synchronous call gives; may wait while the caller reads slowly."""

    def item(self, parts: Sequence[Buffer], body_type: int) -> None:
        """One item of a generator."""

    def result(self, parts: Sequence[Buffer], body_type: int) -> None:
        """The value of a function."""

    @property
    def has_room(self) -> bool:
        """Whether an item can be given without waiting for the caller."""

    def settle(self) -> None:
        """Return once all that was given has left this process: it outlives what comes next."""

    def before_log(self, hook: Callable[[], None]) -> None:
        """Have `hook` called before anything that is printed is sent."""


class AsyncEmit(Protocol):
    """The same for a call on an event loop."""

    async def item(self, parts: Sequence[Buffer], body_type: int) -> None:
        """One item of a generator."""

    async def result(self, parts: Sequence[Buffer], body_type: int) -> None:
        """The value of a function."""

    @property
    def has_room(self) -> bool:
        """Whether an item can be given without waiting for the caller."""

    def offer(self, parts: Sequence[Buffer]) -> None:
        """Give one small item without waiting."""

    def settle(self) -> None:
        """Send all that was given."""


class Call:
    """One call of `target`.

    Args:
        target: The function or bound method.
        payload: Its arguments, as they came; let go as soon as they are read.
        form: How to read and write.
    """

    __slots__ = ("_form", "_payload", "_phase", "_target")

    def __init__(self, target: Target, payload: Buffer, form: Form) -> None:
        self._target = target
        self._payload: Buffer = payload
        self._form = form
        self._phase = BINDING

    @property
    def is_in_code(self) -> bool:
        """Whether user code has begun and has not returned: what is raised is its own."""
        return self._phase == RUNNING

    def perform(self, emit: Emit) -> None:
        """Run in this thread, to the end of a generator.

        Raises:
            BaseException: Whatever ended it; see `fault_of`.
        """
        value = self._begin()
        if isinstance(value, GeneratorType):
            with closing(value):
                self._iterate(value, emit)
            return
        if inspect.iscoroutine(value):
            value = run_alone(value)
        self._phase = ENCODING
        emit.result(*self._form.encode(value))

    async def perform_async(self, emit: AsyncEmit) -> None:
        """Run on the running loop, to the end of a generator.

        Raises:
            BaseException: Whatever ended it; see `fault_of`.
        """
        value = self._begin()
        if isinstance(value, AsyncGeneratorType):
            async with aclosing(value):
                await self._iterate_async(value, emit)
            return
        if inspect.isawaitable(value):
            value = await value
        self._phase = ENCODING
        await emit.result(*self._form.encode(value))

    def fault_of(self, error: BaseException) -> Fault:
        """Return how to tell the caller what ended this call."""
        try:
            if self._phase == BINDING:
                return unreadable_arguments(error, self._form.dump_exception)
            if self._phase == ENCODING:
                return self._encoding_fault(error)
            return user_fault(error, self._form.dump_exception)
        except MemoryError as memory:
            return memory_fault(memory)

    def _encoding_fault(self, error: BaseException) -> Fault:
        if isinstance(error, FaasError):
            return platform_fault(error)
        return user_fault(error, self._form.dump_exception)

    def _begin(self) -> Any:
        args, kwargs = self._form.bind(self._payload, self._target)
        self._payload = b""
        self._phase = RUNNING
        return self._target(*args, **kwargs)

    def _iterate(self, values: Iterator[Any], emit: Emit) -> None:
        for value in values:
            self._phase = ENCODING
            emit.item(*self._form.encode_item(value))
            self._phase = RUNNING

    async def _iterate_async(self, values: AsyncIterator[Any], emit: AsyncEmit) -> None:
        async for value in values:
            self._phase = ENCODING
            await emit.item(*self._form.encode_item(value))
            self._phase = RUNNING


def run_alone(awaitable: Awaitable[Any]) -> Any:
    """Run what a synchronous function returned instead of a value (a wrapper of a coroutine)."""
    import asyncio  # noqa: PLC0415 - rare, and costs 100 ms where it is not loaded yet

    async def wait() -> Any:
        return await awaitable

    return asyncio.run(wait())
