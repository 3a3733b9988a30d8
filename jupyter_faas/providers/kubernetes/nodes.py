"""The nodes of a cluster and what is free on them: asked when something does not fit, then kept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.pod_state import pod_requests
from jupyter_faas.providers.kubernetes.quantity import number_of
from jupyter_faas.providers.kubernetes.trouble import Node

_log = logging.getLogger(__name__)

FRESH_S = 3.0
"""Age up to which an answer is as good as a new one."""
SOON_S = 0.5
KNOWN_S = 60.0
"""Age up to which sizes are believed: nodes come and go slowly."""


def read_nodes(nodes: Iterable[Object], pods: Iterable[Object] | None) -> list[Node]:
    """Return nodes that may take pods, with what is free on them.

    Args:
        nodes: As JSON.
        pods: Those of the whole cluster that have not ended; None: they may not be seen.
    """
    used: dict[str, dict[str, float]] = {}
    for pod in pods or ():
        on_node = used.setdefault(pod["spec"].get("nodeName") or "", {})
        for resource, asked in pod_requests(pod["spec"]).items():
            on_node[resource] = on_node.get(resource, 0.0) + asked
    found = []
    for node in nodes:
        if node["spec"].get("unschedulable"):
            continue
        meta = node["metadata"]
        allocatable = node["status"].get("allocatable") or {}
        size = {resource: number_of(quantity) for resource, quantity in allocatable.items()}
        taken = used.get(meta["name"], {})
        free = {resource: amount - taken.get(resource, 0.0) for resource, amount in size.items()}
        found.append(
            Node(meta["name"], meta.get("labels") or {}, size, free if pods is not None else None)
        )
    return found


def largest(nodes: Iterable[Node]) -> dict[str, float]:
    """Return the most that one node has of each resource."""
    found: dict[str, float] = {}
    for node in nodes:
        for resource, amount in node.size.items():
            found[resource] = max(amount, found.get(resource, 0.0))
    return found


class Nodes:
    """What was last heard of the nodes.

    Args:
        api: Where to ask.
        clock: Monotonic seconds.
    """

    def __init__(self, api: KubeApi, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._nodes: list[Node] = []
        self._asked_s = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self._is_due = False

    @property
    def largest(self) -> Mapping[str, float]:
        """The most that one node has of each resource; empty: not known."""
        return largest(self._nodes)

    @property
    def is_old(self) -> bool:
        """Whether sizes should be asked for again."""
        return self._clock() - self._asked_s > KNOWN_S

    @property
    def is_asked(self) -> bool:
        """Whether they have been asked for, with or without success."""
        return self._asked_s > float("-inf")

    @property
    def last(self) -> list[Node]:
        """The nodes as they were last seen."""
        return self._nodes

    async def fresh(self) -> list[Node]:
        """Return the nodes as they are now; empty if they may not be seen."""
        if self._clock() - self._asked_s > FRESH_S:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.get_running_loop().create_task(self._ask())
            await asyncio.shield(self._asking)
        return self._nodes

    async def fresh_soon(self) -> None:
        """Ask again in a moment: what has just been asked for comes first."""
        if not self._is_due:
            self._is_due = True
            try:
                await asyncio.sleep(SOON_S)
                await self.fresh()
            finally:
                self._is_due = False

    async def _ask(self) -> None:
        try:
            nodes = (await self._api.get(path_of("nodes")))["items"]
        except KubeError as error:
            _log.info("nodes cannot be seen: %s", error)
            self._asked_s = self._clock()
            return
        pods: list[Object] | None = None
        try:
            living = "status.phase!=Succeeded,status.phase!=Failed"
            pods = (await self._api.get(path_of("pods"), fieldSelector=living))["items"]
        except KubeError as error:
            _log.debug("pods of the whole cluster cannot be seen: %s", error)
        self._nodes = read_nodes(nodes, pods)
        self._asked_s = self._clock()
