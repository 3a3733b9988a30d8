"""Where the output of a remote call goes: to whoever made the call.

A call binds the process's `OutputSink` when it starts, so its prints reach the place it was made
from, whichever thread reads the answer later. Without a notebook that is the process's own
stdout and stderr; `notebook.output` installs one that knows cells.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any, Protocol

from jupyter_faas.client.terminal import Terminal
from jupyter_faas.wire.frames import DISPLAY, STDERR, STDOUT


class BoundOutput(Protocol):
    """Output of one call."""

    def write(self, stream: int, text: str) -> None:
        """Show text of `STDOUT` or `STDERR`, at once and unchanged, carriage returns too."""

    def display(self, bundle: dict[str, Any]) -> None:
        """Show what the function displayed: `{data, metadata, transient}` by MIME type."""


class OutputSink(Protocol):
    """Where calls of this process write to."""

    def bind(self) -> BoundOutput:
        """Return the output of a call that is made here and now; cheap."""


class ProcessOutput:
    """The process's stdout and stderr as they are when something is written.

    Args:
        terminal: Keeps lines and bars apart.
    """

    def __init__(self, terminal: Terminal | None = None) -> None:
        self._terminal = terminal or Terminal()

    def bind(self) -> ProcessOutput:
        """Return itself: there is one place."""
        return self

    def write(self, stream: int, text: str) -> None:
        """Write at once; while a bar is shown whole lines, above it."""
        self._terminal.write(stream, text)

    def display(self, bundle: dict[str, Any]) -> None:
        """Print the plain-text form."""
        data = bundle.get("data")
        text = data.get("text/plain") if isinstance(data, dict) else None
        if isinstance(text, str):
            self.write(STDOUT, text + "\n")


class LogWriter:
    """Turns the LOG frames of one call into text on a bound output.

    Keeps a decoder per stream: a frame may end in the middle of a UTF-8 character.
    """

    __slots__ = ("_decoders", "_output", "_read_bundle")

    def __init__(self, output: BoundOutput, read_bundle: Callable[[Any], dict[str, Any]]) -> None:
        self._output = output
        self._read_bundle = read_bundle
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}

    def log(self, stream: int, body: bytes | bytearray | memoryview) -> None:
        """Pass one LOG frame on. What is no display and no known stream goes to stdout."""
        if stream == DISPLAY:
            self._output.display(self._read_bundle(body))
            return
        stream = STDERR if stream == STDERR else STDOUT
        decoder = self._decoders.get(stream)
        if decoder is None:
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            self._decoders[stream] = decoder
        if text := decoder.decode(bytes(body)):
            self._output.write(stream, text)
