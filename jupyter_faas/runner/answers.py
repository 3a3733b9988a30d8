"""The answer to a call as HTTP: frames for Python clients, JSON for everybody else.

An `Answer` is told what the worker says and decides what goes over the wire, and when. What fits
into one write goes out in one, with its length; anything printed or yielded before makes it a
stream. A stream that cannot be ended well is cut, so that it never looks complete. Its head goes
out before its end is known, so it says `Faas-Running: 1`: how the code ended is told by ENDED on
the watch stream.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from jupyter_faas.core.errors import FaasError, from_problem
from jupyter_faas.core.specialisation import CallEnd
from jupyter_faas.execution.failure import Fault
from jupyter_faas.execution.forms import BYTES, TEXT
from jupyter_faas.runner.channel import BEGINS, CONTINUES, TOTAL
from jupyter_faas.wire import detail
from jupyter_faas.wire.frames import CONTENT_TYPE, Frame, FrameKind, encode_header
from jupyter_faas.wire.problems import problem_answer
from jupyter_faas.wire.server import Exchange

_OK_FRAMED = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\n".encode()
_RUNNING_LINE = b"Faas-Running: 1\r\n"
_RUNNING = (b"Faas-Running", b"1")
_OK_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_TYPES = {BYTES: b"application/octet-stream", TEXT: b"text/plain; charset=utf-8"}
_LINES, _EVENTS = b"application/x-ndjson", b"text/event-stream"

_pack = msgspec.msgpack.Encoder().encode
_dump = msgspec.json.Encoder(enc_hook=str).encode


class Answer(Protocol):
    """What a call says to its caller."""

    @property
    def has_values(self) -> bool:
        """Whether an item or a result, or a part of one, is here: it cannot be run again."""

    @property
    def is_streaming(self) -> bool:
        """Whether its head has gone out before its end was known."""

    def log(self, stream: int, text: bytes) -> None:
        """Something was printed."""

    def value(self, frame: Frame) -> None:
        """ITEM or RESULT, whole or a piece."""

    def flush(self) -> None:
        """Nothing more comes in this turn: send what is held."""

    def finish(self, end: CallEnd) -> None:
        """The code has ended well."""

    def fail(self, fault: Fault, end: CallEnd) -> None:
        """The call has failed; the answer is complete with this."""


class FramedAnswer:
    """LOG* (ITEM* | RESULT | ERROR) END."""

    __slots__ = ("_exchange", "_has_values", "_held", "_left_bytes", "is_streaming")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._held: list[bytes] = []
        self._has_values = False
        self.is_streaming = False
        self._left_bytes = 0  # of a value that comes in pieces

    @property
    def has_values(self) -> bool:
        """Whether an item or a result is here; output alone does not count."""
        return self._has_values

    def log(self, stream: int, text: bytes) -> None:
        """Pass output on."""
        self._held.append(encode_header(FrameKind.LOG, len(text), stream=stream))
        self._held.append(text)

    def value(self, frame: Frame) -> None:
        """Pass a payload on; the frame's head says the length of the whole."""
        self._has_values = True
        body = bytes(frame.body)
        if frame.flags & BEGINS:
            self._left_bytes = TOTAL.unpack_from(body)[0]
            self._held.append(encode_header(frame.kind, self._left_bytes))
            body = body[TOTAL.size :]
        elif not frame.flags & CONTINUES:
            self._left_bytes = len(body)
            self._held.append(encode_header(frame.kind, len(body)))
        self._left_bytes -= len(body)
        self._held.append(body)

    def flush(self) -> None:
        """Send what is held, as a stream from now on."""
        if not self._held:
            return
        data = b"".join(self._held) if len(self._held) > 1 else self._held[0]
        self._held = []
        if not self.is_streaming:
            self.is_streaming = True
            self._exchange.raw_start(_OK_FRAMED + _RUNNING_LINE)
        self._exchange.write(data)

    def finish(self, end: CallEnd) -> None:
        """Send END, and all of it in one write if nothing has gone out yet."""
        self._finish(end, "")

    def _finish(self, end: CallEnd, traceback: str) -> None:
        body = _pack(end)
        self._held.append(encode_header(FrameKind.END, len(body)))
        self._held.append(body)
        if self.is_streaming:
            self.flush()
            self._exchange.finish()
        else:
            head = b"%bFaas-Run-Ms: %.3f\r\n" % (_OK_FRAMED, end.run_ms)
            if end.problem is not None:
                error = from_problem(end.problem)
                why = detail.line(error.detail, traceback)
                told = (head, error.fault.encode(), error.code.encode(), why)
                head = b"%bFaas-Fault: %b\r\nFaas-Code: %b\r\n%b" % told
            if end.is_running:
                head += _RUNNING_LINE
            self._exchange.respond_raw(head, b"".join(self._held))
            self._held = []

    def fail(self, fault: Fault, end: CallEnd) -> None:
        """Send ERROR and END; in the middle of a value nothing can be said any more."""
        if self._left_bytes:
            self._exchange.abort()
            return
        body = _pack(fault)
        self._held.append(encode_header(FrameKind.ERROR, len(body)))
        self._held.append(body)
        self._finish(end, fault.traceback)


class JsonAnswer:
    """One JSON document (or bytes, or text), or a stream of JSON lines or server-sent events."""

    __slots__ = ("_exchange", "_held", "_is_events", "_is_fixed", "_left_bytes", "_whole",
                 "is_streaming")  # fmt: skip

    def __init__(self, exchange: Exchange, accept: str) -> None:
        self._exchange = exchange
        self._is_events = "text/event-stream" in accept
        self._held: list[bytes] = []
        self._whole: Frame | None = None
        self.is_streaming = False
        self._is_fixed = False
        self._left_bytes = 0

    @property
    def has_values(self) -> bool:
        """Whether an item or a result is here."""
        return self.is_streaming or bool(self._held) or self._whole is not None

    def log(self, stream: int, text: bytes) -> None:
        """Output is not part of a JSON answer; the watch stream has it."""

    def value(self, frame: Frame) -> None:
        """Keep a whole result; stream everything else."""
        if frame.kind == FrameKind.ITEM:
            self._item(frame)
        elif frame.flags & BEGINS:
            total = TOTAL.unpack_from(frame.body)[0]
            self.is_streaming = self._is_fixed = True
            head = [(b"Content-Type", _type(frame.stream)), _RUNNING]
            self._exchange.start(200, head, total)
            self._exchange.write(frame.body[TOTAL.size :])
        elif frame.flags & CONTINUES:
            self._exchange.write(frame.body)
        else:
            self._whole = frame

    def flush(self) -> None:
        """Send the items of this turn."""
        if self._held:
            self._start_stream()
            self._exchange.write(b"".join(self._held))
            self._held = []

    def finish(self, end: CallEnd) -> None:
        """Send the document, or end the stream."""
        if self._whole is not None:
            self._exchange.respond_raw(
                b"%bFaas-Run-Ms: %.3f\r\n" % (_head(self._whole.stream), end.run_ms),
                self._whole.body,
            )
            return
        if self.is_streaming:
            self.flush()
            self._exchange.finish()
        else:
            self._send_items(b"Faas-Run-Ms: %.3f\r\n" % end.run_ms)

    def fail(self, fault: Fault, end: CallEnd) -> None:
        """Send a problem document, or end the stream with one."""
        problem = dict(fault.problem)
        if fault.traceback:
            problem["traceback"] = fault.traceback
        if self._is_fixed or self._left_bytes:
            self._exchange.abort()
        elif self.is_streaming:
            self._held.append(self._last_line(problem))
            self.flush()
            self._exchange.finish()
        elif self._held:
            error = from_problem(problem)
            why = detail.line(error.detail, fault.traceback)
            told = (end.run_ms, error.fault.encode(), error.code.encode(), why)
            lines = b"Faas-Run-Ms: %.3f\r\nFaas-Fault: %b\r\nFaas-Code: %b\r\n%b" % told
            self._held.append(self._last_line(problem))
            self._send_items(lines + _RUNNING_LINE if end.is_running else lines)
        else:
            self._refuse(problem, end)

    def _refuse(self, problem: dict[str, Any], end: CallEnd) -> None:
        error = from_problem(problem)
        status, headers, body = problem_answer(error)
        headers.append((b"Faas-Run-Ms", b"%.3f" % end.run_ms))
        headers.append((b"Faas-Code", error.code.encode()))
        why = detail.encoded(error.detail, str(problem.get("traceback", "")))
        if why:
            headers.append((detail.NAME, why))
        if end.is_running:
            headers.append(_RUNNING)
        self._exchange.respond(status, headers, body)

    def _item(self, frame: Frame) -> None:
        body = bytes(frame.body)
        if frame.flags & BEGINS:
            self._left_bytes = TOTAL.unpack_from(body)[0]
            body = body[TOTAL.size :]
        elif not frame.flags & CONTINUES:
            self._left_bytes = len(body)
        if self._is_events and not frame.flags & CONTINUES:
            self._held.append(b"data: ")
        self._left_bytes -= len(body)
        self._held.append(body)
        if not self._left_bytes:
            self._held.append(b"\n\n" if self._is_events else b"\n")

    def _last_line(self, problem: dict[str, Any]) -> bytes:
        if self._is_events:
            return b"event: error\ndata: %b\n\n" % _dump(problem)
        return b"%b\n" % _dump({"error": problem})

    def _start_stream(self) -> None:
        if not self.is_streaming:
            self.is_streaming = True
            self._exchange.raw_start(self._items_head() + _RUNNING_LINE)

    def _send_items(self, lines: bytes) -> None:
        """Send all items at once: the code has ended before the first went out."""
        self._exchange.respond_raw(self._items_head() + lines, b"".join(self._held))
        self._held = []

    def _items_head(self) -> bytes:
        kind = _EVENTS if self._is_events else _LINES
        return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nCache-Control: no-store\r\n" % kind


def refuse(exchange: Exchange, error: FaasError, *more: tuple[bytes, bytes]) -> None:
    """Answer with a problem document, before anything has run."""
    status, headers, body = problem_answer(error)
    exchange.respond(status, [*headers, *more], body)


def _type(kind: int) -> bytes:
    return _TYPES.get(kind, b"application/json")


def _head(kind: int) -> bytes:
    if kind not in _TYPES:
        return _OK_JSON
    return b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n" % _TYPES[kind]
