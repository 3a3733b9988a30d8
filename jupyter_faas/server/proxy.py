"""The gateway's own routes for pages: passed on as they are, with the token added here.

Bodies are streamed both ways with back-pressure, so that nothing large is held. Only headers that
mean something to the gateway go there, and only those that mean something to a page come back:
no cookie of Jupyter's reaches the gateway, no token of the gateway's reaches a page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from urllib.parse import parse_qsl, urlencode

from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_faas.client.gateway import Gateway
from jupyter_faas.core.errors import BadRequest, FaasError, PayloadTooLarge
from jupyter_faas.server.base import Route, hub_of
from jupyter_faas.wire.aio import AsyncConnection, AsyncResponse
from jupyter_faas.wire.aio_stream import Streamed
from jupyter_faas.wire.heads import IllegalHeader

MAX_BODY_BYTES = 256 << 20
"""Of one request from a page; larger things are sent by a kernel."""
ROOT = "jupyter-faas/api/"

_THERE = frozenset(
    {
        "accept",
        "content-type",
        "faas-deadline-ms",
        "faas-invocation-id",
        "faas-method",
        "faas-revision",
        "faas-route-key",
        "idempotency-key",
        "traceparent",
        "x-callback-url",
    }
)
_BACK = frozenset({"content-type", "content-length", "location", "retry-after"})
_JUPYTERS = frozenset({"token", "_xsrf", "no_track_activity"})
"""Query parameters that are for the Jupyter server."""

_Answer = tuple[Gateway, AsyncConnection, AsyncResponse]


@web.stream_request_body
class ProxyRoute(Route):
    """`ANY v1/…`, `POST function/…`, `POST async-function/…`."""

    @property
    def action(self) -> str:
        """What is asked of the authorizer: calling a function is executing."""
        return super().action if self._target.startswith("v1/") else "execute"

    @property
    def _is_write(self) -> bool:
        return self.request.method not in ("GET", "HEAD")

    @property
    def _target(self) -> str:
        return self.request.path[len(self.base_url) + len(ROOT) :]

    async def prepare(self) -> None:  # type: ignore[override]  # as Jupyter's own do
        """Begin to pass the request on, once it is permitted."""
        self._track_activity = self._is_write
        self._asking: asyncio.Task[_Answer] | None = None
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        await super().prepare()
        if not self._finished:
            self._asking = asyncio.get_running_loop().create_task(self._ask(self._length()))
            self._asking.add_done_callback(_looked_at)

    async def data_received(self, chunk: bytes) -> None:
        """Hand on a piece of the body; returns when there is room for the next."""
        await self._put(chunk)

    async def _pass(self, *_: str) -> None:
        await self._put(None)
        assert self._asking is not None
        gateway, connection, response = await self._asking
        try:
            await self._copy(response)
        except StreamClosedError:
            pass  # the page is gone: leaving cuts the call
        except (FaasError, OSError):
            if not self._headers_written:
                raise
            self.detach().close()  # an answer that was cut must not look whole
        finally:
            if response.is_complete:
                hub_of(self).place.release(gateway, connection)
            else:
                connection.close()

    get = head = post = put = patch = delete = _pass

    async def _copy(self, response: AsyncResponse) -> None:
        self._head(response)
        if self.request.method != "HEAD":
            async with aclosing(response.iter_body()) as pieces:
                async for piece in pieces:
                    self.write(piece)
                    await self.flush()
        kind = response.headers.get("content-type", "application/octet-stream")
        self.finish(set_content_type=kind)

    def on_connection_close(self) -> None:
        """The page has gone: the gateway sees its caller leave."""
        if self._asking is None:
            return
        if self._asking.done() and not self._asking.cancelled() and not self._asking.exception():
            self._asking.result()[1].close()
        self._asking.cancel()

    async def _ask(self, length: int) -> _Answer:
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in self.request.headers.get_all()
            if name.lower() in _THERE
        ]
        body = Streamed(self._body(), length) if length else ()
        try:
            return await hub_of(self).place.ask(
                self.request.method or "GET", self._path, headers, body, may_start=self._is_write
            )
        except IllegalHeader as error:
            raise BadRequest(f"This cannot be passed on: {error}.") from None

    def _path(self, gateway: Gateway) -> str:
        path = f"/{self._target}"
        if not path.isascii():
            raise BadRequest("The path has to be percent-encoded.")
        pairs = parse_qsl(self.request.query, keep_blank_values=True)
        query = urlencode([pair for pair in pairs if pair[0] not in _JUPYTERS])
        is_named = any(name == "namespace" for name, _ in pairs)
        full = f"{path}?{query}" if query else path
        return full if is_named or not path.startswith("/v1/") else gateway.control_path(full)

    def _length(self) -> int:
        headers = self.request.headers
        if "Transfer-Encoding" in headers:
            raise BadRequest("The request has to say its Content-Length.", status=411)
        length = int(headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            raise PayloadTooLarge(
                f"A page may send {MAX_BODY_BYTES} bytes; these are {length}. "
                "Call it from a notebook."
            )
        return length

    async def _put(self, piece: bytes | None) -> None:
        """Give a piece to the request that goes on, unless nobody takes it any more."""
        if self._asking is None or self._asking.done():
            return
        putting = asyncio.ensure_future(self._pieces.put(piece))
        await asyncio.wait((putting, self._asking), return_when=asyncio.FIRST_COMPLETED)
        putting.cancel()

    async def _body(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece

    def _head(self, response: AsyncResponse) -> None:
        self.set_status(response.status)
        self.set_header("Cache-Control", "no-store")
        for name, value in response.headers.items():
            if name == "location" and value.startswith("/"):
                self.set_header(name, f"{self.base_url}{ROOT}{value[1:]}")
            elif name in _BACK or name.startswith("faas-"):
                self.set_header(name, value)


def _looked_at(task: asyncio.Task[_Answer]) -> None:
    """A page that is gone does not wait for its error any more."""
    if not task.cancelled():
        task.exception()
