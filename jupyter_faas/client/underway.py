"""Calls that threads wait in, and that another thread may end: those of an `Executor`.

A call is ended as an interrupt ends one: its connection is cut, and the gateway cancels it. That
holds whatever the call does just then, also if it still deploys its function.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from jupyter_faas.core.errors import InvocationCancelled

if TYPE_CHECKING:
    from jupyter_faas.wire.blocking import BlockingConnection

_AGAIN_S = 0.02
"""A connection that is cut while it is being opened is opened all the same: it is cut again."""


class Underway:
    """The calls of some threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: set[Call] = set()
        self._is_over = False

    @contextmanager
    def call(self) -> Iterator[None]:
        """While entered, what this thread says to a gateway is part of one call.

        Raises:
            InvocationCancelled: It has been ended.
        """
        __tracebackhide__ = True
        one = Call()
        with self._changed:
            if self._is_over:
                one.end()
            self._calls.add(one)
        token = current.set(one)
        try:
            yield
        except Exception:
            if one.is_over:
                raise InvocationCancelled(_ENDED) from None
            raise
        finally:
            current.reset(token)
            one.leave()
            with self._changed:
                self._calls.discard(one)
                self._changed.notify_all()

    def end(self) -> None:
        """End all of them, and those that come later; returns when none is left."""
        with self._changed:
            self._is_over = True
            while self._calls:
                for one in self._calls:
                    one.end()
                self._changed.wait(_AGAIN_S)


class Call:
    """One of them: the connections it uses now; seldom several: an answer may raise a question.

    Attributes:
        is_over: It has been ended.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._connections: set[BlockingConnection] = set()
        self._lock = threading.Lock()

    def take(self, connection: BlockingConnection) -> None:
        """Note that it uses a connection.

        Raises:
            InvocationCancelled: The call has been ended.
        """
        with self._lock:
            if self.is_over:
                connection.close()
                raise InvocationCancelled(_ENDED)
            self._connections.add(connection)

    def give_back(self, connection: BlockingConnection) -> None:
        """Note that others may use it."""
        with self._lock:
            self._connections.discard(connection)

    def leave(self) -> None:
        """Let go of what it still uses: an iterator that reads on belongs to whoever has it."""
        with self._lock:
            self._connections.clear()

    def end(self) -> None:
        """Cut what it uses, and let it use nothing more; from another thread."""
        with self._lock:
            self.is_over = True
            for connection in self._connections:
                connection.close()


current: ContextVar[Call | None] = ContextVar("faas_underway", default=None)
"""The call that the running code is part of; None: of one that only its own thread ends."""

_ENDED = "The call was interrupted where it was made, and is cancelled."
