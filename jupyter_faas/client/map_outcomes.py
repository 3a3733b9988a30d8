"""What comes back of a map: frames into outcomes, prints and progress. No I/O, no threads."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_faas.client import answers
from jupyter_faas.client.map_prints import ItemPrints
from jupyter_faas.client.output import BoundOutput
from jupyter_faas.core import batch, codec
from jupyter_faas.core.batch import RAISED
from jupyter_faas.core.mapping import MapState
from jupyter_faas.wire.frames import STDERR, FrameKind, FrameReader

if TYPE_CHECKING:
    from jupyter_faas.client.map_progress import MapProgress

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
        name: Of the function, for people.
        output: Where prints go.
        progress: Is told how it goes.
        returns_exceptions: Errors are handed out like results.
    """

    def __init__(
        self, name: str, output: BoundOutput, progress: MapProgress, *, returns_exceptions: bool
    ) -> None:
        self.is_ended = False
        """END has come: nothing is missing."""
        self.has_begun = False
        """A first outcome has come: the revision serves."""
        self._name = name
        self._output = output
        self._progress = progress
        self._returns = returns_exceptions
        self._told = ""
        self._reader = FrameReader()
        self._ready: deque[tuple[int, answers.Body]] = deque()
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
                self._ready.extend(zip(head.kinds, payloads, strict=True))
                self.has_begun = True
            elif kind == _LOG:
                self._prints.log(frame)
            elif kind == _PROGRESS:
                self._note(_state(frame.body))
            elif kind == _ERROR:
                self._error = frame.body
            elif kind == _END:
                self.is_ended = True

    def next(self) -> Any:
        """Return the next outcome, of those there are.

        Raises:
            Exception: What the item raised, unless exceptions are returned.
        """
        __tracebackhide__ = True
        kind, payload = self._ready.popleft()
        if kind != RAISED:
            try:
                return self._loads(payload)
            except Exception:
                return answers.load(payload, self._name)  # the same again, told as it should be
        error = answers.remote_exception(payload, self._name)
        if self._returns:
            return error
        raise error

    def failure(self) -> Exception | None:
        """Return why the map as a whole has failed, or was cut; None: it has not."""
        if self._error is not None:
            return answers.remote_exception(self._error, self._name)
        return None if self.is_ended else answers.cut(self._name)

    def _note(self, state: MapState) -> None:
        if state.note and state.note != self._told:
            self._told = state.note
            if not self._progress.is_shown:
                self._output.write(STDERR, state.note + "\n")
        self._progress.note(
            total=state.total,
            done=state.done,
            failed=state.failed,
            running=state.running,
            workers=state.workers,
            slowest=state.slowest,
            run_id=state.id,
            remark=state.note,
        )
