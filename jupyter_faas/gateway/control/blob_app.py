"""The endpoints of the blobs service: those of the control API, and the gateways' clean-up."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jupyter_faas.gateway.control.answering import json_answer, routing_problem, safe
from jupyter_faas.gateway.control.blobs import BlobFiles, HasBlobs
from jupyter_faas.gateway.control.reading import json_body
from jupyter_faas.wire.asgi import App


class Referenced(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /v1/blobs/collect`."""

    referenced: list[str]


def blob_app(parts: HasBlobs, wall_clock: Callable[[], float]) -> App:
    """Return the application; the caller has checked the key."""

    async def collect(request: Request) -> Response:
        wish = await json_body(request, Referenced)
        return json_answer({"removed": await parts.blobs.collect(wish.referenced, wall_clock())})

    own = Route("/v1/blobs/collect", safe(collect), methods=["POST"])
    routes = [own, *BlobFiles(parts).routes()]
    return Starlette(routes=routes, exception_handlers={HTTPException: routing_problem})
