"""The driver's side of a Ray host: starts it, hears it, ends it."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence

import msgspec

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.fanout.ray.words import Close, Event, Failed, HostStart, Open, Opened, Order, Up

START_S = 120.0
"""Ray that is not up by then will not be."""
_END_S = 10.0

_events = msgspec.json.Decoder(Event)


class RayHouse:
    """Ray on this machine, once it is wanted.

    Args:
        command: Starts a host.
        environ: Its environment.
        start: Its first line.
        on_change: Called when `seats` or `trouble` has changed.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        start: HostStart,
        on_change: Callable[[], None],
    ) -> None:
        self.seats = 0
        """How many there are; 0: it is not up."""
        self.trouble = ""
        """Why it is not and will not be, as a sentence."""
        self._command = command
        self._environ = dict(environ)
        self._start = start
        self._on_change = on_change
        self._process: Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._opening: dict[str, asyncio.Future[None]] = {}

    @property
    def is_begun(self) -> bool:
        """Whether it has been told to start."""
        return self._task is not None

    @property
    def pid(self) -> int | None:
        """Of the host; None: there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def begin(self) -> None:
        """Start it, once; `on_change` tells what became of it."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._live())

    async def open(self, seat: int, replica: str, socket: str) -> None:
        """Start a generic replica on a seat; returns when it listens.

        Raises:
            ProviderError: It does not start.
        """
        future = self._opening[replica] = asyncio.get_running_loop().create_future()
        self._tell(Open(seat=seat, replica=replica, socket=socket))
        try:
            await future
        finally:
            self._opening.pop(replica, None)

    def shut(self, seat: int, replica: str) -> None:
        """End a replica."""
        self._tell(Close(seat=seat, replica=replica))

    async def close(self) -> None:
        """End Ray, and wait until it has."""
        process = self._process
        if process is not None and process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), _END_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _live(self) -> None:
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE, stderr=None, env=self._environ, cwd="/"
            )
        except OSError as error:
            self._give_up(f"The process that starts Ray cannot be started: {error.strerror}.")
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(self._start) + b"\n")
        try:
            async with asyncio.timeout(START_S):
                self._hear(await process.stdout.readline())
        except TimeoutError:
            process.kill()
            self._give_up(f"Ray has not started within {START_S:.0f} s.")
            return
        while line := await process.stdout.readline():
            self._hear(line)
        await process.wait()
        self._give_up("Ray has ended.")

    def _hear(self, line: bytes) -> None:
        if not line.strip():
            return
        event = _events.decode(line)
        if isinstance(event, Up):
            self.seats = event.seats
            self._on_change()
        elif isinstance(event, Failed):
            self._give_up(event.why)
        elif isinstance(event, Opened):
            future = self._opening.get(event.replica)
            if future is None or future.done():
                return
            if event.why:
                future.set_exception(ProviderError(f"Ray starts no replica: {event.why}"))
            else:
                future.set_result(None)

    def _give_up(self, why: str) -> None:
        self.seats = 0
        self.trouble = self.trouble or why
        for future in self._opening.values():
            if not future.done():
                future.set_exception(ProviderError(self.trouble))
        self._on_change()

    def _tell(self, order: Order) -> None:
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            raise ProviderError(self.trouble or "Ray is not up.")
        process.stdin.write(msgspec.json.encode(order) + b"\n")
