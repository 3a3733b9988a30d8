"""The exchange of a kept call: made by the gateway itself, its answer gathered, not sent.

To `Calls` it is a request like any other: same ids, slots, deadlines, metering and cancellation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from jupyter_faas.core.errors import FaasError
from jupyter_faas.gateway.invocation import Invocation
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.wire.exchange import DONE, OPEN, STREAMING, Connection, Exchange
from jupyter_faas.wire.heads import Buffer

if TYPE_CHECKING:
    from jupyter_faas.core.slots import Replica as SlotsReplica

Whole = Callable[[int, list[tuple[bytes, bytes]], bytes], None]
"""Gets status, headers and body of an answer."""


class KeptExchange(Exchange):
    """A request out of the store.

    Args:
        headers: As `Calls` reads them, names in lower case.
        content_length: Of the body, which is here.
        on_lease: Called when a replica is there, before anything is sent to it; whoever gets it
            calls what it is given, at once or later.
        on_whole: Called once with the answer.
        on_cut: Called instead if the answer broke off in the middle.
        on_handed_over: Called instead if its function became another gateway's before it began.
    """

    __slots__ = ("_head", "_on_cut", "_on_whole", "_parts", "on_handed_over", "on_lease")

    def __init__(
        self,
        headers: list[tuple[bytes, bytes]],
        content_length: int,
        on_lease: Callable[[Callable[[], None]], None],
        on_whole: Whole,
        on_cut: Callable[[], None],
        on_handed_over: Callable[[], None],
    ) -> None:
        super().__init__(cast(Connection, _NOWHERE), b"POST", b"", headers)
        self.content_length = content_length
        self.has_body = self.is_body_complete = True
        self.on_lease = on_lease
        self.on_handed_over = on_handed_over
        self._on_whole = on_whole
        self._on_cut = on_cut
        self._head = b""
        self._parts: list[bytes] = []

    def respond_raw(self, head: bytes, body: Buffer = b"", *, status: int = 200) -> None:
        """Take a whole answer."""
        if self._state == OPEN:
            self._end(head, bytes(body), status)

    def raw_start(self, head: bytes, content_length: int | None = None) -> None:
        """Take the head of an answer that comes in pieces."""
        if self._state == OPEN:
            self._state = STREAMING
            self._head = head

    def write(self, data: Buffer) -> None:
        """Take a piece of it."""
        self._parts.append(bytes(data))

    def finish(self) -> None:
        """The answer is whole."""
        if self._state == STREAMING:
            status = int(self._head[9:12])
            self._end(self._head, b"".join(self._parts), status)

    def take_back(self) -> None:
        """Forget the pieces that have come, to be answered in another way: nobody has seen them."""
        if self._state == STREAMING:
            self._state = OPEN
            self._parts = []

    def abort(self) -> None:
        """The answer broke off."""
        if self._state < DONE:
            self._state = DONE
            self._parts = []
            self._on_cut()

    def _end(self, head: bytes, body: bytes, status: int) -> None:
        self._state = DONE
        self._parts = []
        lines = head.split(b"\r\n")[1:]
        pairs = (line.partition(b": ") for line in lines if line)
        self._on_whole(status, [(name, value) for name, _, value in pairs], body)


class KeptInvocation(Invocation):
    """A kept call on its way: that it begins is written down before its replica hears of it."""

    __slots__ = ()

    def on_lease(self, replica: SlotsReplica) -> None:
        """A slot of `replica` is ours."""
        assert isinstance(replica, Replica)
        self.lease(replica, self.calls.clock())

    def lease(self, replica: Replica, now_s: float) -> None:
        """Send the call to `replica` as soon as the store knows."""
        self.leased_s = now_s
        assert isinstance(self.exchange, KeptExchange)
        self.exchange.on_lease(lambda: self._go(replica))

    def _fail(self, error: FaasError) -> None:
        """Keep why it ended, also where it had begun to answer (by a print, say)."""
        if self.is_streaming and not self.is_answered:
            assert isinstance(self.exchange, KeptExchange)
            self.exchange.take_back()
            self.is_streaming = False
        super()._fail(error)

    def _go(self, replica: Replica) -> None:
        if self.replica is replica and not self.is_answered:
            super().lease(replica, self.calls.clock())


class _Nowhere:
    """The connection of an exchange that came in on none."""

    is_writable = True

    def body_wanted(self, exchange: Exchange, is_wanted: bool) -> None:
        """The body is here already."""


_NOWHERE = _Nowhere()
