"""Server-sent events: encoding and decoding (WHATWG HTML, section 9.2). Sans-I/O."""

from __future__ import annotations

from typing import NamedTuple

CONTENT_TYPE = b"text/event-stream"
KEEP_ALIVE = b":\n\n"
"""A comment: nothing to readers, a sign of life to proxies."""

_MAX_HELD_BYTES = 16 * 1024 * 1024


class Event(NamedTuple):
    """One event as a reader gets it."""

    data: str
    event: str = "message"
    id: str = ""
    """The last id seen, also if this event has none of its own."""
    retry_ms: int | None = None


def encode_event(
    data: str | bytes,
    *,
    event: str | None = None,
    id: str | None = None,
    retry_ms: int | None = None,
) -> bytes:
    """Return one event on the wire; `data` may have several lines.

    Raises:
        ValueError: `event` or `id` holds a line break, or `id` a NUL.
    """
    lines = []
    for name, value in (("event", event), ("id", id)):
        if value is not None:
            if any(character in value for character in "\r\n\0"):
                raise ValueError(f"{name} of an event holds a line break or a NUL")
            lines.append(f"{name}: {value}")
    if retry_ms is not None:
        lines.append(f"retry: {retry_ms:d}")
    if isinstance(data, bytes) and b"\n" not in data and b"\r" not in data:
        head = "".join(f"{line}\n" for line in lines)
        return b"%bdata: %b\n\n" % (head.encode("utf-8"), data)
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines += [f"data: {line}" for line in text.split("\n")]
    return ("\n".join(lines) + "\n\n").encode("utf-8")


class EventDecoder:
    """Cuts a byte stream into events, however it was chopped."""

    __slots__ = ("_data", "_event", "_held", "_id", "_is_first", "_retry_ms")

    def __init__(self) -> None:
        self._held = b""
        self._is_first = True
        self._data: list[str] = []
        self._event = ""
        self._id = ""
        self._retry_ms: int | None = None

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that are complete with `data`.

        Raises:
            ValueError: A line does not end within 16 MiB.
        """
        self._held += data
        # A CR at the end may be half a CRLF: it waits for what follows.
        end = len(self._held) - (1 if self._held.endswith(b"\r") else 0)
        text, rest = self._held[:end], self._held[end:]
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._held = lines.pop() + rest
        if len(self._held) > _MAX_HELD_BYTES:
            raise ValueError("a line of an event stream does not end")
        events: list[Event] = []
        for line in lines:
            self._take(line, events)
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            self._dispatch(events)
            return
        name, _, value = line.decode("utf-8", "replace").partition(":")
        self._field(name, value.removeprefix(" "))

    def _field(self, name: str, value: str) -> None:
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._retry_ms = int(value)

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            text = "\n".join(self._data)
            events.append(Event(text, self._event or "message", self._id, self._retry_ms))
        self._data, self._event, self._retry_ms = [], "", None
