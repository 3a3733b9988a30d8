"""What a request to the control API does, in the words of RBAC: one table, route → verb.

The door asks its authority for this act before anything of the request is looked at. A path is
judged as the control API will read it: decoded, and with the last `namespace` of the query. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

from jupyter_faas.core.errors import BadRequest

INVOKE = "invoke"


class Act(NamedTuple):
    """Something that may be allowed or not.

    `verb` on functions of `namespace`, or on their part `invoke` (calls); with a `path` instead on
    that path of the gateway. An empty verb needs a good token and no permission.
    """

    verb: str
    namespace: str = ""
    part: str = ""
    path: str = ""
    is_of_others: bool = False
    """It reaches into calls that others may have made: a function's own token is not enough."""

    @property
    def is_call(self) -> bool:
        """Whether it is calling a function."""
        return self.part == INVOKE and not self.is_of_others


NOTHING = Act("")
"""What anybody with a good token may do: ask what the API is, or for what does not exist."""

_DEPLOY, _CANCEL = "deploy", "cancel"
"""What is no verb of RBAC by itself; the second: to call, but not with a function's token."""
_NAME = "[^/]+"
_FUNCTION = f"/v1/functions/{_NAME}"
_INVOCATION = f"/v1/invocations/{_NAME}"
_TABLE: tuple[tuple[str, str, str], ...] = (
    ("GET", "/v1/functions", "list"),
    ("PUT", _FUNCTION, _DEPLOY),
    ("GET", _FUNCTION, "get"),
    ("DELETE", _FUNCTION, "delete"),
    ("GET", f"{_FUNCTION}/(revisions|replicas|logs|invocations)", "get"),
    ("GET", f"{_FUNCTION}/revisions/{_NAME}", "get"),
    ("POST", f"{_FUNCTION}/rollback", "update"),
    ("PUT", f"{_FUNCTION}/traffic", "update"),
    ("PATCH", f"{_FUNCTION}/scaling", "update"),
    ("PUT", f"/v1/blobs/{_NAME}", "create"),
    ("GET", f"/v1/blobs/{_NAME}", "get"),
    ("GET", _INVOCATION, "get"),
    ("GET", f"{_INVOCATION}/(logs|result)", "get"),
    ("DELETE", _INVOCATION, _CANCEL),
    ("GET", "/v1/state", "list"),
    ("GET", "/v1/events", "list"),
    ("GET", "/v1/inventory", "get"),
    ("POST", "/v1/maps", INVOKE),
    ("*", "/v1/maps(/.*)?", _CANCEL),  # those that are there may be others'
    ("*", f"/async-function/{_NAME}(/{_NAME})?", INVOKE),
)
_RULES = tuple((method, re.compile(path, re.DOTALL), word) for method, path, word in _TABLE)
_PREFIX = len("/v1/functions/")


@lru_cache(maxsize=1024)
def call_of(namespace: str) -> Act:
    """Return the act of calling a function of a namespace."""
    return Act("create", namespace, INVOKE)


def act_of(
    method: bytes, target: tuple[bytes, bytes], own: str, exists: Callable[[str, str], bool]
) -> Act | None:
    """Return what a request does; None: nothing, there is no such path or method.

    Args:
        method: Upper case.
        target: Path and query, as they were sent.
        own: Namespace of requests that name none.
        exists: Whether a namespace has a function of this name: then deploying updates it.

    Raises:
        BadRequest: It names more than one namespace.
    """
    path = unquote_to_bytes(target[0]).decode("utf-8", "replace")
    verb = method.decode("ascii").replace("HEAD", "GET")
    if path == "/metrics" and verb == "GET":
        return Act("get", path=path)
    if path == "/openapi.json" and verb == "GET":
        return NOTHING
    word = next((w for m, rule, w in _RULES if m in (verb, "*") and rule.fullmatch(path)), None)
    if word is None:
        return None
    namespace = _namespace(target[1]) or own
    if path.startswith("/async-function/"):
        namespace = _of_call(path, namespace)
    if word == INVOKE:
        return call_of(namespace)
    if word == _CANCEL:
        return call_of(namespace)._replace(is_of_others=True)
    if word == _DEPLOY:
        word = "update" if exists(namespace, path[_PREFIX:]) else "create"
    return Act(word, namespace)


def _namespace(query: bytes) -> str:
    """Return the namespace that a query names, as the control API will read it."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    named = [value for name, value in pairs if name == "namespace"]
    if len(named) > 1:
        raise BadRequest("The query names `namespace` more than once.")
    return named[0] if named else ""


def _of_call(path: str, own: str) -> str:
    parts = path.split("/")[2:]
    return parts[0] if len(parts) == 2 else own
