"""One call, made from a thread that waits: send, read the answer as it comes, return or raise.

Interrupting the wait closes the connection, which cancels the call at the gateway. A call that
was sent is never sent again, unless its function is idempotent and the gateway went away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_faas.client import answers
from jupyter_faas.client.arguments import pickled
from jupyter_faas.client.iterators import Begun, RemoteIterator
from jupyter_faas.client.route import is_repeatable
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import GatewayLost

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Parts
    from jupyter_faas.client.output import BoundOutput
    from jupyter_faas.client.route import Route
    from jupyter_faas.wire.blocking import BlockingConnection, Response


def call(route: Route, method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a function and return its result; an iterator if that is a generator.

    Raises:
        NotSerializable: An argument cannot be pickled; nothing was sent.
        FaasError: The platform's reason why there is no result.
        Exception: What the function raised.
    """
    __tracebackhide__ = True
    output = session.output.bind()
    parts = pickled(route, args, kwargs)
    for tries_left in range(route.tries - 1, -1, -1):
        try:
            route, answer, items = _once(route, method, parts, output)
        except GatewayLost as error:
            if not is_repeatable(error, tries_left):
                raise
        else:
            break
    return items if items is not None else answer.value(route.name)


def _once(
    route: Route, method: str | None, parts: Parts, output: BoundOutput
) -> tuple[Route, answers.Answer, RemoteIterator[Any] | None]:
    """Send a call and read its answer; returns early, with an iterator, if that has items."""
    __tracebackhide__ = True
    route, connection, response = _send(route, method, parts)
    answer = answers.Answer(output)
    chunks, begun = response.iter_body(), Begun()
    try:
        for chunk in chunks:
            if begun.feed(chunk, answer):
                return route, answer, RemoteIterator(route, connection, chunks, answer, begun)
    except BaseException:
        connection.close()
        raise
    if answer.is_without_result:
        return route, answer, RemoteIterator(route, connection, chunks, answer, begun)
    route.gateway.release(connection)
    return route, answer, None


def stream(
    route: Route, method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> RemoteIterator[Any]:
    """Call a generator function and return an iterator over what it yields, while it runs.

    Raises:
        NotSerializable: An argument cannot be pickled; nothing was sent.
        FaasError: The platform's reason why it does not run.
    """
    __tracebackhide__ = True
    output = session.output.bind()
    parts = pickled(route, args, kwargs)
    route, connection, response = _send(route, method, parts)
    return RemoteIterator(route, connection, response.iter_body(), answers.Answer(output))


def _send(
    route: Route, method: str | None, parts: Parts
) -> tuple[Route, BlockingConnection, Response]:
    """Send a call; returns when a framed answer begins, with the route it came by."""
    __tracebackhide__ = True
    gateway = route.gateway
    with route.waiting():
        connection, response = gateway.open(
            "POST", route.path, route.head(method), parts, timeout_s=route.wait_s
        )
    headers = response.headers
    route.answered(headers)
    if answers.is_framed(response.status, headers):
        return route, connection, response
    try:
        body = response.read()
    except BaseException:
        connection.close()
        raise
    gateway.release(connection)
    error = answers.problem_of(response.status, headers, body)
    other = route.refused(error)
    if other is None:
        raise answers.with_load_lines(error, route.name)
    return _send(other, method, parts)
