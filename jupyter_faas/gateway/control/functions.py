"""Functions and revisions over HTTP: deploy, look, roll back, divide traffic, scale, delete."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jupyter_faas.core.errors import BadRequest, InvalidSpec
from jupyter_faas.core.model import DeployRequest, wire_name
from jupyter_faas.core.names import check_name
from jupyter_faas.core.traffic import parse_traffic
from jupyter_faas.gateway.control.answering import json_answer, safe
from jupyter_faas.gateway.control.parts import Parts
from jupyter_faas.gateway.control.reading import json_body, namespace_of, number
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.plain import plain

MAX_WAIT_S = 600.0
"""Longest wait for a revision to get ready in one request."""


class ScalingChange(msgspec.Struct, rename=wire_name, forbid_unknown_fields=True):
    """Body of `PATCH …/scaling`: the fields of `Scaling` that are to change."""

    min_containers: int | UnsetType = UNSET
    max_containers: int | UnsetType = UNSET
    buffer_containers: int | UnsetType = UNSET
    scaledown_window_s: float | UnsetType = UNSET
    target_inputs: float | UnsetType | None = UNSET


class RollbackTo(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST …/rollback`; without a number: the previous live revision."""

    to: int | None = None
    revision: int | None = None
    """Another word for `to`."""


class Functions:
    """Endpoints under `/v1/functions`.

    Args:
        parts: Parts of the gateway.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[Route]:
        """Return the routes."""
        one = "/v1/functions/{name}"
        return [
            Route("/v1/functions", safe(self.list), methods=["GET"]),
            Route(one, safe(self.deploy), methods=["PUT"]),
            Route(one, safe(self.show), methods=["GET"]),
            Route(one, safe(self.delete), methods=["DELETE"]),
            Route(f"{one}/revisions", safe(self.revisions), methods=["GET"]),
            Route(f"{one}/revisions/{{number}}", safe(self.revision), methods=["GET"]),
            Route(f"{one}/replicas", safe(self.replicas), methods=["GET"]),
            Route(f"{one}/rollback", safe(self.rollback), methods=["POST"]),
            Route(f"{one}/traffic", safe(self.traffic), methods=["PUT"]),
            Route(f"{one}/scaling", safe(self.scaling), methods=["PATCH"]),
        ]

    async def list(self, request: Request) -> Response:
        """All functions of the namespace."""
        namespace = namespace_of(request, self._parts)
        await self._parts.registry.written()
        entries = self._parts.registry.functions(namespace)
        return json_answer({"functions": [self._parts.views.encoded(entry) for entry in entries]})

    async def deploy(self, request: Request) -> Response:
        """Make uploaded code what answers to the name."""
        name = check_name(request.path_params["name"])
        wish = await json_body(request, DeployRequest)
        self._parts.provider.check(wish.revision)
        await self._check_package(wish)
        answer = await self._parts.registry.deploy(namespace_of(request, self._parts), name, wish)
        return json_answer(answer, 201 if answer.created else 200)

    async def show(self, request: Request) -> Response:
        """One function with its revisions and replicas."""
        await self._parts.registry.written()
        return json_answer(self._parts.views.function_in_full(self._entry(request)))

    async def delete(self, request: Request) -> Response:
        """Remove a function, its revisions and replicas."""
        await self._parts.registry.delete(*self._place(request))
        return json_answer({"deleted": True})

    async def revisions(self, request: Request) -> Response:
        """The revisions of a function, newest first."""
        await self._parts.registry.written()
        return json_answer({"revisions": self._parts.views.revisions(self._entry(request))})

    async def revision(self, request: Request) -> Response:
        """One revision; with `wait_s` once it is ready or failed."""
        entry = self._revision(request)
        await self._parts.registry.settled(entry, number(request, "wait_s", 0, 0, MAX_WAIT_S))
        return json_answer(self._parts.views.revision(entry))

    async def replicas(self, request: Request) -> Response:
        """The replicas of a function."""
        return json_answer({"replicas": self._parts.views.replicas(self._entry(request))})

    async def rollback(self, request: Request) -> Response:
        """Give all traffic to the previous live revision or the named one."""
        wish = await json_body(request, RollbackTo, default=RollbackTo())
        to = wish.revision if wish.to is None else wish.to
        revision = await self._parts.registry.rollback(*self._place(request), to)
        entry = self._entry(request)
        current = entry.revisions.get(revision.number)
        return json_answer(revision if current is None else self._parts.views.revision(current))

    async def traffic(self, request: Request) -> Response:
        """Divide traffic by weights."""
        body = await json_body(request, dict[str, Any])
        weights = body.get("traffic", body)
        if not isinstance(weights, dict):
            raise InvalidSpec("traffic: an object of revision number and weight is expected.")
        await self._parts.registry.set_traffic(*self._place(request), parse_traffic(weights))
        return json_answer(self._parts.views.function(self._entry(request)))

    async def scaling(self, request: Request) -> Response:
        """Change some of the scaling settings."""
        wish = await json_body(request, ScalingChange)
        changes = {
            name: value
            for name in ScalingChange.__struct_fields__
            if (value := getattr(wish, name)) is not UNSET
        }
        scaling = await self._parts.registry.set_scaling(*self._place(request), changes)
        view = self._parts.views.function(self._entry(request))
        return json_answer(view | plain(scaling))

    def _place(self, request: Request) -> tuple[str, str]:
        return namespace_of(request, self._parts), request.path_params["name"]

    def _entry(self, request: Request) -> FunctionEntry:
        return self._parts.registry.get(*self._place(request))

    def _revision(self, request: Request) -> RevisionEntry:
        text = request.path_params["number"]
        if not (text.isascii() and text.isdigit()):
            raise BadRequest(f"{text!r} is no revision number (1, 2, 3 …).")
        return self._parts.registry.get_revision(self._entry(request), int(text))

    async def _check_package(self, wish: DeployRequest) -> None:
        digest, size_bytes = wish.revision.code.digest, wish.revision.code.size_bytes
        if not await self._parts.blobs.has(digest, size_bytes):
            await self._parts.fetch_package(digest)
        if not await self._parts.blobs.has(digest, size_bytes):
            raise BadRequest(
                f"The package {digest[:12]}… is not here: PUT it to /v1/blobs/{{sha256}} first.",
                missing_blob=digest,
            )
        await self._parts.blobs.share(digest)  # Nobody may have named it for long.
