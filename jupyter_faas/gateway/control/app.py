"""Ties the endpoints of the control API into one Starlette application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from jupyter_faas.gateway.control.about import About
from jupyter_faas.gateway.control.answering import routing_problem
from jupyter_faas.gateway.control.blobs import BlobFiles
from jupyter_faas.gateway.control.functions import Functions
from jupyter_faas.gateway.control.invocations import Invocations
from jupyter_faas.gateway.control.parts import Parts


def make_app(parts: Parts) -> ASGIApp:
    """Return the control API of a gateway; the caller has checked the token."""
    groups = (Functions(parts), BlobFiles(parts), Invocations(parts), About(parts))
    routes = [route for group in groups for route in group.routes()]
    return Starlette(routes=routes, exception_handlers={HTTPException: routing_problem})
