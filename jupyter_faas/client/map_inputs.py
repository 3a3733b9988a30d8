"""The inputs of a map on their way out: taken from any iterable, pickled, sent in batches.

Two threads: one takes and pickles inputs, the other sends what there is by then. So items go out
as soon as the gateway takes them, many at a time where they come fast, and an iterable that
blocks holds back nothing. A gateway that takes no more stops the iterable: nothing is read ahead of
it but what fits `MOST_BYTES`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from jupyter_faas.client import answers, map_lines
from jupyter_faas.core import batch, codec
from jupyter_faas.core.batch import Head
from jupyter_faas.core.errors import NotSerializable
from jupyter_faas.core.sections import Buffer, total_bytes
from jupyter_faas.wire.frames import FrameKind, encode_header

if TYPE_CHECKING:
    from jupyter_faas.client.map_left import Left
    from jupyter_faas.wire.duplex import Duplex

MOST_ITEMS = 2048
MOST_BYTES = 1 << 20
"""So much is pickled and not sent yet; one item may be larger."""
_FEW = 64
"""So many inputs of a sequence are pickled before the map is begun, and sent along with it."""
_FEW_BYTES = 64 << 10
_TOGETHER, _TOGETHER_BYTES = 128, 256 << 10
_LEAVE_S = 1.0

END = encode_header(FrameKind.END, 0)
"""Of inputs that are whole."""
Item = bytes
"""An input as it travels: the payload of a call's arguments."""
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def frame_of(items: Sequence[Item]) -> list[Buffer]:
    """Return the parts of a frame with these inputs."""
    head = Head([0] * len(items), bytes(len(items)), list(map(len, items)))
    body = batch.pack(head, items)
    return [encode_header(FrameKind.ITEM, total_bytes(body)), *body]


def item_of(
    number: int, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_strict: bool = False
) -> Item:
    """Return an input as it travels; what becomes of its values here does not change it.

    One that cannot be pickled travels as that error: it fails in its place, and costs no other.

    Raises:
        NotSerializable: It cannot be pickled, and `is_strict`.
    """
    try:
        parts = codec.dumps_call(args, kwargs)
    except NotSerializable as error:
        why = f"Item {number}: {error.detail}"
        if is_strict:
            raise NotSerializable(why, **error.extra) from error
        parts = codec.dumps_refusal(why)
    return b"".join(parts)


def end_of(error: BaseException | None, *, is_kept: bool = False) -> list[Buffer]:
    """Return how inputs end: with an error they were broken off, and the map says so.

    A kept one is no map then, and no END follows.
    """
    if error is None:
        return [END]
    why = map_lines.one_line(error).encode(errors="replace")
    broken: list[Buffer] = [encode_header(FrameKind.ERROR, len(why)), why]
    return broken if is_kept else [*broken, END]


def joined(items: Sequence[Item], *, is_whole: bool) -> bytes:
    """Return inputs as they are sent along with an order; `is_whole`: these are all."""
    return b"".join(frame_of(items) if items else []) + (END if is_whole else b"")


def few(
    calls: Iterator[Arguments], total: int | None, *, is_strict: bool = False
) -> tuple[list[Item], bool]:
    """Return the first inputs, where they are few; and whether these are all.

    Raises:
        NotSerializable: One cannot be pickled, and `is_strict`.
    """
    items: list[Item] = []
    if total is None or total > _FEW:
        return items, False
    size = 0
    for number, (args, kwargs) in enumerate(islice(calls, total)):
        items.append(item_of(number, args, kwargs, is_strict=is_strict))
        size += len(items[-1])
        if size > _FEW_BYTES:
            return items, False
    return items, True


def in_batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield inputs in the pieces in which they are sent."""
    first = size = 0
    for at, item in enumerate(items):
        size += len(item)
        if size >= MOST_BYTES or at - first + 1 >= MOST_ITEMS:
            yield items[first : at + 1]
            first, size = at + 1, 0
    if first < len(items):
        yield items[first:]


class Inputs:
    """Sends the inputs of one map, from threads of its own.

    Args:
        calls: Arguments of each item.
        left: Is told what is about to be sent.
        first: Number of the first one.
        never_blocks: The inputs are there already: they may be taken many at a time.
        is_kept: Inputs that end by an error are no map. So it is if one cannot be pickled.

    Attributes:
        error: What the iterable raised, or why a kept map has an input that cannot travel.
    """

    def __init__(
        self,
        calls: Iterable[Arguments],
        left: Left,
        *,
        first: int = 0,
        never_blocks: bool = False,
        is_kept: bool = False,
    ) -> None:
        self.error: BaseException | None = None
        self._calls = calls
        self._is_kept = is_kept
        self._together = _TOGETHER if never_blocks else 1
        self._left = left
        left.on_room = self._notify
        self._first = first
        self._leg = 0
        self._changed = threading.Condition()
        self._items: list[Item] = []
        self._bytes = 0
        self._is_complete = self._is_stopped = False
        self._sender: threading.Thread | None = None
        threading.Thread(target=self._take, name="faas-map-inputs", daemon=True).start()

    def send_to(self, duplex: Duplex, again: Sequence[Item] = ()) -> None:
        """Begin to send.

        Args:
            duplex: Where they go.
            again: Inputs that were sent before and are to go first.
        """
        self._sender = threading.Thread(
            target=self._send, args=(duplex, self._leg, again), name="faas-map-send", daemon=True
        )
        self._sender.start()

    def pause(self) -> None:
        """Send nothing more where they went, which has been cut; inputs are taken all the same."""
        with self._changed:
            self._leg += 1
            self._changed.notify_all()
        self.leave_socket()

    def stop(self) -> None:
        """Take and send no more."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def leave_socket(self) -> None:
        """Wait until nothing here uses the socket any more, which has been cut."""
        if self._sender is not None and threading.current_thread() is not self._sender:
            self._sender.join(_LEAVE_S)

    def _take(self) -> None:
        items: list[Item] = []
        size = 0
        try:
            for number, (args, kwargs) in enumerate(self._calls, self._first):
                items.append(item_of(number, args, kwargs, is_strict=self._is_kept))
                size += len(items[-1])
                if len(items) >= self._together or size >= _TOGETHER_BYTES:
                    if not self._put(items, size):
                        break
                    items, size = [], 0
        except BaseException as error:  # whatever it is, the reader of the map raises it
            self.error = answers.without_outer_frames(error)
        finally:
            self._put(items, size)
            with self._changed:
                self._is_complete = True
                self._changed.notify_all()
            close = getattr(self._calls, "close", None)
            if close is not None:
                close()

    def _put(self, items: list[Item], size: int) -> bool:
        with self._changed:
            while self._is_full() and not self._is_stopped:
                self._changed.wait()
            self._items += items
            self._bytes += size
            if len(self._items) == len(items):
                self._changed.notify_all()
            return not self._is_stopped

    def _is_full(self) -> bool:
        return len(self._items) >= MOST_ITEMS or (self._bytes >= MOST_BYTES and bool(self._items))

    def _send(self, duplex: Duplex, leg: int, again: Sequence[Item]) -> None:
        for items in in_batches(again):
            if not duplex.send(frame_of(items)):
                return
        while True:
            with self._changed:
                while not (self._is_ready() or self._is_left(leg)):
                    self._changed.wait()
                if self._is_left(leg):
                    return
                items, self._items, self._bytes = self._items, [], 0
                self._left.add(items)
                self._changed.notify_all()
            if not items:
                break
            if not duplex.send(frame_of(items)):
                return  # it takes no more: its answer, or its end, says why
        duplex.send(end_of(self.error, is_kept=self._is_kept))
        duplex.end()

    def _is_ready(self) -> bool:
        return not self._left.is_full if self._items else self._is_complete

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _is_left(self, leg: int) -> bool:
        return self._is_stopped or leg != self._leg
