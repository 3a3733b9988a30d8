"""The gateway itself over HTTP: state, events, what its runners have, what the API is."""

from __future__ import annotations

import sys
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.control.answering import json_answer, safe
from jupyter_faas.gateway.control.openapi import document
from jupyter_faas.gateway.control.parts import Parts
from jupyter_faas.gateway.control.reading import flag, namespace_of, number
from jupyter_faas.gateway.event_stream import Batches, Wish, parse_since, stream
from jupyter_faas.gateway.snapshot import Moment, snapshot


class About:
    """Endpoints about the gateway as a whole.

    Args:
        parts: Parts of the gateway.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._batches = Batches(parts.events)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v1/state", safe(self.state), methods=["GET"]),
            Route("/v1/events", safe(self.events), methods=["GET"]),
            Route("/v1/inventory", safe(self.inventory), methods=["GET"]),
            Route("/openapi.json", safe(self.openapi), methods=["GET"]),
        ]

    async def state(self, request: Request) -> Response:
        """Everything now, with the number from which `/v1/events` goes on."""
        namespace = namespace_of(request, self._parts)
        await self._parts.registry.written()
        await self._parts.map_news.look()
        return json_answer(self._snapshot(namespace))

    async def events(self, request: Request) -> Response:
        """What happens from a number on, as Server-Sent Events."""
        namespace = namespace_of(request, self._parts)
        log = self._parts.events
        wish = Wish(
            seq=self._since(request),
            namespace=namespace,
            functions=frozenset(filter(None, request.query_params.get("functions", "").split(","))),
            max_hz=number(request, "max_hz", 10.0, 0.1, 100.0),
            with_calls=flag(request, "calls"),
        )
        log.since(wish.seq)  # Raises now, while the answer can still be 410.
        chunks = stream(self._batches, wish, lambda: self._snapshot(namespace))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(chunks, headers=headers, media_type="text/event-stream")

    async def inventory(self, request: Request) -> Response:
        """What runners of a Python (and, locally, of an interpreter) can import."""
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        python = request.query_params.get("python") or own
        interpreter = request.query_params.get("interpreter") or None
        return json_answer(await self._parts.provider.inventory(python, interpreter))

    async def openapi(self, _request: Request) -> Response:
        """The OpenAPI document."""
        return json_answer(document())

    def _since(self, request: Request) -> int:
        text = request.headers.get("last-event-id") or request.query_params.get("since")
        if text is None:
            return self._parts.events.seq
        try:
            epoch, seq = parse_since(text)
        except ValueError:
            raise BadRequest(
                f"since={text!r}: the `seq` of /v1/state is expected, or `epoch.seq`."
            ) from None
        self._parts.events.check_epoch(epoch or request.query_params.get("epoch", ""))
        return seq

    def _snapshot(self, namespace: str) -> dict[str, Any]:
        parts = self._parts
        moment = Moment(
            provider=parts.provider.name,
            url=parts.url,
            namespace=namespace,
            started_at=parts.started_at,
            epoch=parts.events.epoch,
            seq=parts.events.seq,
            public_url=parts.settings.url,
        )
        told = snapshot(moment, list(parts.registry.functions(namespace)), parts.views)
        return {**told, "maps": parts.map_news.shown(namespace)}
