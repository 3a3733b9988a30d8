"""What `f.map(...)` gives: the results as they stream back. It has begun when it is made.

Dropping or closing it, and an interrupt while it is read, end what runs. Nothing is read ahead of
its reader but what sockets and the driver's bounded buffers hold: a slow reader slows the map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import msgspec

from jupyter_faas.client import answers
from jupyter_faas.client.map_inputs import Inputs, few
from jupyter_faas.client.map_outcomes import Outcomes
from jupyter_faas.core.errors import FaasError, GatewayUnavailable
from jupyter_faas.core.mapping import HEADER, PATH
from jupyter_faas.wire.duplex import Duplex

if TYPE_CHECKING:
    from jupyter_faas.client.map_plan import MapPlan
    from jupyter_faas.client.route import Route
    from jupyter_faas.wire.answers import AnswerHead

T = TypeVar("T")


class MapIterator(Generic[T], Iterator[T]):
    """Results of one map, in input order or as they come.

    Args:
        plan: What is mapped over what.
    """

    def __init__(self, plan: MapPlan) -> None:
        self._duplex: Duplex | None = None
        self._inputs: Inputs | None = None
        self.progress = plan.progress
        self._outcomes = Outcomes(
            plan.name, plan.output, plan.progress, returns_exceptions=plan.returns_exceptions
        )
        first, is_whole = few(plan.calls, plan.order.total)
        self._head: dict[str, str] = {}
        self._route, _ = begin(plan, first, is_whole, lambda _duplex: None, self._start)
        self._has_answered = False
        if not is_whole:
            assert self._duplex is not None
            self._inputs = Inputs(plan.calls, self._duplex, never_blocks=plan.never_blocks)
        plan.show()

    def __iter__(self) -> MapIterator[T]:
        return self

    def __next__(self) -> T:
        __tracebackhide__ = True
        try:
            while not self._outcomes:
                self._read()
            return cast(T, self._outcomes.next())
        except BaseException as error:
            if self._duplex is not None:
                self._fail(error)
            answers.without_frames(error)
            raise

    def close(self) -> None:
        """Stop: what runs is ended, the rest never begins."""
        self._shut("cancelled")

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
        if getattr(self, "_duplex", None) is not None:
            self.close()

    def __repr__(self) -> str:
        return repr(self.progress)

    def _repr_html_(self) -> str:
        return self.progress._repr_html_()

    def _start(self, duplex: Duplex, head: AnswerHead) -> bool:
        self._duplex, self._head = duplex, head.headers
        return True

    def _read(self) -> None:
        """Read one more piece of the answer; at its end raise what there is to raise."""
        __tracebackhide__ = True
        duplex = self._duplex
        if duplex is None:
            raise StopIteration
        if self._has_answered:
            pieces = duplex.receive()
        else:
            with self._route.waiting():
                pieces = duplex.receive()
        for piece in pieces or ():
            self._outcomes.feed(piece)
        if self._outcomes.has_begun and not self._has_answered:
            self._has_answered = True
            self._route.answered(self._head)
        if pieces is None:
            self._finish()

    def _finish(self) -> None:
        __tracebackhide__ = True
        failure = self._outcomes.failure()
        if failure is not None:
            if isinstance(failure, FaasError):
                self._route.refused(failure)
                answers.with_load_lines(failure, self._route.name)
            raise failure
        error = None if self._inputs is None else self._inputs.error
        self._shut("done" if error is None else "failed", str(error or ""))
        raise error or StopIteration

    def _fail(self, error: BaseException) -> None:
        is_interrupt = isinstance(error, (KeyboardInterrupt, GeneratorExit))
        self._shut("cancelled" if is_interrupt else "failed", str(error))

    def _shut(self, state: str, reason: str = "") -> None:
        duplex, self._duplex = self._duplex, None
        if duplex is None:
            return
        duplex.cut()
        if self._inputs is not None:
            self._inputs.stop()
            self._inputs.leave_socket()
        duplex.close()
        self.progress.end(state, reason)


def begin(
    plan: MapPlan,
    first: bytes,
    is_whole: bool,
    opened: Callable[[Duplex], object],
    started: Callable[[Duplex, AnswerHead], bool] = lambda _duplex, _head: False,
) -> tuple[Route, bytes]:
    """Send the order, and return the route it went by with the answer that is no stream.

    Args:
        plan: What is mapped.
        first: Of the inputs, to be sent along.
        is_whole: These are all.
        opened: Called once the order is on its way.
        started: Called with the head of a good answer; True: its body is read there.

    Raises:
        FaasError: Why there is no map.
    """
    __tracebackhide__ = True
    route = plan.route
    while True:
        duplex = _open(route, plan, first, is_whole)
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
        other = route.refused(error)
        if other is None:
            raise answers.with_load_lines(error, route.name)
        route = other


def _all(duplex: Duplex) -> Iterator[bytes]:
    while (pieces := duplex.receive()) is not None:
        yield from pieces


def _open(route: Route, plan: MapPlan, first: bytes, is_whole: bool) -> Duplex:
    gateway = route.gateway
    order = msgspec.structs.replace(plan.order, revision=route.pinned)
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
