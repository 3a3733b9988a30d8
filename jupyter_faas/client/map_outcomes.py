"""What comes back of a map: frames into outcomes, prints and progress. No I/O."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_faas.client import answers
from jupyter_faas.client.map_prints import ItemPrints
from jupyter_faas.client.route import is_replica
from jupyter_faas.client.session import session
from jupyter_faas.core import batch, codec
from jupyter_faas.core.batch import RAISED, Head
from jupyter_faas.core.mapping import MapState
from jupyter_faas.wire.frames import STDERR, FrameKind, FrameReader

if TYPE_CHECKING:
    from jupyter_faas.client.map_plan import MapPlan

_LOG, _ITEM, _ERROR, _END, _PROGRESS = (
    int(kind)
    for kind in (
        FrameKind.LOG,
        FrameKind.ITEM,
        FrameKind.ERROR,
        FrameKind.END,
        FrameKind.PROGRESS,
    )
)
_state = msgspec.msgpack.Decoder(MapState).decode


class Outcomes:
    """The answer to a map as it arrives.

    Args:
        plan: What is mapped: how its outcomes and its prints are shown, and what is left of it.
    """

    def __init__(self, plan: MapPlan) -> None:
        self.is_ended = False
        """END has come: nothing is missing."""
        self.has_begun = False
        """A first outcome has come: the revision serves."""
        self.notes = 0
        """How often it was told how the map goes."""
        self._name = plan.name
        self._output = output = plan.output
        self._progress = plan.progress
        self._left = plan.left
        self._returns = plan.returns_exceptions
        self._wants_results = plan.order.wants_results
        self._failed = self._before = self._failed_before = 0
        self._told = ""
        self._is_silent = plan.is_silent
        self._reader = FrameReader()
        self._ready: deque[tuple[int, answers.Body, int]] = deque()  # kind, payload, item
        self._prints = ItemPrints(lambda: output)
        self._error: answers.Body | None = None
        self._loads = codec.loads

    def __bool__(self) -> bool:
        return bool(self._ready)

    def feed(self, data: answers.Body) -> None:
        """Take a piece of the answer."""
        for frame in self._reader.feed(data):
            kind = frame.kind
            if kind == _ITEM:
                head, payloads = batch.unpack(frame.body)
                self._take(head, payloads)
            elif kind == _LOG:
                self._prints.log(frame)
            elif kind == _PROGRESS:
                self.note(_state(frame.body))
            elif kind == _ERROR:
                self._error = frame.body
            elif kind == _END:
                self.is_ended = True

    def note(self, state: MapState) -> None:
        """Take how the map goes, and show it.

        Its watch may call it in a thread of its own, while nothing else is told.
        """
        self.notes += 1
        if state.note and state.note != self._told and state.state != "failed":
            self._say(state.note)  # why it has failed is raised
        slowest, total = state.slowest, state.total
        self._progress.note(
            total=None if total is None else total + self._before,
            done=state.done + self._before,
            failed=state.failed + self._failed_before,
            running=state.running,
            workers=state.workers,
            slowest=slowest and (self._left.number(slowest[0]), slowest[1]),
            remark=self._told,
        )

    def begin_again(self) -> None:
        """Another answer goes on where this one was cut."""
        self._reader = FrameReader()
        self._before, self._failed_before = self._left.ended, self._failed
        self._say(self._left.remark())

    def next(self) -> Any:
        """Return the next outcome, of those there are.

        Raises:
            Exception: What the item raised, unless exceptions are returned.
        """
        __tracebackhide__ = True
        kind, payload, item = self._ready.popleft()
        error: Exception
        if kind != RAISED:
            try:
                return self._loads(payload)
            except Exception as reason:
                error = answers.not_rebuilt(reason, self._name, item)
        else:
            error = answers.remote_exception(payload, self._name, item)
        if self._returns:
            return error
        answers.throw(error)

    def clear(self) -> None:
        """Forget the outcomes that nobody has taken."""
        self._ready.clear()

    def tell_ended(self) -> None:
        """Show how many items have ended, at the end: the last news of it may be older."""
        if self._left.ended > self._progress.done:
            self._progress.note(done=self._left.ended, failed=self._failed)

    def failure(self) -> Exception | None:
        """Return why the map as a whole has failed; None: it has not."""
        if self._error is not None:
            return answers.remote_exception(self._error, self._name)
        return answers.cut(self._name) if self.is_cut else None

    @property
    def is_cut(self) -> bool:
        """Whether, at the end of the answer, something is missing."""
        return not self.is_ended and self._error is None

    def _take(self, head: Head, payloads: list[memoryview]) -> None:
        self.has_begun = True
        self._left.end(head.indices)
        self._failed += head.kinds.count(RAISED)
        numbers = map(self._left.number, head.indices)
        if RAISED not in head.kinds:
            if self._wants_results:
                self._ready.extend(zip(head.kinds, payloads, numbers, strict=True))
            return
        for kind, payload, item in zip(head.kinds, payloads, numbers, strict=True):
            if kind == RAISED and self._progress.names_failures:
                self._progress.name_failure(item, answers.why(payload))
            if kind == RAISED or self._wants_results:
                self._ready.append((kind, payload, item))

    def _say(self, text: str) -> None:
        """Tell people something worth knowing where they see it; in words once a session.

        Of a map made in a replica nothing: it would stand among the prints of the call.
        """
        self._told = text
        self._progress.note(remark=text)
        is_seen = self._progress.is_shown or self._is_silent or text in session.told
        if not is_seen and not is_replica():
            session.told.add(text)
            self._output.write(STDERR, text + "\n")
