"""A process at the other end of two pipes: it lives for as long as its standard input is open.

So it ends with whoever started it, however that ends. Used by the gateway for the driver of maps,
and by the driver for the host of Ray.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence


class Child:
    """One that was started; see `start_child`.

    Attributes:
        reader: What it says.
        writer: What it is told.
    """

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.reader, self.writer = process.stdout, process.stdin
        self._process = process

    @property
    def pid(self) -> int | None:
        """Its number; None: it has ended."""
        return self._process.pid if self._process.returncode is None else None

    async def wait(self) -> int:
        """Wait until it has ended; returns its exit code, below 0 if a signal did it."""
        return await self._process.wait()

    async def close(self, patience_s: float) -> int:
        """End its input, kill it when it has not ended within `patience_s`, and wait until then."""
        if self.pid is not None:
            self.writer.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), patience_s)
        return await self.kill()

    async def kill(self) -> int:
        """End it at once, if it has not, and wait until it has; returns its exit code."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        return await self.wait()


async def start_child(command: Sequence[str], environ: Mapping[str, str]) -> Child:
    """Start one; what it prints as errors goes where ours go.

    Raises:
        OSError: It cannot be started.
    """
    return Child(
        await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=None, env=dict(environ), cwd="/"
        )
    )


def tell(writer: asyncio.StreamWriter, line: bytes) -> None:
    """Write to somebody who may just have ended: whoever reads from there hears of it."""
    with contextlib.suppress(RuntimeError):  # uvloop's word for a pipe that it has closed
        writer.write(line)
