"""Single invocations and logs over HTTP: what became of a call, what it printed, cancel it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jupyter_faas.core.errors import (
    InvocationCancelled,
    InvocationNotFound,
    NotImplementedYet,
)
from jupyter_faas.core.model import InvocationRecord, Outcome
from jupyter_faas.gateway.control.answering import json_answer, lines_answer, safe
from jupyter_faas.gateway.control.parts import Parts
from jupyter_faas.gateway.control.reading import flag, namespace_of, number
from jupyter_faas.gateway.invocation import Invocation
from jupyter_faas.gateway.kept.calls import KeptCalls
from jupyter_faas.gateway.logs import STREAMS, Piece, tail
from jupyter_faas.gateway.plain import plain
from jupyter_faas.gateway.store.kept_base import KeptCall

DEFAULT_TAIL = 100
_LONGEST_WAIT_S = 60.0
_MOST_LINES = 1e6


class Invocations:
    """Endpoints under `/v1/invocations`, and the logs of functions.

    Args:
        parts: Parts of the gateway.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[Route]:
        """Return the routes."""
        one = "/v1/invocations/{id}"
        return [
            Route(one, safe(self.show), methods=["GET"]),
            Route(one, safe(self.cancel), methods=["DELETE"]),
            Route(f"{one}/result", safe(self.result), methods=["GET"]),
            Route(f"{one}/logs", safe(self.logs), methods=["GET"]),
            Route("/v1/functions/{name}/logs", safe(self.function_logs), methods=["GET"]),
            Route("/v1/functions/{name}/invocations", safe(self.recent), methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """What is known of an invocation: running now, kept, or its record."""
        id = request.path_params["id"]
        kept = await self._kept(request, id)
        if kept is not None:
            return json_answer({**_of_kept(kept), "outcome": await self._outcome(kept)})
        running = self._running(request, id)
        if running is not None:
            return json_answer(_of_running(running))
        return json_answer({**plain(await self._record(request, id)), "state": "ended"})

    async def cancel(self, request: Request) -> Response:
        """Cancel an invocation that waits or runs."""
        id = request.path_params["id"]
        kept = await self._kept(request, id)
        if kept is not None:
            return json_answer({"cancelled": await kept.calls.cancel(id)}, 202)
        if self._running(request, id) is not None and self._parts.calls.cancel(id):
            return json_answer({"cancelled": True}, 202)
        record = await self._record(request, id)
        return json_answer({"cancelled": False, "outcome": record.outcome})

    async def result(self, request: Request) -> Response:
        """The answer of a kept call, waiting `wait_s` for it; 202: it has not ended."""
        id = request.path_params["id"]
        kept = await self._kept(request, id)
        if kept is not None:
            wait_s = number(request, "wait_s", 0.0, 0.0, _LONGEST_WAIT_S)
            answer = await kept.calls.answer(id, wait_s)
            if answer is None:
                return json_answer({"id": id, "state": "running"}, 202)
            headers = {name.decode(): value.decode("latin-1") for name, value in answer.headers}
            return Response(answer.body, answer.status, headers)
        if self._running(request, id) is None:
            await self._record(request, id)
        raise NotImplementedYet(
            "The answer of an ordinary call goes to its caller and is not kept.", invocation_id=id
        )

    async def recent(self, request: Request) -> Response:
        """The newest ended invocations of a function."""
        entry = self._parts.registry.get(
            namespace_of(request, self._parts), request.path_params["name"]
        )
        self._parts.metering.flush()
        limit = int(number(request, "limit", DEFAULT_TAIL, 1, 1000))
        records = await self._parts.store.invocations(entry.namespace, entry.name, limit)
        return json_answer({"invocations": plain(records)})

    async def logs(self, request: Request) -> Response:
        """What one invocation printed; with `follow` until it has ended."""
        id = request.path_params["id"]
        running = self._running(request, id)
        kept = await self._kept(request, id)
        if kept is not None:
            place = (kept.call.namespace, kept.call.function)
            return self._lines(request, *place, id, lambda: not kept.calls.is_open(id))
        if running is not None:
            function = running.pool.entry.function
            place = (function.namespace, function.name)
        else:
            record = await self._record(request, id)
            place = (record.namespace, record.function)
        return self._lines(request, *place, id, lambda: self._parts.calls.find(id) is None)

    async def function_logs(self, request: Request) -> Response:
        """What a function printed; with `follow` until it is deleted, or another gateway's."""
        entry = self._parts.registry.get(
            namespace_of(request, self._parts), request.path_params["name"]
        )
        invocation = request.query_params.get("invocation", "")
        return self._lines(
            request,
            entry.namespace,
            entry.name,
            invocation,
            lambda: entry.is_deleted or not self._parts.owns(entry),
        )

    def _lines(
        self,
        request: Request,
        namespace: str,
        name: str,
        invocation: str,
        is_over: Callable[[], bool],
    ) -> Response:
        lines = int(number(request, "tail", DEFAULT_TAIL, 0, _MOST_LINES))
        logs = self._parts.logs
        reached = logs.seq
        pieces = tail(logs.read(namespace, name, invocation=invocation), lines)

        async def written() -> AsyncIterator[bytes]:
            yield _encoded(pieces)
            if flag(request, "follow"):
                newer = logs.follow(
                    namespace, name, after=reached, invocation=invocation, is_over=is_over
                )
                async for batch in newer:
                    yield _encoded(batch)

        return lines_answer(written())

    def _is_shown(self, request: Request, namespace: str) -> bool:
        """Whether an invocation there may be shown: its id alone does not say where it belongs."""
        is_free = not self._parts.authority.is_namespaced
        return is_free or namespace_of(request, self._parts) == namespace

    def _running(self, request: Request, id: str) -> Invocation | None:
        running = self._parts.calls.find(id)
        if running is None or not self._is_shown(request, running.pool.entry.function.namespace):
            return None
        return running

    async def _outcome(self, kept: _Kept) -> str:
        """Return how a kept call has ended; empty: not yet."""
        if kept.state != "ended":
            return ""
        self._parts.metering.flush()
        record = await self._parts.store.invocation(kept.call.id)
        if record is not None:
            return record.outcome.value
        answer = await kept.calls.answer(kept.call.id, 0.0)
        is_cancelled = answer is not None and answer.status == InvocationCancelled.http_status
        return (Outcome.CANCELLED if is_cancelled else Outcome.DEAD).value

    async def _kept(self, request: Request, id: str) -> _Kept | None:
        calls = self._parts.kept
        found = None if calls is None else await calls.find(id)
        if calls is None or found is None or not self._is_shown(request, found[0].namespace):
            return None
        return _Kept(calls, *found)

    async def _record(self, request: Request, id: str) -> InvocationRecord:
        self._parts.metering.flush()
        record = await self._parts.store.invocation(id)
        if record is None or not self._is_shown(request, record.namespace):
            raise InvocationNotFound(f"No invocation {id} is known here (any more).")
        return record


def _of_running(invocation: Invocation) -> dict[str, Any]:
    entry = invocation.pool.entry
    replica = invocation.replica
    return {
        "id": invocation.id.decode("ascii"),
        "state": "running" if replica is not None else "queued",
        "function": entry.function.name,
        "namespace": entry.function.namespace,
        "revision": entry.number,
        "replica": "" if replica is None else replica.id,
        "depth": invocation.depth,
    }


class _Kept(NamedTuple):
    """A kept call that may be shown."""

    calls: KeptCalls
    call: KeptCall
    state: str


def _of_kept(kept: _Kept) -> dict[str, Any]:
    call = kept.call
    return {
        "id": call.id,
        "state": kept.state,
        "function": call.function,
        "namespace": call.namespace,
        "acceptedAt": call.accepted_at,
        "result": f"/v1/invocations/{call.id}/result",
    }


def _encoded(pieces: Iterable[Piece]) -> bytes:
    return b"".join(msgspec.json.encode(_line(piece)) + b"\n" for piece in pieces)


def _line(piece: Piece) -> dict[str, Any]:
    return {
        "seq": piece.seq,
        "at": piece.at,
        "revision": piece.revision,
        "replica": piece.replica,
        "invocation": piece.invocation,
        "stream": STREAMS[piece.stream],
        "text": piece.text.decode("utf-8", "replace"),
    }
