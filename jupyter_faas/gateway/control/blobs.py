"""Packages over HTTP: streamed in and out, never held in memory."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.control.answering import json_answer, safe
from jupyter_faas.gateway.control.parts import Parts

_TYPE = "application/octet-stream"


class BlobFiles:
    """Endpoints under `/v1/blobs`.

    Args:
        parts: Parts of the gateway.
    """

    def __init__(self, parts: Parts) -> None:
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
        value = {"digest": digest, "sizeBytes": self._blobs.size_bytes(digest)}
        return json_answer(value, 201 if is_new else 200)

    async def get(self, request: Request) -> Response:
        """Give a blob, or only its size."""
        digest = request.path_params["digest"]
        size_bytes = self._blobs.size_bytes(digest)
        content = await self._blobs.read(digest)
        if size_bytes is None or content is None:
            raise BadRequest(f"No package {digest[:12]}… is stored here.", status=404)
        headers = {"Content-Length": str(size_bytes)}
        if request.method == "HEAD":
            return Response(b"", headers=headers, media_type=_TYPE)
        return StreamingResponse(content, headers=headers, media_type=_TYPE)
