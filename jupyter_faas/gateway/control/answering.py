"""Answers of the control API: JSON with every field written out, problems, JSON lines."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from jupyter_faas.core.errors import BadRequest, FaasError, InternalError
from jupyter_faas.gateway.plain import plain
from jupyter_faas.wire.problems import problem_answer

Endpoint = Callable[[Request], Awaitable[Response]]

_log = logging.getLogger(__name__)


def json_answer(value: Any, status: int = 200) -> Response:
    """Return a JSON answer; model values have their wire names and every field.

    A dict is taken as plain already (views are): a second copy of a thousand functions costs.
    """
    shown = value if isinstance(value, dict) else plain(value)
    return Response(msgspec.json.encode(shown), status, media_type="application/json")


def lines_answer(lines: AsyncIterator[bytes]) -> Response:
    """Return JSON lines as they come."""
    return StreamingResponse(lines, media_type="application/jsonl")


def problem(error: FaasError) -> Response:
    """Return an error as a problem document."""
    status, headers, body = problem_answer(error)
    plain_headers = {name.decode(): value.decode() for name, value in headers}
    return Response(body, status, plain_headers)


def safe(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose errors are answers: no stack trace ever reaches a caller."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except FaasError as error:
            return problem(error)
        except ClientDisconnect:
            return problem(BadRequest("The request ended in the middle of its body."))
        except Exception:
            _log.exception("%s %s failed", request.method, request.url.path)
            return problem(InternalError("The gateway has a defect; its log has the details."))

    return answer


async def routing_problem(_request: Request, error: Exception) -> Response:
    """Answer what no route takes: an unknown path, or a method a path does not have."""
    assert isinstance(error, HTTPException)
    what = {
        404: "There is no such path here; /openapi.json lists those there are.",
        405: "This path does not take this method; /openapi.json lists those it takes.",
    }
    detail = what.get(error.status_code, str(error.detail))
    answer = problem(BadRequest(detail, status=error.status_code))
    answer.headers.update(error.headers or {})
    return answer
