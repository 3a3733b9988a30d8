"""The front's hold on one worker process: channel, pipes, signals.

Not an asyncio transport: descriptors travel along with bytes, and a call must leave in the very
turn in which it came. What C code and subprocesses write comes from two pipes; each is read only
after the channel, and emptied before an answer is handed on, so that the order is kept.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from jupyter_faas.runner.channel import Buffer, advance, rights
from jupyter_faas.runner.crash import MAX_BYTES
from jupyter_faas.runner.family import end_family, kill
from jupyter_faas.wire.frames import STDERR, STDOUT, Frame, FrameKind, FrameReader

_READ_BYTES = 256 << 10
_PIPE_BYTES = 64 << 10
_MAX_BUFFERS = 64
_BUFFER_BYTES = 1 << 20
_ANSWERS = frozenset(
    map(int, (FrameKind.ITEM, FrameKind.RESULT, FrameKind.ERROR, FrameKind.END))
)  # plain ints: hashing an enum member runs Python


class WorkerOwner(Protocol):
    """Who uses a worker."""

    def on_frame(self, frame: Frame) -> None:
        """A frame from the worker."""

    def on_batch_end(self) -> None:
        """All frames that were here have been handed over."""

    def on_output(self, stream: int, text: bytes) -> None:
        """Something was written to descriptor 1 or 2 of the worker."""

    def on_hang_up(self) -> None:
        """The channel has ended; the process may still be there."""


class WorkerLink:
    """One worker.

    Args:
        loop: The front's.
        pid: Of the worker.
        fds: Channel, stdout, stderr, life pipe, pidfd, memory for a crash; owned from here on.
        owner: Is told what the worker says.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, pid: int, fds: Sequence[int], owner: WorkerOwner
    ) -> None:
        channel_fd, out_fd, err_fd, self._life_fd, self._pidfd, self._crash_fd = fds
        self.pid = pid
        self._loop = loop
        self._owner = owner
        self._sock = socket.socket(fileno=channel_fd)
        self._sock.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
        self._reader = FrameReader()
        self._unsent: deque[tuple[list[Buffer], tuple[int, ...]]] = deque()
        self._pipes = {out_fd: STDOUT, err_fd: STDERR}
        self._pipe_poll = select.poll()
        self._is_reading = self._is_reading_pipes = True
        self._has_ended = False
        self.is_open = True
        loop.add_reader(channel_fd, self._read)
        for fd, stream in self._pipes.items():
            os.set_blocking(fd, False)
            self._pipe_poll.register(fd, select.POLLIN)
            loop.add_reader(fd, self._on_pipe, fd, stream)

    def send(self, buffers: list[Buffer], fds: tuple[int, ...] = ()) -> None:
        """Send a frame; what the socket does not take now follows. `fds` are closed once sent."""
        if not self.is_open:
            _close(fds)
            return
        if not self._unsent and not fds:
            rest = self._send_now(buffers)
            if rest:
                self._unsent.append((rest, ()))
                self._loop.add_writer(self._sock.fileno(), self._go_on)
            return
        self._unsent.append((buffers, fds))
        if len(self._unsent) == 1:
            self._flush()

    def pause(self) -> None:
        """Read nothing for now: the worker blocks when its socket is full."""
        if self._is_reading and self.is_open:
            self._is_reading = False
            self._loop.remove_reader(self._sock.fileno())
        self.pause_pipes()

    def pause_pipes(self) -> None:
        """Do not read what C code and subprocesses write, for now."""
        if self._is_reading_pipes and self.is_open:
            self._is_reading_pipes = False
            for fd in self._pipes:
                self._loop.remove_reader(fd)

    def resume(self) -> None:
        """Read on."""
        if not self.is_open:
            return
        if not self._is_reading:
            self._is_reading = True
            if not self._has_ended:
                self._loop.add_reader(self._sock.fileno(), self._read)
        if not self._is_reading_pipes:
            self._is_reading_pipes = True
            for fd, stream in self._pipes.items():
                self._loop.add_reader(fd, self._on_pipe, fd, stream)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the worker's main thread."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the worker; the zygote ends what it leaves behind."""
        self._signal(signal.SIGKILL)

    def kill_family(self) -> None:
        """Kill the worker and all its descendants, when the zygote is gone."""
        if self.is_open:
            end_family(self.pid)
            kill(self.pid)

    def drain(self) -> None:
        """Take what an ended worker has left in its channel and pipes."""
        self.resume()
        while self._read():
            pass
        self._read_pipes()

    def crash_dump(self) -> bytes:
        """Return what an ended worker has left of a crash; empty: it did not crash."""
        return os.pread(self._crash_fd, MAX_BYTES, 0)

    def close(self) -> None:
        """Let go of everything; the kernel kills the worker if it is still there."""
        if not self.is_open:
            return
        self.pause()
        self.is_open = False
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        _close((*self._pipes, self._life_fd, self._pidfd, self._crash_fd))
        for _, fds in self._unsent:
            _close(fds)
        self._unsent.clear()
        self._pipes.clear()

    def _send_now(self, buffers: list[Buffer]) -> list[Buffer]:
        """Send what the socket takes at once; returns the rest."""
        data = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # the worker is gone: `on_hang_up` comes
            return []
        return [] if sent == len(data) else [memoryview(data)[sent:]]

    def _flush(self) -> None:
        while self._unsent:
            buffers, fds = self._unsent[0]
            try:
                sent = self._sock.sendmsg(buffers[:_MAX_BUFFERS], rights(fds) if fds else [])
            except BlockingIOError:
                self._loop.add_writer(self._sock.fileno(), self._go_on)
                return
            except OSError:  # the worker is gone: `on_hang_up` comes
                self._drop_unsent()
                return
            _close(fds)
            buffers = advance(buffers, sent)
            if buffers:
                self._unsent[0] = (buffers, ())
            else:
                self._unsent.popleft()

    def _go_on(self) -> None:
        self._loop.remove_writer(self._sock.fileno())
        self._flush()

    def _drop_unsent(self) -> None:
        for _, fds in self._unsent:
            _close(fds)
        self._unsent.clear()

    def _read(self) -> bool:
        """Take what the channel has now, in one gulp, and hand its frames over."""
        if self._has_ended or not self.is_open:
            return False
        try:
            data = self._sock.recv(_READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._has_ended = True
            self._loop.remove_reader(self._sock.fileno())
            self._owner.on_hang_up()
            return False
        is_drained = False
        for frame in self._reader.feed(data):
            if not is_drained and frame.kind in _ANSWERS:
                is_drained = True
                self._read_pipes()
            self._owner.on_frame(frame)
        self._owner.on_batch_end()
        return True

    def _on_pipe(self, fd: int, stream: int) -> None:
        self._read()  # what Python printed before comes first
        if self._is_reading_pipes and self.is_open:
            self._read_pipe(fd, stream)
            self._owner.on_batch_end()

    def _read_pipes(self) -> None:
        for fd, _ in self._pipe_poll.poll(0):
            stream = self._pipes.get(fd)
            if stream is not None:
                self._read_pipe(fd, stream)

    def _read_pipe(self, fd: int, stream: int) -> None:
        try:
            text = os.read(fd, _PIPE_BYTES)
        except OSError:
            return
        if text:
            self._owner.on_output(stream, text)
        elif self._pipes.pop(fd, None):
            self._loop.remove_reader(fd)
            self._pipe_poll.unregister(fd)
            os.close(fd)

    def _signal(self, signum: signal.Signals) -> None:
        if self.is_open:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signum)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
