"""Arguments of a call as the bytes that travel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Parts


def pickled(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Parts:
    """Return the payload of a call.

    Raises:
        NotSerializable: An argument cannot be pickled; names the path to it.
    """
    from jupyter_faas.core import codec  # noqa: PLC0415 - cloudpickle, only when something travels

    return codec.dumps_call(args, kwargs)
