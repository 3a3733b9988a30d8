"""One zygote as the server sees it: how it is started, ordered from, given up.

Called by `nursery.py` only. Nothing here knows whether another one would be better.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import tempfile
from contextlib import suppress
from typing import IO, NamedTuple

from jupyter_faas.kernels.birth import Birth, NotForkable
from jupyter_faas.kernels.forked import ForkedKernel
from jupyter_faas.kernels.order import (
    BOUND,
    ENDED,
    MAX_MESSAGE_BYTES,
    REFUSED,
    STALE,
    STARTED,
    Order,
    send_order,
)

IMPORT_S = 60.0
"""How long a new zygote may take to fork: it imports first, from a cold disk perhaps."""

FORK_S = 5.0
"""How long one may take that has forked before."""

BIND_S = 10.0
"""How long a kernel is waited for to open its ports; then the client waits for it as for any."""


class Stale(Exception):
    """The zygote is older than what is installed now."""


class Streams(NamedTuple):
    """Descriptors of a kernel's output."""

    stdout: int
    stderr: int


class ZygoteProcess:
    """One zygote process and the way to it.

    Args:
        birth: What it is started with.

    Raises:
        NotForkable: Its interpreter cannot be executed.
    """

    def __init__(self, birth: Birth) -> None:
        self.birth = birth
        self._has_forked = False
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        self._process = self._start(theirs)

    def _start(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        server = -1
        try:
            server = os.pidfd_open(os.getpid())
            fds = (theirs.fileno(), server)
            words = [self.birth.interpreter, *self.birth.flags, "-m", "jupyter_faas.kernels"]
            words += ["--control-fd", str(fds[0]), "--server-fd", str(fds[1])]
            return subprocess.Popen(  # noqa: S603 - the command of the kernelspec
                words,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                cwd="/",
                env=dict(self.birth.environ),
                pass_fds=fds,
                start_new_session=True,
            )
        except OSError as error:
            self._control.close()
            self._log.close()
            raise NotForkable(f"its zygote cannot be started: {error}") from error
        finally:
            theirs.close()
            if server >= 0:
                os.close(server)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def is_usable(self) -> bool:
        """Return whether it runs and is listened to."""
        return self._process.poll() is None and self._control.fileno() >= 0

    async def fork(self, order: Order, streams: Streams) -> ForkedKernel:
        """Return the kernel that was ordered, its ports open.

        Raises:
            Stale: Other packages are installed than when this started; nothing was forked.
            NotForkable: Nothing was forked.
        """
        link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.setblocking(False)
        try:
            self._send(order, theirs, streams)
            kernel = await self._started(link)
        except BaseException:
            _give_up(link)
            raise
        try:
            await _next(link, BIND_S, BOUND)
        except (TimeoutError, OSError):
            pass  # it runs: its client waits for it as for any
        except BaseException:
            kernel.kill()  # nobody wants it any more
            raise
        return kernel

    def hang_up(self) -> None:
        """Order nothing more. It ends when its last kernel has."""
        self._control.close()

    def kill(self) -> None:
        """End it at once; its kernels go on."""
        self.hang_up()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def has_ended(self) -> bool:
        """Return whether its process is gone; what it held here is freed then."""
        if self._process.poll() is None:
            return False
        self._control.close()
        self._log.close()
        return True

    def _send(self, order: Order, link: socket.socket, streams: Streams) -> None:
        try:
            send_order(self._control, order, link.fileno(), *streams)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise NotForkable(self._why_dead()) from error
        except OSError as error:
            raise NotForkable(f"its zygote cannot be given an order: {error}") from error
        finally:
            link.close()

    async def _started(self, link: socket.socket) -> ForkedKernel:
        patience_s = FORK_S if self._has_forked else IMPORT_S
        try:
            message, fds = await _next(link, patience_s)
        except ConnectionResetError as error:
            raise NotForkable(self._why_dead()) from error
        except TimeoutError:
            # It may yet fork when it goes on: not if it is dead.
            self.kill()
            raise NotForkable(f"its zygote has not answered within {patience_s:.0f} s") from None
        if message[:1] == STALE:
            raise Stale
        if message[:1] == REFUSED:
            raise NotForkable(message[1:].decode(errors="replace"))
        if message[:1] == ENDED:
            raise NotForkable("it ended at once, see the server's log")
        if message[:1] != STARTED or len(fds) != 1:
            raise NotForkable(self._why_dead())
        self._has_forked = True
        return ForkedKernel(_pid_of(fds[0]), fds[0], link)

    def _why_dead(self) -> str:
        """Return what the zygote wrote last, for the sentence that says why nothing was forked."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        text = ""
        if not self._log.closed:
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").split("\n")
            text = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"its zygote has ended ({text or self._process.returncode})"


def _give_up(link: socket.socket) -> None:
    """Close the link to a kernel that nobody wants, and end one that has just said it starts."""
    with link, suppress(OSError):
        link.shutdown(socket.SHUT_RD)  # who says so from here on is not heard, and ends by itself
        flags = socket.MSG_CMSG_CLOEXEC
        message, fds, _, _ = socket.recv_fds(link, MAX_MESSAGE_BYTES, 1, flags)
        if message[:1] == STARTED and len(fds) == 1:
            ForkedKernel(_pid_of(fds[0]), fds[0], link).kill()


async def _next(
    link: socket.socket, timeout_s: float, awaited: bytes = b""
) -> tuple[bytes, list[int]]:
    """Return the next message on a link (that begins with `awaited`) with its descriptors.

    Empty when the other side has closed.

    Raises:
        TimeoutError: None came.
    """
    async with asyncio.timeout(timeout_s):
        while True:
            await _readable(link)
            flags = socket.MSG_CMSG_CLOEXEC
            message, fds, _, _ = socket.recv_fds(link, MAX_MESSAGE_BYTES, 1, flags)
            if not message or message.startswith(awaited):
                return message, fds


async def _readable(link: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[None] = loop.create_future()

    def see() -> None:
        if not seen.done():
            seen.set_result(None)

    loop.add_reader(link, see)
    try:
        await seen
    finally:
        loop.remove_reader(link)


def _pid_of(pidfd: int) -> int:
    """Return the process of a pidfd."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["Pid"])
