"""What every route of this extension does first: who is it, may they, is it from our own page."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import ensure_async
from tornado import web

from jupyter_faas.core.errors import (
    BadRequest,
    FaasError,
    Forbidden,
    InternalError,
    PayloadTooLarge,
    status_of,
    to_problem,
)
from jupyter_faas.server.hub import Hub

RESOURCE = "jupyter_faas"
"""What Jupyter's authorizer is asked about; the action is read, write or execute."""

_CLASSES: dict[int, type[FaasError]] = {403: Forbidden, 413: PayloadTooLarge, 500: InternalError}


async def check(handler: JupyterHandler, action: str) -> None:
    """Let only those go on who are known and may do this.

    Raises:
        HTTPError: 403.
    """
    user = handler.current_user
    if user is None:
        raise web.HTTPError(403, "Log in to Jupyter first.")
    may = await ensure_async(handler.authorizer.is_authorized(handler, user, action, RESOURCE))
    if not may:
        raise web.HTTPError(403, f"You may not {action} {RESOURCE} on this Jupyter server.")


def hub_of(handler: JupyterHandler) -> Hub:
    """Return what serves all pages."""
    hub = handler.settings[RESOURCE]
    assert isinstance(hub, Hub)
    return hub


class Route(APIHandler):
    """A route: authenticated, authorized, with XSRF and origin checked; errors are problems."""

    auth_resource = RESOURCE
    _track_activity = False  # a page that only watches does not keep a server from being culled

    @property
    def action(self) -> str:
        """What is asked of the authorizer."""
        return "read" if self.request.method in ("GET", "HEAD") else "write"

    async def prepare(self) -> None:  # type: ignore[override]  # as Jupyter's own do
        """Refuse who may not, before anything of the request is looked at."""
        await super().prepare()
        if not self._finished:
            await check(self, self.action)

    def answer(self, value: Any) -> None:
        """Answer JSON."""
        self.set_header("Cache-Control", "no-store")
        self.finish(msgspec.json.encode(value))

    def refuse(self, error: FaasError) -> None:
        """Answer a problem document."""
        self.set_status(status_of(error))
        self.set_header("Faas-Fault", error.fault)
        content = json.dumps(to_problem(error), default=str)
        self.finish(content, set_content_type="application/problem+json")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Leave out what the answer says whole."""
        if not isinstance(value, FaasError):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer what Jupyter refuses, and our own defects, as problems too."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, FaasError):
            self.refuse(error)
            return
        detail = "The server extension has a defect; Jupyter's log has the details."
        if isinstance(error, web.HTTPError):
            detail = error.log_message % error.args if error.log_message else error.reason or ""
        kind = _CLASSES.get(status_code, BadRequest)
        self.refuse(kind(detail or f"HTTP {status_code}.", status=status_code))

    @property
    def content_security_policy(self) -> str:
        """Whatever a function answers is data: no page of this origin is made of it."""
        return f"{super().content_security_policy}; sandbox"
