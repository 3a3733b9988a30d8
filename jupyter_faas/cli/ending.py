"""When a process that serves is to end: a signal, or whatever else comes first."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any


def told_to_end() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; the second signal ends the process at once."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tell() -> None:
        if told.is_set():
            os._exit(1)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell)
    return told


async def first_of(*reasons: Coroutine[Any, Any, object]) -> None:
    """Return when one of these does; the others are cancelled."""
    waits = [asyncio.ensure_future(reason) for reason in reasons]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
