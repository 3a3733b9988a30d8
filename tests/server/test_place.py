"""Where the gateway is looked for, and what is read of one that has ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jupyter_faas.server.place import Place


async def test_reading_that_is_given_up_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    create = asyncio.create_subprocess_exec

    async def endless(*_words: str, **how: Any) -> Any:
        begun.set_result(await create("sleep", "60", **how))
        return begun.result()

    monkeypatch.setattr(asyncio, "create_subprocess_exec", endless)
    reading = asyncio.ensure_future(Place().stored())
    process = await begun
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert process.returncode is not None
