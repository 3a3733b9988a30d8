"""One page that is told: it hears everything, or is dropped and comes back."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_faas.server.outbox import Bounds
from jupyter_faas.server.page import Page


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionResetError("The page is gone."), "The page is gone."),
        (KeyError("odd"), "The server failed; its log says how."),
    ],
)
async def test_a_page_that_cannot_be_told_is_dropped(error: Exception, why: str) -> None:
    dropped: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    hub: Any = SimpleNamespace(
        bounds=Bounds(), is_live=False, join=lambda page: None, leave=lambda page: None
    )

    async def send(_message: bytes) -> None:
        raise error

    page = Page(hub, send, dropped.set_result)
    page.open()
    page.hear('{"type":"alive"}')
    async with asyncio.timeout(20.0):
        assert await dropped == why
    page.close()
