"""What front and worker say to each other, and the worker's blocking end of it.

Frames of `wire.frames` on a stream socketpair; `tag` names the call. Towards the worker a body
of `MEMFD_BYTES` and more travels as a descriptor (`SCM_RIGHTS`), so that it is never copied
through a socket and never held by the front. Towards the front large bodies travel in pieces
of `PIECE_BYTES`, so that neither side holds more than one and flow control has something to
hold back; streaming them costs less than filling a fresh memfd would.

Nothing here knows HTTP, asyncio or user code.
"""

from __future__ import annotations

import array
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from jupyter_faas.execution.failure import Fault
from jupyter_faas.wire.frames import Frame, FrameReader, encode_header

MEMFD_BYTES = 1 << 20
"""Bodies of this size and more go to the worker in a memfd."""
PIECE_BYTES = 256 << 10
"""Largest body of one frame towards the front."""
WINDOW_BYTES = 1 << 20
"""What one call may have sent that its caller has not taken yet."""

LOAD, CLOSE = 4, 5
"""Towards the worker, beside `FrameKind` 1-3: become a revision; run `close()` and leave."""
LOADED = 24
"""Towards the front: the answer to LOAD (msgpack `LoadAnswer`)."""

HAS_FD = 1
"""CALL and LOAD: the payload is in the descriptor that came along, not in the frame."""
IS_KEPT = 32
"""CALL with `HAS_FD`: the front may send the same payload again, so it must not be written to."""
BEGINS = 2
"""ITEM and RESULT: first piece; the body starts with the whole's length as a u64."""
CONTINUES = 4
"""ITEM and RESULT: a further piece."""
RAISED = 8
"""ERROR: the user's code raised it, so `Retries` apply."""
LATE = 16
"""LOG of no running call: the body is u8 length · invocation id · text."""

Buffer = bytes | bytearray | memoryview
TOTAL = struct.Struct("<Q")
CREDIT = struct.Struct("<q")
_HEAD_LENGTH = struct.Struct("<I")
_MAX_FDS = 8
_RECEIVE_BYTES = 256 << 10
_ANCILLARY_BYTES = socket.CMSG_SPACE(_MAX_FDS * 4)
_JOIN_BYTES = 64 << 10
"""Up to this size joining buffers costs less than sending them one by one."""


class CallHead(msgspec.Struct, array_like=True):
    """Everything about a call but its payload."""

    id: str
    method: str | None = None
    is_framed: bool = True
    content_type: str = ""
    accept: str = ""
    remaining_s: float | None = None
    depth: int = 0
    trace: str = ""
    ancestry: str = ""


class WorkerEnd(msgspec.Struct, array_like=True):
    """Body of END on the channel: the code of this call has ended."""

    run_ms: float
    outcome: str = "done"
    memory_mib: float = 0.0


class LoadAnswer(msgspec.Struct, array_like=True):
    """Answer to LOAD: how long it took, or why it failed."""

    load_ms: float
    problem: dict[str, Any] | None = None
    is_windowed: bool = False
    """Calls run side by side: the front must always read, and output takes credit."""


ENCODER = msgspec.msgpack.Encoder()
HEADS = msgspec.msgpack.Decoder(CallHead)
ENDS = msgspec.msgpack.Decoder(WorkerEnd)
LOADS = msgspec.msgpack.Decoder(LoadAnswer)
FAULTS = msgspec.msgpack.Decoder(Fault)


def join_head(head: bytes, length: int = 0) -> tuple[bytes, int]:
    """Return the prefix of a body that starts with `head`, and the body's whole length."""
    prefix = _HEAD_LENGTH.pack(len(head)) + head
    return prefix, len(prefix) + length


def split_head(body: Buffer) -> tuple[memoryview, memoryview]:
    """Return head and payload of a CALL or LOAD body."""
    view = memoryview(body)
    end = _HEAD_LENGTH.size + _HEAD_LENGTH.unpack_from(view)[0]
    return view[_HEAD_LENGTH.size : end], view[end:]


def late_body(invocation_id: str, text: bytes) -> bytes:
    """Return the body of a LOG frame that names its invocation itself; empty: none."""
    name = invocation_id.encode()[:255]
    return bytes((len(name),)) + name + text


def pieces(kind: int, parts: Sequence[Buffer], *, tag: int, stream: int = 0) -> list[list[Buffer]]:
    """Return frames, each a list of buffers, that carry `parts` as one body.

    A body of at most `PIECE_BYTES` is one whole frame.
    """
    total = sum(map(len, parts))
    if total <= PIECE_BYTES:
        return [[encode_header(kind, total, tag=tag, stream=stream), *parts]]
    frames: list[list[Buffer]] = []
    for cut in _cut(parts):
        body: list[Buffer] = [*cut] if frames else [TOTAL.pack(total), *cut]
        length = sum(len(part) for part in body)
        flags = CONTINUES if frames else BEGINS
        frames.append([encode_header(kind, length, tag=tag, stream=stream, flags=flags), *body])
    return frames


def _cut(parts: Sequence[Buffer]) -> list[list[Buffer]]:
    """Regroup `parts` into lists of at most `PIECE_BYTES`, without copying."""
    cuts: list[list[Buffer]] = [[]]
    room = PIECE_BYTES
    for part in parts:
        view = memoryview(part).cast("B") if len(part) else memoryview(b"")
        while len(view):
            if room == 0:
                cuts.append([])
                room = PIECE_BYTES
            cuts[-1].append(view[:room])
            taken = len(cuts[-1][-1])
            room -= taken
            view = view[taken:]
    return cuts


class Channel:
    """The worker's end: blocking, sends from any thread, receives in one thread.

    Args:
        sock: Stream socket to the front. Owned: `close` closes it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = FrameReader()
        self._ready: deque[Frame] = deque()
        self._fds: deque[int] = deque()
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Descriptor of the socket, to wait on."""
        return self._sock.fileno()

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Send whole frames; blocks while the front does not read.

        Raises:
            OSError: The front is gone.
        """
        size = sum(map(len, buffers))
        with self._lock:
            if size <= _JOIN_BYTES:
                self._sock.sendall(b"".join(buffers))
            else:
                _send_all(self._sock, list(buffers))

    def receive(self) -> Frame | None:
        """Return the next frame, or None when the front has gone. Blocks."""
        while not self._ready:
            if not self._fill(0):
                return None
        return self._ready.popleft()

    def receive_ready(self) -> list[Frame] | None:
        """Return the frames that are here now, without blocking; None: the front has gone."""
        try:
            is_open = self._fill(socket.MSG_DONTWAIT)
        except BlockingIOError:
            is_open = True
        frames = list(self._ready)
        self._ready.clear()
        return frames if frames or is_open else None

    def take_fd(self) -> int:
        """Return the descriptor of the frame just received that has `HAS_FD`."""
        return self._fds.popleft()

    def close(self) -> None:
        """Close the socket; the front sees its end."""
        self._sock.close()

    def _fill(self, flags: int) -> bool:
        try:
            data, ancillary, _, _ = self._sock.recvmsg(_RECEIVE_BYTES, _ANCILLARY_BYTES, flags)
        except ConnectionResetError:
            return False
        if ancillary:
            self._fds.extend(received_fds(ancillary))
        if not data:
            return False
        self._ready.extend(self._reader.feed(data))
        return True


def received_fds(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors in what `recvmsg` gave, made close-on-exec."""
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found = array.array("i")
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
            fds.extend(found)
    for fd in fds:
        os.set_inheritable(fd, False)
    return fds


def rights(fds: Sequence[int]) -> list[tuple[int, int, array.array[int]]]:
    """Return the ancillary data that passes `fds` along with `sendmsg`."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]


def _send_all(sock: socket.socket, buffers: list[Buffer]) -> None:
    while buffers:
        sent = sock.sendmsg(buffers[:64])
        buffers = advance(buffers, sent)


def advance(buffers: list[Buffer], sent: int) -> list[Buffer]:
    """Return what is left of `buffers` after their first `sent` bytes."""
    index = 0
    while index < len(buffers) and sent >= len(buffers[index]):
        sent -= len(buffers[index])
        index += 1
    rest = buffers[index:]
    if sent:
        rest[0] = memoryview(rest[0])[sent:]
    return rest
