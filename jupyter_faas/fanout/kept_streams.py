"""The two streams of a kept map over HTTP: its inputs coming in, its outcomes going out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from jupyter_faas.core import batch
from jupyter_faas.core.batch import RAISED, Head
from jupyter_faas.core.errors import BadRequest, FaasError, ProviderError, known
from jupyter_faas.core.sections import Buffer, total_bytes
from jupyter_faas.fanout.ledger import Record
from jupyter_faas.wire.frames import CONTENT_TYPE, FrameKind, FrameReader, encode_header
from jupyter_faas.wire.problems import problem_answer

if TYPE_CHECKING:
    from jupyter_faas.fanout.kept import KeptMap
    from jupyter_faas.fanout.shelf import Shelf
    from jupyter_faas.wire.server import Exchange

_BATCH, _BATCH_BYTES = 256, 1 << 20
_LINE_BYTES = 1024
_JSON = [(b"Content-Type", b"application/json")]
_FRAMED = [(b"Content-Type", CONTENT_TYPE.encode())]
_json = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode


def no_room(what: str, error: OSError) -> ProviderError:
    """Return how to tell that something cannot be written down."""
    return ProviderError(f"{what} cannot be kept: {error.strerror or error}.", status=507)


def told_line(body: Buffer) -> str:
    """Return what a caller says of inputs that were broken off."""
    return bytes(body[:_LINE_BYTES]).decode(errors="ignore")


class Intake:
    """Takes the inputs of a new kept map; answered when all of them are on disk.

    Args:
        exchange: The request.
        kept: The map.
        shelf: Forgets it if its caller leaves before.
    """

    def __init__(self, exchange: Exchange, kept: KeptMap, shelf: Shelf) -> None:
        self._exchange = exchange
        self._kept = kept
        self._shelf = shelf
        self._reader = FrameReader()
        self._is_complete = False
        self._task: asyncio.Task[None] | None = None

    def on_body(self, data: bytes) -> None:
        """Write inputs down."""
        try:
            for frame in self._reader.feed(data):
                if frame.kind == FrameKind.ITEM:
                    self._kept.add(list[Buffer](batch.unpack(frame.body)[1]))
                elif frame.kind == FrameKind.ERROR:
                    broken = told_line(frame.body)
                    self._give_up(BadRequest(f"Its inputs broke off: {broken}"))
                    return
                elif frame.kind == FrameKind.END:
                    self._is_complete = True
        except ValueError as error:
            self._give_up(BadRequest(f"The inputs cannot be read: {error}."))
        except OSError as error:
            self._give_up(no_room("The inputs", error))

    def on_body_end(self) -> None:
        """All is here: say so, once it is on disk."""
        if self._exchange.is_over:
            return
        if not self._is_complete:
            self._give_up(BadRequest("The inputs end in the middle."))
            return
        try:
            self._kept.close_inputs()
        except OSError as error:
            self._give_up(no_room("The inputs", error))
            return
        mirror = self._kept.mirror
        if mirror is None:
            self._accept()
        else:
            self._task = asyncio.get_running_loop().create_task(mirror.settled())
            self._task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        """The service has everything, or fails: then nothing was accepted."""
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._accept()
        elif not self._exchange.is_over:
            self._give_up(known(error))

    def _accept(self) -> None:
        self._exchange.receiver = None
        if not self._exchange.is_over:
            self._exchange.respond(202, _JSON, _json(self._kept.status()))

    def on_gone(self) -> None:
        """The caller has left: it has no id to come back with."""
        self._shelf.discard(self._kept)

    def on_writable(self) -> None:
        """Nothing waits for it."""

    def _give_up(self, error: FaasError) -> None:
        self._kept.break_off(error)
        self._shelf.discard(self._kept)
        self._exchange.receiver = None
        self._exchange.respond(*problem_answer(error))


class Wanted(NamedTuple):
    """What somebody wants to read of a kept map.

    Attributes:
        first: Index of the first outcome.
        only_failed: Errors alone, and no prints; what runs then is waited for.
        only_prints: No outcomes.
        prints_first: Prints of items from this index on.
        said: So many of these prints are known already.
        follows: Wait for more while it runs.
    """

    first: int = 0
    only_failed: bool = False
    only_prints: bool = False
    prints_first: int = 0
    said: int = 0
    follows: bool = True


class Outlet:
    """Gives the outcomes of a kept map in input order, and what it printed, as they come.

    Args:
        exchange: The request.
        kept: The map.
        wanted: What of it.
    """

    def __init__(self, exchange: Exchange, kept: KeptMap, wanted: Wanted) -> None:
        self._exchange = exchange
        self._kept = kept
        self._wanted = wanted
        self._next = wanted.first
        self._printed_to = 0
        self._to_pass_over = wanted.said
        kept.on_news.add(self.go_on)
        exchange.receiver = self
        exchange.start(200, [*_FRAMED, (b"Faas-Map-Id", kept.id.encode())])
        self.go_on()

    def go_on(self) -> None:
        """Send all that can be sent now."""
        exchange, wanted = self._exchange, self._wanted
        if self._kept.is_let_go:
            self._leave()
            return
        has_printed = wanted.only_failed or self._print()
        has_said = has_printed and (wanted.only_prints or self._say())
        is_last = self._kept.is_over or not wanted.follows
        if has_said and is_last and not exchange.is_over:
            self._finish()

    def _print(self) -> bool:
        """Send what was printed since; False: the caller does not keep up."""
        exchange = self._exchange
        for one in self._kept.prints.since(self._printed_to):
            if exchange.is_over or not exchange.is_writable:
                return False
            self._printed_to = one.end
            if one.item < self._wanted.prints_first:
                continue
            if self._to_pass_over:
                self._to_pass_over -= 1
            else:
                exchange.write(one.frame)
        return True

    def _say(self) -> bool:
        """Send outcomes; False: the caller does not keep up."""
        exchange, outcomes = self._exchange, self._kept.outcomes
        while self._next in outcomes:
            if exchange.is_over or not exchange.is_writable:
                return False
            records: list[Record] = []
            size = 0
            while self._next in outcomes and len(records) < _BATCH and size < _BATCH_BYTES:
                if not self._wanted.only_failed or outcomes.kind(self._next) == RAISED:
                    records.append(outcomes.read(self._next))
                    size += len(records[-1].body)
                self._next += 1
            if records:
                self._write(records)
        return True

    def on_writable(self) -> None:
        """The caller takes more."""
        self.go_on()

    def on_gone(self) -> None:
        """The caller has left; the map goes on."""
        self._kept.on_news.discard(self.go_on)

    def on_body(self, data: bytes) -> None:
        """There is none."""

    def on_body_end(self) -> None:
        """There is none."""

    def _write(self, records: list[Record]) -> None:
        bodies = [record.body for record in records]
        head = Head(
            [record.at for record in records],
            bytes([record.kind for record in records]),
            [len(body) for body in bodies],
        )
        parts = batch.pack(head, bodies)
        self._exchange.write(encode_header(FrameKind.ITEM, total_bytes(parts)))
        self._exchange.write(b"".join(parts))

    def _leave(self) -> None:
        """The map is not here any more: the reader finds it where it is."""
        self._kept.on_news.discard(self.go_on)
        self._exchange.receiver = None
        if not self._exchange.is_over:
            self._exchange.abort()

    def _finish(self) -> None:
        self._kept.on_news.discard(self.go_on)
        body = _pack(self._kept.status())
        self._exchange.write(encode_header(FrameKind.PROGRESS, len(body)) + body)
        self._exchange.write(encode_header(FrameKind.END, 0))
        self._exchange.receiver = None
        self._exchange.finish()
