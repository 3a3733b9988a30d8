"""One call, awaited: what `invoke` does, on the caller's event loop.

Cancelling the awaiting task closes the connection, which cancels the call at the gateway.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jupyter_faas.client import answers
from jupyter_faas.client.arguments import pickled
from jupyter_faas.client.iterators import AsyncStream, Begun, RemoteAsyncIterator
from jupyter_faas.client.route import is_repeatable
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import GatewayLost

if TYPE_CHECKING:
    from jupyter_faas.client.deployable import Deployable
    from jupyter_faas.client.gateway import Parts
    from jupyter_faas.client.output import BoundOutput
    from jupyter_faas.client.route import Route
    from jupyter_faas.wire.aio import AsyncConnection, AsyncResponse


async def call(
    handle: Deployable, method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a function and return its result. Raises what `invoke.call` raises."""
    __tracebackhide__ = True
    try:
        return await _call(handle, method, args, kwargs)
    except BaseException as error:
        answers.without_frames(error)
        raise


def stream(
    handle: Deployable, method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> RemoteAsyncIterator[Any]:
    """Return an async iterator over what a generator function yields; the call is made at once
    when iteration begins. Raises, then, what `invoke.stream` raises.
    """  # noqa: D205 - one sentence that needs two lines
    output = session.output.bind()

    async def begin() -> AsyncStream:
        __tracebackhide__ = True
        route = await _route(handle)
        parts = pickled(route, args, kwargs)
        route, connection, response = await _send(route, method, parts)
        return AsyncStream(route, connection, response.iter_body(), answers.Answer(output))

    return RemoteAsyncIterator(begin)


async def _call(
    handle: Deployable, method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    __tracebackhide__ = True
    output = session.output.bind()
    route = await _route(handle)
    parts = pickled(route, args, kwargs)
    for tries_left in range(route.tries - 1, -1, -1):
        try:
            route, answer, items = await _once(route, method, parts, output)
        except GatewayLost as error:
            if not is_repeatable(error, tries_left):
                raise
        else:
            break
    return items if items is not None else answer.value(route.name)


async def _once(
    route: Route, method: str | None, parts: Parts, output: BoundOutput
) -> tuple[Route, answers.Answer, RemoteAsyncIterator[Any] | None]:
    __tracebackhide__ = True
    route, connection, response = await _send(route, method, parts)
    answer = answers.Answer(output)
    chunks, begun = response.iter_body(), Begun()
    try:
        async for chunk in chunks:
            if begun.feed(chunk, answer):
                stream = AsyncStream(route, connection, chunks, answer, begun)
                return route, answer, _rest(stream)
    except BaseException:
        connection.close()
        raise
    if answer.is_without_result:
        return route, answer, _rest(AsyncStream(route, connection, chunks, answer, begun))
    route.gateway.aio.release(connection)
    return route, answer, None


def _rest(stream: AsyncStream) -> RemoteAsyncIterator[Any]:
    """Return the items of a call that has answered with a generator."""

    async def begin() -> AsyncStream:
        return stream

    return RemoteAsyncIterator(begin)


async def _route(handle: Deployable) -> Route:
    """Return the way of a call; the loop goes on while its code is deployed."""
    route = handle.route_now()
    return route if route is not None else await asyncio.to_thread(handle.route)


async def _send(
    route: Route, method: str | None, parts: Parts
) -> tuple[Route, AsyncConnection, AsyncResponse]:
    __tracebackhide__ = True
    gateway = route.gateway
    with route.waiting():
        connection, response = await gateway.aio.open(
            "POST", route.path, route.head(method), parts, timeout_s=route.wait_s
        )
    headers = response.headers
    route.answered(headers)
    if answers.is_framed(response.status, headers):
        return route, connection, response
    try:
        body = await response.read()
    except BaseException:
        connection.close()
        raise
    gateway.aio.release(connection)
    error = answers.problem_of(response.status, headers, body)
    other = route.refused(error)
    if other is None:
        raise answers.with_load_lines(error, route.name)
    return await _send(other, method, parts)
