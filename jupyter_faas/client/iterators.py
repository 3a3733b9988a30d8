"""What a remote generator gives here: items as they come, while it runs there.

Closing or dropping the iterator before its end closes the connection, and the gateway cancels
the rest. A reader that is slow slows the generator down: nothing is read ahead of it but what
the sockets hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from jupyter_faas.client import answers
from jupyter_faas.wire.frames import FrameReader

if TYPE_CHECKING:
    from jupyter_faas.client.route import Route
    from jupyter_faas.wire.aio import AsyncConnection, AsyncResponse
    from jupyter_faas.wire.blocking import BlockingConnection, Response

T = TypeVar("T")


class RemoteIterator(Generic[T], Iterator[T]):
    """The items of one call of a generator function. Belongs to the cell that made the call."""

    def __init__(
        self,
        route: Route,
        connection: BlockingConnection,
        response: Response,
        answer: answers.Answer,
    ) -> None:
        self._route = route
        self._connection: BlockingConnection | None = connection
        self._chunks = response.iter_body()
        self._reader = FrameReader()
        self._answer = answer
        self._items: deque[answers.Body] = deque()

    def __iter__(self) -> RemoteIterator[T]:
        return self

    def __next__(self) -> T:
        __tracebackhide__ = True
        while not self._items:
            if self._connection is None:
                raise StopIteration
            try:
                self._read()
            except BaseException as error:
                answers.without_frames(error)
                raise
        return cast(T, answers.load(self._items.popleft(), self._route.name))

    def close(self) -> None:
        """Stop: the rest of the remote generator is cancelled."""
        connection, self._connection = self._connection, None
        self._items.clear()
        if connection is not None:
            connection.close()

    def __enter__(self) -> RemoteIterator[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_connection", None) is not None:
            self.close()

    def _read(self) -> None:
        """Read one more piece of the answer; at its end, raise what the generator raised."""
        __tracebackhide__ = True
        connection = self._connection
        try:
            chunk = next(self._chunks, None)
        except BaseException:
            self.close()
            raise
        if chunk is not None:
            _collect(self._reader.feed(chunk), self._answer, self._items)
        elif connection is not None:
            self._connection = None
            self._route.gateway.release(connection)
            self._answer.value(self._route.name)


class RemoteAsyncIterator(Generic[T], AsyncIterator[T]):
    """The items of one call of a generator function, for `async for`.

    Args:
        begin: Makes the call; awaited at the first item.
    """

    def __init__(self, begin: Callable[[], Awaitable[AsyncStream]]) -> None:
        self._begin = begin
        self._stream: AsyncStream | None = None
        self._items: deque[answers.Body] = deque()
        self._is_over = False

    def __aiter__(self) -> RemoteAsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        __tracebackhide__ = True
        while not self._items:
            if self._is_over:
                raise StopAsyncIteration
            try:
                await self._read()
            except BaseException as error:
                answers.without_frames(error)
                raise
        assert self._stream is not None
        return cast(T, answers.load(self._items.popleft(), self._stream.route.name))

    async def aclose(self) -> None:
        """Stop: the rest of the remote generator is cancelled."""
        self._is_over = True
        self._items.clear()
        if self._stream is not None:
            self._stream.close()

    async def __aenter__(self) -> RemoteAsyncIterator[T]:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if getattr(self, "_stream", None) is not None:
            self._stream.close()  # type: ignore[union-attr]

    async def _read(self) -> None:
        """Read one more piece of the answer; the first time, make the call."""
        __tracebackhide__ = True
        if self._stream is None:
            self._stream = await self._begin()
        self._is_over = not await self._stream.read_into(self._items)


class AsyncStream:
    """One running answer, read on an event loop."""

    def __init__(
        self,
        route: Route,
        connection: AsyncConnection,
        response: AsyncResponse,
        answer: answers.Answer,
    ) -> None:
        self.route = route
        self._connection: AsyncConnection | None = connection
        self._chunks = response.iter_body()
        self._reader = FrameReader()
        self._answer = answer

    async def read_into(self, items: deque[answers.Body]) -> bool:
        """Read one more piece; False at the end.

        Raises:
            Exception: What the generator raised.
        """
        __tracebackhide__ = True
        try:
            chunk = await anext(self._chunks, None)
        except BaseException:
            self.close()
            raise
        if chunk is not None:
            _collect(self._reader.feed(chunk), self._answer, items)
            return True
        connection, self._connection = self._connection, None
        if connection is not None:
            self.route.gateway.aio.release(connection)
        self._answer.value(self.route.name)
        return False

    def close(self) -> None:
        """Cut the connection if the answer has not been read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _collect(frames: Iterator[Any], answer: answers.Answer, items: deque[answers.Body]) -> None:
    for frame in frames:
        item = answer.take(frame)
        if item is not None:
            items.append(item)
