"""What `f.map(...)` gives: the results as they stream back. It has begun when it is made.

Dropping or closing it, and an interrupt while it is read, end what runs. If the gateway goes away,
it is begun again with what is left, as often as its function allows (`map_left.py`). Nothing is
read ahead of its reader but what sockets and the driver's bounded buffers hold: a slow reader slows
the map.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec

from jupyter_faas.client import answers, map_lines
from jupyter_faas.client.map_inputs import Inputs, Item, few, joined
from jupyter_faas.client.map_left import PATIENCE_S, PAUSE_S, SETTLE_S
from jupyter_faas.client.map_outcomes import Outcomes
from jupyter_faas.client.map_watch import MapWatch
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import FaasError, GatewayLost, GatewayUnavailable
from jupyter_faas.core.mapping import HEADER, PATH
from jupyter_faas.wire.duplex import Duplex

if TYPE_CHECKING:
    from jupyter_faas.client.map_plan import MapPlan
    from jupyter_faas.client.route import Route
    from jupyter_faas.core.mapping import MapOrder
    from jupyter_faas.wire.answers import AnswerHead

T = TypeVar("T")


class MapIterator(Generic[T], Iterator[T]):
    """Results of one map, in input order or as they come.

    Args:
        plan: What is mapped over what.
    """

    def __init__(self, plan: MapPlan) -> None:
        self._is_over = True
        self._plan = plan
        self._route = plan.route
        self._left = plan.left
        self._duplex: Duplex | None = None
        self._inputs: Inputs | None = None
        self._watch: MapWatch | None = None
        self.progress = plan.progress
        self._outcomes = Outcomes(plan)
        first, is_whole = few(plan.calls, plan.order.total)
        self._left.add(first)
        self._head: dict[str, str] = {}
        self._has_answered = False
        while True:
            try:
                self._begin(first, is_whole=is_whole)
                break
            except GatewayLost as lost:
                first = self._left.begin_again(lost)
        self._is_over = False
        if not is_whole:
            assert self._duplex is not None
            self._inputs = Inputs(
                plan.calls, self._left, first=self._left.count, never_blocks=plan.never_blocks
            )
            self._inputs.send_to(self._duplex)
        plan.show()
        self._watch = MapWatch(plan, self._outcomes)

    def __iter__(self) -> MapIterator[T]:
        return self

    def __next__(self) -> T:
        __tracebackhide__ = True
        try:
            while not self._outcomes:
                self._read()
            return cast(T, self._outcomes.next())
        except BaseException as error:
            self._fail(error)
            answers.without_frames(error)
            raise

    def close(self) -> None:
        """Stop: what runs is ended, the rest never begins, and nothing more is given."""
        self._shut("cancelled")
        self._outcomes.clear()

    def __enter__(self) -> MapIterator[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_is_over", True):
            self.close()

    def __repr__(self) -> str:
        return repr(self.progress)

    def _repr_html_(self) -> str:
        return self.progress._repr_html_()

    def _start(self, duplex: Duplex, head: AnswerHead) -> bool:
        self._duplex, self._head = duplex, head.headers
        self._left.told(head.headers)
        return True

    def _begin(self, first: Sequence[Item], *, is_whole: bool) -> None:
        order = self._left.order(self._plan.order, self._head)
        body = joined(first, is_whole=is_whole)
        self._route, _ = begin(self._route, order, body, is_whole, started=self._start)

    def _read(self) -> None:
        """Read one more piece of the answer; at its end raise what there is to raise."""
        __tracebackhide__ = True
        duplex = self._duplex  # once: it may be closed meanwhile, by another thread
        if self._is_over or duplex is None:
            raise StopIteration
        try:
            pieces = self._receive(duplex)
        except GatewayLost as lost:
            if self._is_over:
                raise
            self._go_on(lost)
            return
        for piece in pieces or ():
            self._outcomes.feed(piece)
        if self._outcomes.has_begun and not self._has_answered:
            self._has_answered = True
            self._route.answered(self._head)
        if pieces is None:
            self._finish()

    def _receive(self, duplex: Duplex) -> list[bytes] | None:
        if self._has_answered:
            return duplex.receive()
        with self._route.waiting():
            return duplex.receive()

    def _go_on(self, lost: GatewayLost) -> None:
        """Begin the map again with what is left of it, at the gateway's successor."""
        __tracebackhide__ = True
        self._leave_connection()
        until_s = session.monotonic_s() + PATIENCE_S
        again = self._left.begin_again(lost)
        time.sleep(SETTLE_S)
        while self._duplex is None:
            try:
                self._begin([] if self._inputs else again, is_whole=self._inputs is None)
            except GatewayUnavailable:
                if session.monotonic_s() > until_s:
                    raise
                time.sleep(PAUSE_S)
            except GatewayLost as error:
                again = self._left.begin_again(error)
                time.sleep(SETTLE_S)
        self._outcomes.begin_again()
        if self._inputs is not None:
            self._inputs.send_to(self._duplex, again)

    def _finish(self) -> None:
        __tracebackhide__ = True
        failure = self._outcomes.failure()
        if isinstance(failure, GatewayLost) and self._outcomes.is_cut:
            self._go_on(failure)
            return
        if failure is not None:
            if isinstance(failure, FaasError):
                self._route.refused(failure)
                answers.with_load_lines(failure, self._route.name)
            raise failure
        error = None if self._inputs is None else self._inputs.error
        self._shut("done" if error is None else "failed", map_lines.one_line(error))
        raise error or StopIteration

    def _fail(self, error: BaseException) -> None:
        is_interrupt = isinstance(error, (KeyboardInterrupt, GeneratorExit))
        self._shut("cancelled" if is_interrupt else "failed", map_lines.one_line(error))

    def _shut(self, state: str, reason: str = "") -> None:
        if self._is_over:
            return
        self._is_over = True
        if not self._has_answered:
            self._route.left()
        if self._inputs is not None:
            self._inputs.stop()
        self._leave_connection()
        if self._watch is not None:
            self._watch.end()
        self._outcomes.tell_ended()
        self.progress.end(state, reason)

    def _leave_connection(self) -> None:
        duplex, self._duplex = self._duplex, None
        if duplex is None:
            return
        duplex.cut()
        if self._inputs is not None:
            self._inputs.pause()
        duplex.close()


def begin(
    route: Route,
    order: MapOrder,
    first: bytes,
    is_whole: bool,
    opened: Callable[[Duplex], object] = lambda _duplex: None,
    started: Callable[[Duplex, AnswerHead], bool] = lambda _duplex, _head: False,
) -> tuple[Route, bytes]:
    """Send the order, and return the route it went by with the answer that is no stream.

    Args:
        route: Of the function.
        order: What is wanted; without a revision it is that of the route.
        first: Of the inputs, to be sent along.
        is_whole: These are all.
        opened: Called once the order is on its way.
        started: Called with the head of a good answer; True: its body is read there.

    Raises:
        FaasError: Why there is no map.
    """
    __tracebackhide__ = True
    while True:
        duplex = _open(route, order, first, is_whole)
        try:
            opened(duplex)
            head = duplex.receive_head()
            if head.status < 400 and started(duplex, head):
                return route, b""
            body = b"".join(_all(duplex))
        except BaseException:
            duplex.cut()
            duplex.close()
            raise
        duplex.close()
        if head.status < 400:
            return route, body
        error = answers.problem_of(head.status, head.headers, body)
        other = None if order.revision is not None else route.refused(error)
        if other is None:
            raise answers.with_load_lines(error, route.name)
        route = other


def _all(duplex: Duplex) -> Iterator[bytes]:
    while (pieces := duplex.receive()) is not None:
        yield from pieces


def _open(route: Route, order: MapOrder, first: bytes, is_whole: bool) -> Duplex:
    gateway = route.gateway
    if order.revision is None:
        order = msgspec.structs.replace(order, revision=route.pinned)
    for is_last in (not gateway.may_start, True):
        location = gateway.location
        if gateway.access is not None and gateway.access.is_due():
            gateway.renew()
        headers = [
            gateway.authorization,
            (HEADER, msgspec.json.encode(order)),
            *route.head_of_map(),
        ]
        try:
            return Duplex(
                location.address,
                gateway.control_path(PATH),
                headers,
                first,
                is_whole=is_whole,
                connect_timeout_s=gateway.connect_timeout_s,
            )
        except GatewayUnavailable:
            if is_last:
                raise
            gateway.find_again(location)
    raise AssertionError("the last try raises")
