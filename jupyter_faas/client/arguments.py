"""Arguments of a call as the bytes that travel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Parts
    from jupyter_faas.client.route import Route


def pickled(route: Route, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Parts:
    """Return the payload of a call by a route.

    Raises:
        NotSerializable: An argument cannot be pickled; names the path to it.
    """
    __tracebackhide__ = True
    from jupyter_faas.core import codec  # noqa: PLC0415 - cloudpickle, only when something travels

    try:
        return codec.dumps_call(args, kwargs)
    except BaseException:
        route.left()
        raise
