"""Listens to one zygote process and talks to it. Decides nothing: `environment.py` does.

The control socket keeps messages apart (SOCK_SEQPACKET, msgpack); a pidfd tells the end of the
process, also when a forked child still holds the other end of the socket.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from jupyter_faas.providers.local.process import ZygoteProcess

_MAX_MESSAGE_BYTES = 1 << 20
_LAST_LINES = 12


class Zygote:
    """One zygote that is running, or has just ended.

    Args:
        process: What `spawn_zygote` has started.
        on_event: Called with each message, in order.
        on_exit: Called once, after the last message; the text says how it ended.
    """

    def __init__(
        self,
        process: ZygoteProcess,
        on_event: Callable[[Zygote, dict[str, Any]], None],
        on_exit: Callable[[Zygote, str], None],
    ) -> None:
        self.pid = process.pid
        self.is_ready = False
        self.loaded = 0
        """How many modules it has been told to import and has imported."""
        self.ended = asyncio.Event()
        self._process = process
        self._control = process.control
        self._on_event = on_event
        self._on_exit = on_exit
        self._unsent: deque[bytes] = deque()
        self._loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(process.pid)
        self._end = select.poll()
        self._end.register(self._pidfd, select.POLLIN)
        self._loop.add_reader(self._control.fileno(), self._read)
        self._loop.add_reader(self._pidfd, self._reap)

    def send(self, **message: Any) -> None:
        """Send a message; kept while the zygote is too busy to read. Lost if it has ended."""
        if self.ended.is_set():
            return
        self._unsent.append(msgspec.msgpack.encode(message))
        if len(self._unsent) == 1:
            self._flush()

    def notice_end(self) -> None:
        """Look whether the process has just ended, before the loop gets to say so."""
        if not self.ended.is_set() and self._end.poll(0):
            self._reap()

    def kill(self) -> None:
        """End the process now; what it has forked ends with it."""
        if not self.ended.is_set():
            os.kill(self.pid, signal.SIGKILL)

    def wake(self) -> None:
        """Let the process go on if somebody has stopped it: user code may signal its parent."""
        if not self.ended.is_set():
            os.kill(self.pid, signal.SIGCONT)

    def hang_up(self) -> None:
        """Close the control socket: the zygote kills what it has started and exits."""
        if self._control.fileno() >= 0:
            self._loop.remove_reader(self._control.fileno())
            self._loop.remove_writer(self._control.fileno())
            self._control.close()

    def last_lines(self) -> str:
        """Return what this process wrote last to its log: why it could not go on."""
        try:
            with self._process.log_path.open("rb") as log:
                size = os.fstat(log.fileno()).st_size
                log.seek(self._process.log_offset if size >= self._process.log_offset else 0)
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(line for line in lines[-_LAST_LINES:] if line.strip())

    def _flush(self) -> None:
        while self._unsent:
            try:
                self._control.send(self._unsent[0])
            except BlockingIOError:
                self._loop.add_writer(self._control.fileno(), self._flush)
                return
            except OSError:
                self._unsent.clear()  # it has ended: `_reap` comes
            else:
                self._unsent.popleft()
        if self._control.fileno() >= 0:
            self._loop.remove_writer(self._control.fileno())

    def _read(self) -> None:
        while self._control.fileno() >= 0:
            try:
                message = self._control.recv(_MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                # It closed its end without ending: of no use any more.
                self.hang_up()
                self.kill()
                return
            self._on_event(self, msgspec.msgpack.decode(message))

    def _reap(self) -> None:
        if self.ended.is_set():
            return
        self.ended.set()
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._read()
        self.hang_up()
        how = _how_it_ended(self.pid)
        self._on_exit(self, how)


def _how_it_ended(pid: int) -> str:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return "ended"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with status {code}"
    return f"was killed by {signal.Signals(-code).name}"
