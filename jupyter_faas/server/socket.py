"""The page's WebSocket: Jupyter's authentication and origin check, then one `Page`."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from jupyter_faas.server.base import RESOURCE, check, hub_of
from jupyter_faas.server.page import Page

LONGEST_MESSAGE = 64 * 1024
_NOT_UNDERSTOOD = 1007
_GOING_AWAY = 1001


class EventsSocket(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """`WS events`: one per page; see `routes.py` for what is said on it."""

    auth_resource = RESOURCE
    page: Page | None = None

    def set_default_headers(self) -> None:
        """None of a page's headers belongs on a WebSocket."""

    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Open it, if its page is Jupyter's own and its user may watch."""
        await check(self, "read")
        await super().get(*args, **kwargs)

    def open(self, *args: Any, **kwargs: Any) -> None:
        """Begin to tell."""
        super().open(*args, **kwargs)
        self.page = Page(hub_of(self), self._send, self._drop)
        self.page.open()

    def on_message(self, message: str | bytes) -> None:
        """Take what the page says."""
        if self.page is None:
            return
        try:
            if len(message) > LONGEST_MESSAGE:
                raise msgspec.DecodeError("it is too long")
            self.page.hear(message)
        except msgspec.MsgspecError as error:
            self.close(_NOT_UNDERSTOOD, f"Not understood: {error}"[:120])

    def on_close(self) -> None:
        """The page is gone."""
        page, self.page = self.page, None
        if page is not None:
            page.close()
        super().on_close()

    async def _send(self, message: bytes) -> None:
        try:
            await self.write_message(message.decode("utf-8"))
        except WebSocketClosedError:
            raise ConnectionResetError("The page is gone.") from None

    def _drop(self, reason: str) -> None:
        """End the connection; one that nobody reads is cut."""
        self.log.debug("a page is dropped: %s", reason)
        with suppress(WebSocketClosedError):
            self.close(_GOING_AWAY, reason[:120])
        page, self.page = self.page, None
        if page is not None:
            page.close()
