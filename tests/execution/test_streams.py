"""Standard streams follow the invocation."""

from __future__ import annotations

import pytest

from jupyter_faas.execution import output
from jupyter_faas.execution.output import CallOutput, Flusher
from jupyter_faas.execution.streams import ContextStream, sink


class Taker:
    """Takes output."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def send(self, stream: int, text: bytes) -> bool:
        self.taken.append(text)
        return True

    def text(self) -> bytes:
        return b"".join(self.taken)


def test_a_stream_follows_the_context() -> None:
    mine, fallback = Taker(), Taker()
    stream = ContextStream(1, CallOutput(fallback.send, Flusher()))
    print("outside", file=stream)
    token = sink.set(CallOutput(mine.send, Flusher()))
    try:
        print("inside", "grüße", "\ud800", file=stream)
        stream.buffer.write(b"raw\n")
    finally:
        sink.reset(token)
    assert fallback.text() == b"outside\n"
    assert mine.text() == "inside grüße \\ud800\nraw\n".encode()


def test_a_stream_looks_like_standard_output() -> None:
    stream = ContextStream(2, CallOutput(Taker().send, Flusher()))
    assert (stream.fileno(), stream.name, stream.encoding) == (2, "<stderr>", "utf-8")
    assert stream.writable()
    assert not stream.isatty()
    stream.reconfigure(encoding="utf-8")
    stream.close()
    assert not stream.closed
    with pytest.raises(TypeError):
        stream.write(b"bytes")  # type: ignore[arg-type]
    assert output.FLUSH_S <= 0.05
