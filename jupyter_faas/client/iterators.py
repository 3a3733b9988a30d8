"""What a remote generator gives here: items as they come, while it runs there.

Closing or dropping the iterator before its end closes the connection, and the gateway cancels
the rest. A reader that is slow slows the generator down: nothing is read ahead of it but what
the sockets hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from jupyter_faas.client import answers
from jupyter_faas.wire.frames import FrameReader

if TYPE_CHECKING:
    from jupyter_faas.client.route import Route
    from jupyter_faas.wire.aio import AsyncConnection
    from jupyter_faas.wire.blocking import BlockingConnection

T = TypeVar("T")


class Begun:
    """What has been read of an answer, before it was known to be items.

    Attributes:
        reader: In the middle of the frames.
        items: Bodies of the first items.
    """

    __slots__ = ("items", "reader")

    def __init__(self) -> None:
        self.reader = FrameReader()
        self.items: deque[answers.Body] = deque()

    def feed(self, chunk: answers.Body, answer: answers.Answer) -> bool:
        """Take a piece of the answer; return whether it brought items."""
        for frame in self.reader.feed(chunk):
            item = answer.take(frame)
            if item is not None:
                self.items.append(item)
        return bool(self.items)


class RemoteIterator(Generic[T], Iterator[T]):
    """The items of one call of a generator function. Belongs to the cell that made the call.

    Args:
        route: The way of the call.
        connection: Carries the answer.
        chunks: The rest of the answer's body.
        answer: Takes what is no item.
        begun: What was read of the body before; None: nothing.
    """

    def __init__(
        self,
        route: Route,
        connection: BlockingConnection,
        chunks: Iterator[bytes],
        answer: answers.Answer,
        begun: Begun | None = None,
    ) -> None:
        self._route = route
        self._connection: BlockingConnection | None = connection
        self._chunks = chunks
        self._answer = answer
        self._begun = Begun() if begun is None else begun
        self._items = self._begun.items

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
            self._begun.feed(chunk, self._answer)
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
        self._is_over = False

    def __aiter__(self) -> RemoteAsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        __tracebackhide__ = True
        while self._stream is None or not self._stream.items:
            if self._is_over:
                raise StopAsyncIteration
            try:
                await self._read()
            except BaseException as error:
                answers.without_frames(error)
                raise
        return cast(T, answers.load(self._stream.items.popleft(), self._stream.route.name))

    async def aclose(self) -> None:
        """Stop: the rest of the remote generator is cancelled."""
        self._is_over = True
        if self._stream is not None:
            self._stream.items.clear()
            self._stream.close()

    async def __aenter__(self) -> RemoteAsyncIterator[T]:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if getattr(self, "_stream", None) is not None:
            self._stream.close()  # type: ignore[union-attr]  # - open while it has items

    async def _read(self) -> None:
        """Read one more piece of the answer; the first time, make the call."""
        __tracebackhide__ = True
        if self._stream is None:
            self._stream = await self._begin()
            if self._stream.items:
                return
        self._is_over = not await self._stream.read()


class AsyncStream:
    """One running answer, read on an event loop.

    Attributes:
        route: The way of the call.
        items: Bodies of items that are here and not taken yet.
    """

    def __init__(
        self,
        route: Route,
        connection: AsyncConnection,
        chunks: AsyncIterator[bytes],
        answer: answers.Answer,
        begun: Begun | None = None,
    ) -> None:
        self.route = route
        self._connection: AsyncConnection | None = connection
        self._chunks = chunks
        self._answer = answer
        self._begun = Begun() if begun is None else begun
        self.items = self._begun.items

    async def read(self) -> bool:
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
            self._begun.feed(chunk, self._answer)
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
