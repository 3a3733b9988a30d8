"""Starting Ray in half its time: without what no map uses, and without sleeping meanwhile.

Ray has no options for that. What is here reaches into what Ray keeps to itself: where another
version has none of it, Ray starts as it likes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

_UNUSED = ("start_api_server", "start_monitor", "start_log_monitor")
"""Methods that start what serves Ray's dashboard, its autoscaler and its drivers' terminals."""
_LOOK_S = 0.02
"""How often to ask whether the first node is there; Ray itself asks once a second."""
_REGISTERED_S = 20.0


@contextmanager
def lightly(ray: Any) -> Iterator[None]:
    """Have `ray.init` start three processes less, and go on as soon as its node is there.

    Args:
        ray: The module.
    """
    try:
        inside = ray._private
        node, services = inside.node.Node, inside.services
        theirs = {name: getattr(node, name) for name in _UNUSED}
        get_node = services.get_node
    except AttributeError:
        yield
        return
    for name in _UNUSED:
        setattr(node, name, _start_nothing)
    services.get_node = partial(_get_node_soon, inside, get_node)
    try:
        yield
    finally:
        services.get_node = get_node
        for name, method in theirs.items():
            setattr(node, name, method)


def _start_nothing(_node: Any, **_options: Any) -> None:
    """Be in the place of a method that starts a process."""


def _get_node_soon(inside: Any, get_node: Any, gcs_address: str, node_id: str) -> Any:
    """Return what `get_node` does, as soon as there is something."""
    state = inside.state.GlobalState()
    state._initialize_global_state(inside.services._get_gcs_client_options(gcs_address))
    give_up_s = time.monotonic() + _REGISTERED_S
    while time.monotonic() < give_up_s:
        if any(one["NodeID"] == node_id for one in state.node_table()):
            break
        time.sleep(_LOOK_S)
    return get_node(gcs_address, node_id)
