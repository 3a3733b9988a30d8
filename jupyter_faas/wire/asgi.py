"""Running an ASGI 3 application on an exchange: how the control API is served.

Enough of ASGI for Starlette: requests with streamed bodies, streamed answers (SSE), disconnects,
and optionally the lifespan. One task per request; the invocation paths do not come here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_to_bytes

from jupyter_faas.core.errors import InternalError
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.problems import problem_answer

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HELD_BYTES = 256 * 1024
_SERVERS_WORDS = frozenset({b"content-length", b"transfer-encoding", b"connection", b"keep-alive"})
_logger = logging.getLogger(__name__)


class AsgiBridge:
    """Gives exchanges to an ASGI application.

    Args:
        app: The application.
        lifespan: Tell it of start and end (`start`, `stop`).
        root_path: What is before every path, for applications that build URLs.
    """

    def __init__(self, app: App, *, lifespan: bool = False, root_path: str = "") -> None:
        self._app = app
        self._root_path = root_path
        self._background = Background("an application")
        self._lifespan = _Lifespan(app) if lifespan else None
        self._state: dict[str, Any] = {}

    def __call__(self, exchange: Exchange) -> None:
        """Run the application on one exchange; to be called from `on_head`."""
        run = _Run(exchange)
        exchange.receiver = run
        scope = _scope(exchange, self._root_path, self._state)
        self._background.run(run.serve(self._app, scope))

    async def start(self) -> None:
        """Run the application's start-up.

        Raises:
            RuntimeError: It failed; carries its message.
        """
        if self._lifespan is not None:
            await self._lifespan.start(self._state)

    async def stop(self) -> None:
        """Cancel what is running (open event streams), then run the application's shutdown."""
        await self._background.close()
        if self._lifespan is not None:
            await self._lifespan.stop()


class _Run:
    """One request in an ASGI application: the exchange's receiver, and `receive` and `send`."""

    __slots__ = (
        "_body",
        "_changed",
        "_exchange",
        "_head",
        "_held_bytes",
        "_is_body_complete",
        "_is_end_told",
        "_is_gone",
        "_is_paused",
        "_writable",
    )

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._body: deque[bytes] = deque()
        self._held_bytes = 0
        self._is_body_complete = False
        self._is_end_told = False
        self._is_gone = False
        self._is_paused = exchange.has_body
        self._head: tuple[int, list[tuple[bytes, bytes]], int] | None = None
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        if exchange.has_body:
            exchange.pause_body()  # until the application asks: it may refuse from the head

    async def serve(self, app: App, scope: Scope) -> None:
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._exchange.abort()
            raise
        except Exception:
            if not self._is_gone:
                _logger.exception("the application failed on %s %s", scope["method"], scope["path"])
        finally:
            self._end()

    # -- what the application calls

    async def receive(self) -> Message:
        while not self._is_end_told and not self._is_gone:
            if self._body:
                return self._next_piece()
            if self._is_body_complete:
                self._is_end_told = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self._wait_for_body()
        while not (self._is_gone or self._exchange.is_over):
            self._changed.clear()
            await self._changed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._is_gone:
            raise OSError("the client has left")  # as the ASGI specification wants it
        if message["type"] == "http.response.start":
            headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
            length = _length(headers)
            kept = [pair for pair in headers if pair[0].lower() not in _SERVERS_WORDS]
            if length is None:
                self._exchange.start(message["status"], kept)  # a stream: readers wait for the head
            else:
                self._head = (message["status"], kept, length)
        elif message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"not understood: {message['type']}")

    # -- the exchange's calls

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _HELD_BYTES and not self._is_paused:
            self._is_paused = True
            self._exchange.pause_body()
        self._changed.set()

    def on_body_end(self) -> None:
        self._is_body_complete = True
        self._changed.set()

    def on_gone(self) -> None:
        self._is_gone = True
        self._changed.set()
        self._writable.set()

    def on_writable(self) -> None:
        self._writable.set()

    # -- inside

    def _next_piece(self) -> Message:
        piece = self._body.popleft()
        self._held_bytes -= len(piece)
        self._is_end_told = self._is_body_complete and not self._body
        return {"type": "http.request", "body": piece, "more_body": not self._is_end_told}

    async def _wait_for_body(self) -> None:
        self._changed.clear()
        if self._is_paused:
            self._is_paused = False
            self._exchange.resume_body()
        await self._changed.wait()

    async def _send_body(self, body: bytes, more: bool) -> None:
        exchange = self._exchange
        if self._head is not None:
            status, headers, length = self._head
            self._head = None
            if not more and length == len(body):
                exchange.respond(status, headers, body)
                self._changed.set()
                return
            exchange.start(status, headers, length)
        if body:
            exchange.write(body)
        if not more:
            exchange.finish()
            self._changed.set()
        while not exchange.is_writable and not exchange.is_over:
            self._writable.clear()
            await self._writable.wait()

    def _end(self) -> None:
        """An answer that was not begun is a 500; one that was not finished is cut."""
        exchange = self._exchange
        if exchange.is_over:
            return
        if exchange.is_started:
            exchange.abort()
        else:
            error = InternalError("The gateway failed; its log says how.")
            exchange.respond(*problem_answer(error))


class _Lifespan:
    """The application's start-up and shutdown, in a task of its own as ASGI wants it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self, state: dict[str, Any]) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
        self._task = asyncio.get_running_loop().create_task(self._run(scope))
        await self._say("lifespan.startup")

    async def stop(self) -> None:
        if self._task is None:
            return
        await self._say("lifespan.shutdown")
        await self._task

    async def _say(self, step: str) -> None:
        await self._to_app.put({"type": step})
        answer = await self._from_app.get()
        if answer["type"] == f"{step}.failed":
            raise RuntimeError(f"{step}: {answer.get('message', '')}")

    async def _run(self, scope: Scope) -> None:
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:
            # An application without a lifespan raises at once; that is its right.
            await self._from_app.put({"type": "lifespan.unsupported", "message": str(error)})
        finally:
            with suppress(asyncio.QueueFull):
                self._from_app.put_nowait({"type": "lifespan.over"})


def _scope(exchange: Exchange, root_path: str, state: dict[str, Any]) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": exchange.version,
        "method": exchange.method.decode("ascii"),
        "scheme": "http",
        "path": unquote_to_bytes(exchange.path).decode("utf-8", "replace"),
        "raw_path": exchange.path,
        "query_string": exchange.query,
        "root_path": root_path,
        "headers": exchange.headers,
        "client": None,
        "server": None,
        "state": state.copy(),
    }


def _length(headers: list[tuple[bytes, bytes]]) -> int | None:
    for name, value in headers:
        if name.lower() == b"content-length":
            return int(value)
    return None
