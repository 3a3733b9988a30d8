"""Gives a claimed pod the CPU and memory of its function, in place, while it serves.

Off the path of the first answer. What the node has no room for stays at the pool's size: the
function runs, with less than it asked for, and that is said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from jupyter_faas.core.model import Resources
from jupyter_faas.providers.base import ReplicaEvent, ReplicaPending
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.ledger import Ledger, Want
from jupyter_faas.providers.kubernetes.pod_state import Pod
from jupyter_faas.providers.kubernetes.pods import pod_resources

STRATEGIC_PATCH = "application/strategic-merge-patch+json"
"""Containers are told apart by their names; a merge patch would replace the list."""

AFTER_S = 1.0
"""After a claim: the first calls have been answered."""

TRIES = 60
"""While the API server is away, or somebody else writes the pod; a second apart."""

CODE = "ResizeRefused"

_log = logging.getLogger(__name__)


class Resizer:
    """Resizes the claimed pods of one gateway.

    Args:
        api: Where they are patched.
        ledger: Knows which are still wanted.
        emit: Takes what is to be said of replicas.
    """

    def __init__(self, api: KubeApi, ledger: Ledger, emit: Callable[[ReplicaEvent], None]) -> None:
        self._api = api
        self._ledger = ledger
        self._emit = emit

    async def resize(self, want: Want, pod: Pod) -> None:
        """Ask for a pod's new size in a moment; whether its node has room is seen later."""
        path = path_of("pods", pod.namespace, pod.name, part="resize")
        body = resize_patch(pod.container, want.revision.spec.resources)
        for tries_left in reversed(range(TRIES)):
            await asyncio.sleep(AFTER_S)
            if self._ledger.get(want.id) is None or want.is_ending:
                return
            try:
                await self._api.patch(path, body, STRATEGIC_PATCH)
            except KubeError as error:
                if tries_left and (error.is_passing or error.is_conflict):
                    continue
                if not error.is_missing:
                    self._say(want.id, f"it keeps the size of the warm pool: {error.message}")
            return

    def on_pod(self, before: Pod | None, now: Pod) -> None:
        """A replica's pod has changed: say so if its node has no room for its new size."""
        if now.resize_reason and (before is None or before.resize != now.resize):
            self._say(now.replica, why_not_resized(now))

    def _say(self, replica: str, text: str) -> None:
        _log.info("replica %s: %s", replica, text)
        self._emit(ReplicaPending(replica=replica, reason=text, code=CODE))


def resize_patch(container: str, wanted: Resources) -> Object:
    """Return the strategic patch that gives a container its size."""
    return {"spec": {"containers": [{"name": container, "resources": pod_resources(wanted)}]}}


def why_not_resized(pod: Pod) -> str:
    """Return why a pod has another size than was asked for, in words."""
    said = pod.resize.rstrip(".") or pod.resize_reason
    if pod.resize_reason == "Deferred":
        return f"it has the size of the warm pool until its node has room: {said}"
    return f"it keeps the size of the warm pool: {said}"
