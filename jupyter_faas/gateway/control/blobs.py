"""Packages over HTTP: streamed in and out, never held in memory."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.control.answering import json_answer, safe

_TYPE = "application/octet-stream"


class HasBlobs(Protocol):
    """What these endpoints need of a gateway, or of the service that keeps blobs for gateways."""

    @property
    def blobs(self) -> Blobs:
        """Where they are."""


class BlobFiles:
    """Endpoints under `/v1/blobs`.

    Args:
        parts: Parts of the gateway.
    """

    def __init__(self, parts: HasBlobs) -> None:
        self._blobs = parts.blobs

    def routes(self) -> list[Route]:
        """Return the routes."""
        path = "/v1/blobs/{digest}"
        return [
            Route(path, safe(self.put), methods=["PUT"]),
            Route(path, safe(self.get), methods=["GET", "HEAD"]),
        ]

    async def put(self, request: Request) -> Response:
        """Take a blob; its sha256 must be what the path says."""
        digest = request.path_params["digest"]
        is_new = await self._blobs.put(digest, request.stream())
        if is_new:
            await self._blobs.share(digest)
        value = {"digest": digest, "sizeBytes": self._blobs.size_bytes(digest)}
        return json_answer(value, 201 if is_new else 200)

    async def get(self, request: Request) -> Response:
        """Give a blob, or only its size."""
        digest = request.path_params["digest"]
        await self._blobs.has(digest)  # Gets it, if it is not on this disk.
        size_bytes = self._blobs.size_bytes(digest)
        content = await self._blobs.read(digest)
        if size_bytes is None or content is None:
            raise BadRequest(f"No package {digest[:12]}… is stored here.", status=404)
        headers = {"Content-Length": str(size_bytes)}
        if request.method == "HEAD":
            return Response(b"", headers=headers, media_type=_TYPE)
        return StreamingResponse(content, headers=headers, media_type=_TYPE)
