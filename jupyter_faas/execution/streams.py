"""`sys.stdout` and `sys.stderr` of a worker: they follow the invocation.

Each write goes to the `CallOutput` that the context variable `sink` names, whatever thread or task
it comes from. What C code and subprocesses write to the descriptors is not seen here: the runner
reads the pipes.
"""

from __future__ import annotations

import io
import os
import sys
from contextvars import ContextVar
from typing import Any

from jupyter_faas.execution.output import CallOutput

sink: ContextVar[CallOutput | None] = ContextVar("jupyter_faas_output", default=None)
"""Output of the invocation that runs here; None: there is none."""


class ContextStream(io.TextIOBase):
    """A text stream that writes to whatever invocation is running.

    Args:
        stream: 1 stdout, 2 stderr; also its descriptor.
        fallback: Gets what is written outside any invocation.
    """

    def __init__(self, stream: int, fallback: CallOutput) -> None:
        self._stream = stream
        self._fallback = fallback
        self._is_forked = False
        self.buffer = _BytesFace(self)
        self.mode = "w"
        self.name = "<stdout>" if stream == 1 else "<stderr>"
        self.line_buffering = True
        os.register_at_fork(after_in_child=self._after_fork)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # - typeshed says attribute
        """Always UTF-8."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]  # - typeshed says attribute
        """What becomes of lone surrogates."""
        return "backslashreplace"

    def write(self, text: str, /) -> int:
        """Write to the running invocation; returns the number of characters."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self.write_bytes(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes to the running invocation."""
        if self._is_forked:
            _write_all(self._stream, data)
        else:
            (sink.get() or self._fallback).write(self._stream, data)

    def flush(self) -> None:
        """Send what is pending of the running invocation."""
        if not self._is_forked:
            (sink.get() or self._fallback).flush()

    def fileno(self) -> int:
        """The descriptor that subprocesses inherit."""
        return self._stream

    def writable(self) -> bool:
        """Always."""
        return True

    def isatty(self) -> bool:
        """Never."""
        return False

    def reconfigure(self, **options: Any) -> None:
        """Accepted and ignored: the stream is UTF-8 and flushed by line."""

    def close(self) -> None:
        """Ignored: the next invocation prints too."""

    def _after_fork(self) -> None:
        """In a forked child there is no channel (it is the parent's): use the descriptor."""
        self._is_forked = True


class _BytesFace(io.BufferedIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, stream: ContextStream) -> None:
        self._text = stream

    def write(self, data: Any, /) -> int:
        data = bytes(data)
        self._text.write_bytes(data)
        return len(data)

    def flush(self) -> None:
        if not self._text.closed:
            self._text.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._text.fileno()

    def close(self) -> None:
        pass


def install(fallback: CallOutput) -> None:
    """Make `sys.stdout` and `sys.stderr` follow the invocation."""
    sys.stdout = sys.__stdout__ = ContextStream(1, fallback)  # type: ignore[assignment,misc]
    sys.stderr = sys.__stderr__ = ContextStream(2, fallback)  # type: ignore[assignment,misc]


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
