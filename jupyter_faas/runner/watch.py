"""The watch stream: what the gateway learns about a replica beside the answers to calls.

Every reader gets STATE at once and then as things happen. Lines of output are dropped, and
counted, when a reader is slow; ENDED and STATE never are.
"""

from __future__ import annotations

import msgspec

from jupyter_faas.core.specialisation import CallEnd, Hello
from jupyter_faas.runner.channel import late_body
from jupyter_faas.wire.frames import STDERR, Frame, FrameKind, encode
from jupyter_faas.wire.server import Exchange

NO_INVOCATION = 1
"""LOG: the line belongs to no invocation."""
_CONTENT_TYPE = (b"Content-Type", b"application/vnd.faas.frames")


class Watchers:
    """All readers of the watch stream of this replica."""

    def __init__(self) -> None:
        self._readers: list[WatchReader] = []

    @property
    def are_there(self) -> bool:
        """Whether anybody reads."""
        return bool(self._readers)

    def add(self, exchange: Exchange, hello: Hello) -> None:
        """Begin to answer a `GET /v1/watch`."""
        reader = WatchReader(exchange, self)
        exchange.receiver = reader
        exchange.start(200, [_CONTENT_TYPE])
        self._readers.append(reader)
        reader.send(_state(hello))

    def discard(self, reader: WatchReader) -> None:
        """A reader has left."""
        if reader in self._readers:
            self._readers.remove(reader)

    def log(self, stream: int, invocation_id: str, text: bytes) -> None:
        """Tell a piece of output; an empty id: it belongs to no invocation."""
        if self._readers:
            self.log_body(stream, late_body(invocation_id, text))

    def log_body(self, stream: int, body: bytes) -> None:
        """The same, with the body of LOG as it goes out."""
        if not self._readers:
            return
        flags = 0 if body[0] else NO_INVOCATION
        data = encode(Frame(FrameKind.LOG, body, 0, stream, flags))
        for reader in self._readers:
            reader.send_log(data, len(body))

    def ended(self, end: CallEnd) -> None:
        """Tell that the code of a call has ended whose answer could not say so."""
        self._tell(encode(Frame(FrameKind.ENDED, msgspec.msgpack.encode(end))))

    def state(self, hello: Hello) -> None:
        """Tell the state of the replica."""
        self._tell(_state(hello))

    def usage(self, rss_mib: float, cpu_s: float) -> None:
        """Tell what the worker uses now."""
        body = msgspec.msgpack.encode({"rss_mib": rss_mib, "cpu_s": cpu_s})
        self._tell(encode(Frame(FrameKind.USAGE, body)))

    def close(self) -> None:
        """End all streams: the replica ends."""
        for reader in list(self._readers):
            reader.finish()

    def _tell(self, data: bytes) -> None:
        for reader in list(self._readers):
            reader.send(data)


class WatchReader:
    """One reader."""

    def __init__(self, exchange: Exchange, watchers: Watchers) -> None:
        self._exchange = exchange
        self._watchers = watchers
        self._dropped_bytes = 0

    def send(self, data: bytes) -> None:
        """Send what must not be lost."""
        self._exchange.write(data)

    def send_log(self, data: bytes, size: int) -> None:
        """Send output, or drop it and count when the reader is slow."""
        if self._exchange.is_writable and not self._dropped_bytes:
            self._exchange.write(data)
        else:
            self._dropped_bytes += size

    def finish(self) -> None:
        """End the stream in good order."""
        self._watchers.discard(self)
        if not self._exchange.is_over:
            self._exchange.finish()

    def on_body(self, data: bytes) -> None:
        """A GET has no body worth reading."""

    def on_body_end(self) -> None:
        """Nothing to do."""

    def on_gone(self) -> None:
        """The reader has left."""
        self._watchers.discard(self)

    def on_writable(self) -> None:
        """Say what was dropped, and go on."""
        if self._dropped_bytes:
            text = f"[{self._dropped_bytes:,} bytes of output were dropped: the reader is slow]\n"
            self._dropped_bytes = 0
            body = late_body("", text.encode())
            self.send(encode(Frame(FrameKind.LOG, body, 0, STDERR, NO_INVOCATION)))


def _state(hello: Hello) -> bytes:
    return encode(Frame(FrameKind.STATE, msgspec.msgpack.encode(hello)))
