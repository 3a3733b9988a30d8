"""Calls that go on without whoever made them: `f.spawn(x)`, and what is asked of them later.

The gateway keeps such a call and, for a day, its answer. A handle is no more than its id: it can
be made again after a kernel restart, in another notebook, by another user's script.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from urllib.parse import quote

import msgspec

from jupyter_faas.client import answers, connect, control, views
from jupyter_faas.client.arguments import pickled
from jupyter_faas.client.markup import escape
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import FaasError, GatewayUnavailable, UsageError
from jupyter_faas.wire.frames import FrameReader

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Gateway
    from jupyter_faas.client.route import Route

T = TypeVar("T")

_LEFT_OUT = frozenset((b"faas-parent", b"faas-deadline-ms"))
"""What ties a call to the one it is made in: a spawned call outlives that."""

_PATIENCE_S = 30.0
"""So long may the gateway that has a call be away, another one says: that one takes it over."""


def spawn(
    route: Route, method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> FunctionCall[Any]:
    """Have a function called; returns as soon as the gateway has the call for good.

    Raises:
        NotSerializable: An argument cannot be pickled; nothing was sent.
        FaasError: The gateway's reason why it does not keep the call.
    """
    __tracebackhide__ = True
    parts = pickled(route, args, kwargs)
    while True:
        gateway = route.gateway
        path = route.path.replace("/function/", "/async-function/", 1)
        headers = [pair for pair in route.head(method) if pair[0].lower() not in _LEFT_OUT]
        try:
            _, said = gateway.exchange("POST", path, headers, parts)
        except FaasError as error:
            other = route.refused(error)
            if other is None:
                raise
            route = other
        except BaseException:
            route.left()
            raise
        else:
            route.left()
            id = str(msgspec.json.decode(said, type=dict[str, Any])["id"])
            return FunctionCall(id, route.name, gateway)


class _Get(Generic[T]):
    """`call.get(timeout=None)` and `await call.get.aio(timeout=None)`."""

    def __init__(self, call: FunctionCall[T]) -> None:
        self._call = call

    def __call__(self, timeout: float | None = None) -> T:
        """Wait for the call's result and return it; as often as wanted.

        What it printed appears where this is called. Interrupting the wait does not end the call.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.

        Raises:
            TimeoutError: It has not ended within `timeout`; it goes on.
            Exception: What the function raised, or a `FaasError` that says why there is no result.
        """
        __tracebackhide__ = True
        try:
            return self._call._result(timeout)
        except BaseException as error:
            answers.without_frames(error)
            raise

    async def aio(self, timeout: float | None = None) -> T:
        """Do the same for a coroutine."""
        return await asyncio.to_thread(self, timeout)


class FunctionCall(Generic[T]):
    """A call that goes on by itself.

    Made by `f.spawn(x)`, or by `FunctionCall.from_id(id)` in another process.

    Attributes:
        id: Of the invocation.
        get: Waits for the result: `call.get()`, `call.get(timeout=5)`, `await call.get.aio()`.
    """

    get: _Get[T]

    def __init__(self, id: str, name: str, gateway: Gateway) -> None:
        self.id = id
        self._name = name
        self._gateway = gateway
        self.get = _Get(self)

    @classmethod
    @answers.unframed
    def from_id(cls, id: str) -> FunctionCall[Any]:
        """Return the handle of a call that was spawned before, by anybody.

        Raises:
            InvocationNotFound: The gateway does not know it (any more).
        """
        gateway = connect.gateway()
        said = gateway.ask("GET", _path(id), result=dict[str, Any])
        return FunctionCall(id, str(said.get("function", "")), gateway)

    @property
    def status(self) -> str:
        """How it is now: `queued`, `running`; or how it ended: `done`, `error`, `cancelled`."""
        said = self._gateway.ask("GET", _path(self.id), result=dict[str, Any])
        return str(said.get("outcome") or said.get("state", ""))

    def logs(self, follow: bool = False, tail: int = 1000) -> views.LogLines | Iterator[str]:
        """Return what it has printed; with `follow` an iterator that ends with the call."""
        if follow:
            return control.follow_call_logs(self._gateway, self.id, tail)
        return views.LogLines(control.call_logs(self._gateway, self.id, tail))

    def cancel(self) -> bool:
        """End it, wherever it is; False: it had ended."""
        said = self._gateway.ask("DELETE", _path(self.id), result=dict[str, Any])
        return bool(said.get("cancelled"))

    def _result(self, timeout: float | None) -> T:
        __tracebackhide__ = True
        until_s = None if timeout is None else session.monotonic_s() + timeout
        away_s: float | None = None
        while True:
            wait_s = control.MAX_WAIT_S
            if until_s is not None:
                wait_s = min(wait_s, max(0.0, until_s - session.monotonic_s()))
            path = f"{_path(self.id)}/result?wait_s={wait_s:.3f}"
            try:
                response, body = self._gateway.exchange("GET", self._gateway.control_path(path))
            except GatewayUnavailable as error:
                now_s = session.monotonic_s()
                away_s = now_s if away_s is None else away_s
                is_over = until_s is not None and now_s >= until_s
                if is_over or "retry_after_s" not in error.extra or now_s - away_s >= _PATIENCE_S:
                    raise
                time.sleep(min(error.retry_after_s, wait_s))
                continue
            away_s = None
            if response.status != 202:
                return cast(T, self._value(body))
            if until_s is not None and session.monotonic_s() >= until_s:
                raise TimeoutError(f"{self!r} has not ended within {timeout:g} s; it goes on.")

    def _value(self, body: bytes) -> Any:
        __tracebackhide__ = True
        answer = answers.Answer(session.output.bind())
        items = [
            item for frame in FrameReader().feed(body) if (item := answer.take(frame)) is not None
        ]
        value = answer.value(self._name)
        if items or answer.is_without_result:
            return [answers.load(item, self._name) for item in items]
        return value

    def __repr__(self) -> str:
        return f"<FunctionCall {self.id} of {self._name}>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(self._name)}</code> · call <code>{escape(self.id)}</code>"

    def __reduce__(self) -> tuple[Any, ...]:
        return FunctionCall.from_id, (self.id,)


class _Gather:
    """`faas.gather(a, b)` and `await faas.gather.aio(a, b)`."""

    @answers.unframed
    def __call__(self, *calls: FunctionCall[Any]) -> list[Any]:
        """Wait for several calls; return their results in the order of the arguments.

        Raises:
            UsageError: An argument is no call.
            Exception: What the first of them in this order raised; the others go on.
        """
        __tracebackhide__ = True
        if wrong := _not_calls(calls):
            raise UsageError(wrong)
        return [call._result(None) for call in calls]

    async def aio(self, *calls: FunctionCall[Any]) -> list[Any]:
        """Do the same for a coroutine."""
        __tracebackhide__ = True
        if wrong := _not_calls(calls):
            raise UsageError(wrong)
        return [await call.get.aio() for call in calls]


gather = _Gather()


def _not_calls(calls: tuple[Any, ...]) -> str:
    """Return what is wrong with arguments that are no calls; empty: nothing."""
    for one in calls:
        if isinstance(one, (list, tuple)):
            return f"gather takes calls, not a {type(one).__name__}: write gather(*calls)."
        if hasattr(one, "results"):
            return "gather takes calls: the results of a map are had by its own `.results()`."
        if not isinstance(one, FunctionCall):
            return f"gather takes calls, as f.spawn(x) gives them, not {type(one).__name__}."
    return ""


def _path(id: str) -> str:
    return f"/v1/invocations/{quote(id, safe='')}"
