"""What a call in the main thread says on the channel: output, items, result, end.

Used by `serial.py` only. Sends block while the front does not read: with one call per worker that
is all the back-pressure output needs. Items take credit besides, so that a generator is asked for
no more than its caller has room for. Everything that touches the channel is shielded from the
interrupt that ends the call: half a frame would break the channel for good.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from jupyter_faas.execution.ending import MainThreadGate
from jupyter_faas.execution.output import BATCH_BYTES, Burst, CallOutput, Flusher, Send
from jupyter_faas.runner.channel import (
    CREDIT,
    LATE,
    WINDOW_BYTES,
    Buffer,
    Channel,
    late_body,
    pieces,
)
from jupyter_faas.wire.frames import HEADER, FrameKind, encode_header

_ORDER_WAIT_S = 0.02
"""A front that reads is waited for so long: more may come all the time."""
_STILL_WAIT_S = 5.0
"""One that reads nothing stands still, or holds up this call anyway."""
_ORDER_POLL_S = 0.0002


class Descriptors:
    """Descriptors 1 and 2 of this process: pipes to the front, until code puts others there."""

    def __init__(self) -> None:
        self._pipes = {fd: _identity(fd) for fd in (1, 2)}

    def await_read(self) -> None:
        """Wait until the front has read what was written to them.

        They are other pipes than the channel; without this, what a subprocess printed first could
        arrive after what Python prints now. Usually both are empty and this costs two system calls.
        """
        unread = self._unread_bytes()
        if not unread:
            return
        began_s = time.monotonic()
        patience_s = _STILL_WAIT_S
        while unread and time.monotonic() - began_s < patience_s:
            time.sleep(_ORDER_POLL_S)
            before, unread = unread, self._unread_bytes()
            if unread < before:
                patience_s = _ORDER_WAIT_S

    def _unread_bytes(self) -> int:
        unread = 0
        for fd, pipe in self._pipes.items():
            with suppress(OSError):  # it was closed
                size = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0]
                if size and _identity(fd) == pipe:
                    unread += size
        return unread


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


class Outlet:
    """The sending side of one call.

    Args:
        channel: To the front.
        gate: Shields what must not be cut.
        tag: The call's name on the channel.
        invocation_id: Its name everywhere else.
        flusher: Sends what is held of a flood of items a moment later.
        descriptors: What is written to them comes before what is printed later.
    """

    def __init__(
        self,
        channel: Channel,
        gate: MainThreadGate,
        tag: int,
        invocation_id: str,
        flusher: Flusher,
        descriptors: Descriptors,
    ) -> None:
        self._channel = channel
        self._gate = gate
        self._tag = tag
        self._invocation_id = invocation_id
        self._flusher = flusher
        self._descriptors = descriptors
        self._window = WINDOW_BYTES
        self._burst = Burst()
        self._held: list[Buffer] = []
        self._held_bytes = 0
        self._lock = threading.Lock()
        self._is_over = False
        self._before_log: Callable[[], None] | None = None
        self.output: CallOutput | None = None
        self.answer: list[list[Buffer]] = []

    def close(self) -> None:
        """The call is over: what its threads print from now on names it."""
        self._is_over = True

    def log(self, stream: int, text: bytes) -> bool:
        """Send output of the call."""
        if self._is_over:
            self._send(late_frame(stream, self._invocation_id, text))
            return True
        if self._before_log is not None:
            self._before_log()
        self._descriptors.await_read()
        head = encode_header(FrameKind.LOG, len(text), tag=self._tag, stream=stream)
        self._send([head, text])
        return True

    def item(self, parts: Sequence[Buffer], body_type: int) -> None:
        """Send one item, after what was printed before it, when there is credit."""
        if self.output is not None:
            self.output.flush()
        frames = pieces(FrameKind.ITEM, parts, tag=self._tag, stream=body_type)
        for frame in frames:
            size = sum(map(len, frame))
            if self._window <= 0:
                self.flush_soon()
                while self._window <= 0:
                    self._await_credit()
            self._window -= size - HEADER.size
            if len(frames) > 1 or self._burst.admits():
                self._send(frame)
            else:
                self._hold(frame, size)

    def result(self, parts: Sequence[Buffer], body_type: int) -> None:
        """Keep the result: it is sent together with END, when the code has ended."""
        self.answer = pieces(FrameKind.RESULT, parts, tag=self._tag, stream=body_type)

    @property
    def has_room(self) -> bool:
        """Whether there is credit for an item."""
        return self._window > 0

    def settle(self) -> None:
        """Send the items that are held: what is in the socket outlives this process."""
        self.flush_soon()

    def before_log(self, hook: Callable[[], None]) -> None:
        """Have `hook` called before output is sent."""
        self._before_log = hook

    def flush_soon(self) -> None:
        """Send the items that are held."""
        if self._held:
            self._send(())

    def _hold(self, frame: list[Buffer], size: int) -> None:
        """Keep one of many small items: a system call for each would cost more than making it."""
        with self._lock:
            self._held.extend(frame)
            self._held_bytes += size
        if self._held_bytes >= BATCH_BYTES:
            self.flush_soon()
        else:
            self._flusher.later(self)

    def _await_credit(self) -> None:
        # Waiting may be cut, reading may not: what was read would be lost.
        waiter = select.poll()
        waiter.register(self._channel.fileno(), select.POLLIN)
        waiter.poll()
        self._gate.shield()
        try:
            frames = self._channel.receive_ready()
            if frames is None:
                raise ConnectionResetError("the front is gone")
            for frame in frames:
                if frame.kind == FrameKind.CREDIT and frame.tag == self._tag:
                    self._window += CREDIT.unpack(frame.body)[0]
        finally:
            self._gate.unshield()

    def _send(self, buffers: Sequence[Buffer]) -> None:
        """Send a frame, after the items that are held."""
        self._gate.shield()
        try:
            with self._lock:
                held, self._held, self._held_bytes = self._held, [], 0
                self._channel.send([*held, *buffers] if held else buffers)
        finally:
            self._gate.unshield()


def late_frame(stream: int, invocation_id: str, text: bytes) -> list[Buffer]:
    """Return a LOG frame of no running call: it names its invocation itself."""
    body = late_body(invocation_id, text)
    return [encode_header(FrameKind.LOG, len(body), stream=stream, flags=LATE), body]


def late_log(channel: Channel, gate: MainThreadGate, invocation_id: str) -> Send:
    """Return where output goes that belongs to no running call."""

    def send(stream: int, text: bytes) -> bool:
        gate.shield()
        try:
            channel.send(late_frame(stream, invocation_id, text))
        finally:
            gate.unshield()
        return True

    return send
