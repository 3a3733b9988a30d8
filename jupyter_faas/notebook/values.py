"""Tells pages which deployed functions run older values than the notebook has by now.

After each cell the handles of the notebook are asked. What they say is a message of a comm that
nobody has opened: our extension reads it on the kernel's channel, every other front end drops it,
and nothing is written into the notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jupyter_faas.client.deployable import Deployable, changed_names

COMM_ID = "jupyter-faas-values"
"""`labextension/src/marks/values.ts` knows it too."""

Tell = Callable[[str, dict[str, Any]], None]
"""Publishes a message of this kind and content under the cell that runs."""


class OlderValues:
    """Looks when a cell ends.

    Args:
        names: Of the notebook, with their values.
        tell: Tells pages.
    """

    def __init__(self, names: Callable[[], Mapping[str, Any]], tell: Tell) -> None:
        self._names = names
        self._tell = tell
        self._told: dict[str, list[str]] = {}

    def after(self, _result: object = None) -> None:
        """A cell ends: tell what is older; said again with each cell, a page may have come new."""
        handles = [one for one in list(self._names().values()) if isinstance(one, Deployable)]
        older = {one.name: changed for one in handles if (changed := changed_names(one))}
        if older or self._told:
            self._tell("comm_msg", {"comm_id": COMM_ID, "data": {"older": older}})
        self._told = older
