"""`f.spawn_map(xs)`: a map that goes on without its caller, found again by its id.

Its inputs and results are kept by the gateway's side until some time after its end: a kernel that
restarts, a browser that reloads, a gateway that is killed cost nothing that is done.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from jupyter_faas.client import answers, connect, map_lines, views
from jupyter_faas.client.map_inputs import Inputs, few, joined
from jupyter_faas.client.map_iterator import begin
from jupyter_faas.client.map_prints import ItemLines, ItemPrints
from jupyter_faas.client.map_progress import MAX_FAILURES, MapProgress
from jupyter_faas.client.session import session
from jupyter_faas.core import batch
from jupyter_faas.core.batch import RAISED
from jupyter_faas.core.errors import (
    FaasError,
    GatewayLost,
    GatewayUnavailable,
    InvalidSpec,
    InvocationCancelled,
    PlatformError,
    RemoteError,
)
from jupyter_faas.core.mapping import PATH, MapState
from jupyter_faas.wire.frames import FrameKind, FrameReader

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Gateway
    from jupyter_faas.client.map_plan import MapPlan
    from jupyter_faas.wire.blocking import BlockingConnection

T = TypeVar("T")
_state = msgspec.json.Decoder(MapState).decode
_told_state = msgspec.msgpack.Decoder(MapState).decode


class MapRun(Generic[T]):
    """A kept map: `MapRun.from_id(id)` finds it from any notebook.

    Attributes:
        id: Its name, stable as long as it is kept.
    """

    def __init__(self, state: MapState, gateway: Gateway) -> None:
        self.id = state.id
        self._function = state.function
        self._gateway = gateway

    @classmethod
    @answers.unframed
    def from_id(cls, id: str) -> MapRun[Any]:
        """Return the map of an id.

        Raises:
            InvocationNotFound: There is none (any more).
        """
        gateway = connect.gateway()
        return MapRun(gateway.ask("GET", f"{PATH}/{id}", result=MapState), gateway)

    @answers.unframed
    def results(self, start: int = 0, *, return_exceptions: bool = False) -> Iterator[T]:
        """Return an iterator over the results in input order, as they come; the map goes on.

        What the items from `start` on have printed, and print, appears where this is called.

        Args:
            start: Index to begin with.
            return_exceptions: Errors are results; else the first one is raised.

        Raises:
            InvalidSpec: `start` is no index.
            InvocationCancelled: After what there is: it was cancelled, the others have not run.
            PlatformError: After what there is: it could not go on, and why.
        """
        if isinstance(start, bool) or not isinstance(start, int) or start < 0:
            raise InvalidSpec(f"start={start!r}: allowed is the index of an item, 0 or more.")
        return cast(Iterator[T], _Outcomes(self, start, returns_exceptions=return_exceptions))

    @answers.unframed
    def failed(self) -> list[tuple[int, Exception]]:
        """Return index and error of each item that has failed; waits until the map has ended."""
        return list(self._failures())

    def logs(self, follow: bool = False) -> views.LogLines | Iterator[str]:
        """Return what its items have printed, the first 4 MiB; with `follow` as it comes."""
        lines = _lines(self, follow=follow)
        return lines if follow else views.LogLines(lines)

    @answers.unframed
    def retry_failed(self) -> None:
        """Run again what has failed, or was never run because the map was cancelled.

        Raises:
            BadRequest: It has not ended yet.
        """
        self._gateway.ask("POST", f"{PATH}/{self.id}/retry", result=MapState)

    def cancel(self) -> None:
        """End what runs; what is done is kept."""
        self._gateway.ask("DELETE", f"{PATH}/{self.id}", result=MapState)

    def progress(self) -> MapProgress:
        """Return how it goes now; displays as a bar."""
        state = self._ask()
        progress = MapProgress(
            f"{state.function}.map", session.monotonic_s, total=state.total, run_id=self.id
        )
        elapsed_s = max(0.0, (state.ended_at or session.now_s()) - state.started_at)
        progress.started_s = session.monotonic_s() - elapsed_s
        progress.note(
            done=state.done, failed=state.failed, running=state.running, workers=state.workers
        )
        if state.state != "running":
            for index, error in islice(self._failures(), MAX_FAILURES if state.failed else 0):
                progress.name_failure(index, map_lines.one_line(error))
            progress.end(state.state, state.note)
        return progress

    @property
    def status(self) -> str:
        """`running`, `done`, `failed` or `cancelled`."""
        return self._ask().state

    def __repr__(self) -> str:
        return f"<MapRun {self.id} of {self._function}>"

    def _failures(self) -> Iterator[tuple[int, Exception]]:
        with _Outcomes(self, 0, returns_exceptions=True, only_failed=True) as outcomes:
            for error in outcomes:
                yield outcomes.index, error

    def _ask(self) -> MapState:
        state: MapState = self._gateway.ask("GET", f"{PATH}/{self.id}", result=MapState)
        return state


def spawn(plan: MapPlan) -> MapRun[Any]:
    """Begin a kept map; returns when all inputs are there and on disk.

    Raises:
        NotSerializable: An input cannot travel; nothing is kept.
        FaasError: Why there is no map.
    """
    __tracebackhide__ = True
    few_items, is_whole = few(plan.calls, plan.order.total, is_strict=True)
    first = joined(few_items, is_whole=is_whole)
    inputs: list[Inputs] = []

    def sending(duplex: Any) -> None:
        if not is_whole:
            one = Inputs(
                plan.calls,
                plan.left,
                first=len(few_items),
                never_blocks=plan.never_blocks,
                is_kept=True,
            )
            one.send_to(duplex)
            inputs.append(one)

    try:
        route, body = begin(plan.route, plan.order, first, is_whole, sending)
    except FaasError:
        if inputs and inputs[0].error is not None:
            raise inputs[0].error from None
        raise
    finally:
        for one in inputs:
            one.stop()
    route.left()
    return MapRun(_state(body), route.gateway)


class _Outcomes(Iterator[Any]):
    """Outcomes of a kept map; a gateway that goes away meanwhile is found again."""

    def __init__(
        self,
        run: MapRun[Any],
        start: int,
        *,
        returns_exceptions: bool,
        only_failed: bool = False,
    ) -> None:
        self.index = -1
        """Of the outcome given last."""
        self._run = run
        self._first = self._next = start
        self._returns = returns_exceptions
        self._only_failed = only_failed
        output = session.output.bind()
        self._prints = ItemPrints(lambda: output)  # not of `self`: a dropped one closes at once
        self._said = 0
        self._ready: deque[tuple[int, int, answers.Body]] = deque()
        self._connection: BlockingConnection | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._reader = FrameReader()
        self._is_ended = False
        self._end: MapState | None = None

    @answers.unframed
    def __next__(self) -> Any:
        __tracebackhide__ = True
        while not self._ready:
            if self._is_ended:
                self.close()
                raise self._what_is_missing() or StopIteration
            self._read()
        self.index, kind, payload = self._ready.popleft()
        self._next = self.index + 1
        error: Exception
        if kind != RAISED:
            try:
                return answers.load(payload, self._run._function, self.index)
            except RemoteError as reason:
                error = reason
        else:
            error = answers.remote_exception(payload, self._run._function, self.index)
        if self._returns:
            return error
        self.close()
        answers.throw(error)

    def close(self) -> None:
        """Stop reading; the map goes on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> _Outcomes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_connection", None) is not None:
            self.close()

    def _read(self) -> None:
        __tracebackhide__ = True
        piece = self._piece()
        if piece is None:
            self.close()
            if not self._is_ended:
                raise answers.cut(self._run._function)
            return
        for frame in self._reader.feed(piece):
            if frame.kind == FrameKind.ITEM:
                head, payloads = batch.unpack(frame.body)
                self._ready.extend(zip(head.indices, head.kinds, payloads, strict=True))
            elif frame.kind == FrameKind.LOG:
                self._said += 1
                self._prints.log(frame)
            elif frame.kind == FrameKind.PROGRESS:
                self._end = _told_state(frame.body)
            elif frame.kind == FrameKind.END:
                self._is_ended = True

    def _what_is_missing(self) -> FaasError | None:
        """Return, once, why there are no more though items are left."""
        end, self._end = self._end, None
        if end is None or end.state not in _STOPPED or self._only_failed:
            return None
        if end.total is not None and self._next >= end.total:
            return None
        when = f"when {end.done} of {end.total or end.given} items had ended"
        others = "`retry_failed()` runs the others."
        if end.state == "cancelled":
            return InvocationCancelled(f"{end.function}.map was cancelled {when}; {others}")
        note = f" {end.note}" if end.note else ""
        return PlatformError(f"{end.function}.map could not go on {when}.{note} {others}")

    def _piece(self) -> bytes | None:
        """Return the next piece of the answer; None at its end."""
        for tries_left in range(_TRIES - 1, -1, -1):
            try:
                if self._connection is None:
                    self._open()
                return next(self._pieces, None)
            except (GatewayLost, GatewayUnavailable):
                self.close()
                if not tries_left:
                    raise
            except BaseException:
                self.close()
                raise
        return None

    def _open(self) -> None:
        asked = f"from={self._next}&prints={self._first}&said={self._said}"
        failed = "&failed=1" if self._only_failed else ""
        self._reader = FrameReader()
        self._connection, self._pieces = _opened(self._run, f"results?{asked}{failed}")


def _opened(run: MapRun[Any], part: str) -> tuple[BlockingConnection, Iterator[bytes]]:
    gateway = run._gateway
    path = f"{PATH}/{run.id}/{part}"
    connection, response = gateway.open("GET", gateway.control_path(path), ())
    if response.status != 200:
        try:
            body = response.read()
        finally:
            connection.close()
        raise answers.problem_of(response.status, response.headers, body)
    return connection, response.iter_body()


def _lines(run: MapRun[Any], *, follow: bool) -> Iterator[str]:
    """Yield the lines that the items of a map print, each item's own whole."""
    lines: deque[str] = deque()
    items: list[ItemLines] = []

    def output() -> ItemLines:
        items.append(ItemLines(lines))
        return items[-1]

    prints, reader = ItemPrints(output), FrameReader()
    connection, pieces = _opened(run, "logs?follow=1" if follow else "logs")
    with contextlib.closing(connection):
        for piece in pieces:
            for frame in reader.feed(piece):
                if frame.kind == FrameKind.LOG:
                    prints.log(frame)
            while lines:
                yield lines.popleft()
    for item in items:
        item.end()
    yield from lines


_STOPPED = ("cancelled", "failed")
_TRIES = 3
"""So often the results are asked for again when the gateway goes away in the middle."""
