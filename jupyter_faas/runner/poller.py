"""Waiting on descriptors and signals without an event loop: what the zygote does between forks."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

Reader = Callable[[], None]


class Poller:
    """Calls a reader for each descriptor that has something to read.

    Args:
        on_signals: Called with the signals that have come, as bytes of their numbers.
    """

    def __init__(self, on_signals: Callable[[bytes], None]) -> None:
        self._on_signals = on_signals
        self._poll = select.epoll()
        self._readers: dict[int, Reader] = {}
        self._writers: dict[int, Reader] = {}
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)

    def catch(self, *signals: signal.Signals) -> None:
        """Have these signals end a wait instead of doing what they do. Main thread only."""
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for signum in signals:
            signal.signal(signum, lambda *_: None)
        self.watch(self._woken.fileno(), self._read_signals)

    def watch(self, fd: int, reader: Reader) -> None:
        """Call `reader` whenever `fd` has something to read, or has ended."""
        self._readers[fd] = reader
        self._poll.register(fd, select.EPOLLIN)

    def when_writable(self, fd: int, writer: Reader) -> None:
        """Call `writer` once, when the watched `fd` takes more; never, if it is not watched."""
        if fd in self._readers:
            self._writers[fd] = writer
            self._poll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor, before it is closed."""
        self._writers.pop(fd, None)
        if self._readers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def wait(self, patience_s: float) -> None:
        """Wait for something and call whom it concerns; a negative patience has no end."""
        for fd, events in self._poll.poll(patience_s):
            if events & select.EPOLLOUT and (writer := self._writers.pop(fd, None)):
                self._poll.modify(fd, select.EPOLLIN)
                writer()
            if events & ~select.EPOLLOUT and (reader := self._readers.get(fd)):
                reader()

    def close(self) -> None:
        """Let go of everything, in a forked child."""
        self._poll.close()
        self._wake.close()
        self._woken.close()

    def _read_signals(self) -> None:
        signals = b""
        with suppress(BlockingIOError):
            signals = self._woken.recv(4096)
        self._on_signals(signals)
