"""Gives claimed pods the CPU and memory of their functions, in place, while they serve.

Off the path of the first answer. A pod whose node has no room for `PATIENCE_S`, or that may not be
resized at all, is told to be a misfit: the gateway has a created pod take its place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from jupyter_faas.core.model import Resources
from jupyter_faas.providers.base import ReplicaEvent, ReplicaMisfit
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.pod_state import Pod, PodStage
from jupyter_faas.providers.kubernetes.pods import pod_resources

STRATEGIC_PATCH = "application/strategic-merge-patch+json"
"""Containers are told apart by their names; a merge patch would replace the list."""

AFTER_S = 1.0
"""After a claim: the first calls have been answered."""

TRIES = 60
"""While the API server is away, or somebody else writes the pod; a second apart."""

PATIENCE_S = 2.0
"""For a node that has no room just now."""

_log = logging.getLogger(__name__)


class Resizer:
    """Resizes claimed pods of one gateway, and sees what became of it.

    Args:
        api: Where they are patched.
        find: Returns the pod of a replica.
        emit: Takes what is to be said of replicas.
    """

    def __init__(
        self,
        api: KubeApi,
        find: Callable[[str], Pod | None],
        emit: Callable[[ReplicaEvent], None],
    ) -> None:
        self._api = api
        self._find = find
        self._emit = emit
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._misfits: set[str] = set()

    async def resize(self, pod: Pod, wanted: Resources) -> None:
        """Ask for a pod's size in a moment; whether its node has room is seen later."""
        path = path_of("pods", pod.namespace, pod.name, part="resize")
        body = resize_patch(pod.container, wanted)
        for tries_left in reversed(range(TRIES)):
            await asyncio.sleep(AFTER_S)
            if not self._serves(pod):
                return
            try:
                await self._api.patch(path, body, STRATEGIC_PATCH)
            except KubeError as error:
                if tries_left and (error.is_passing or error.is_conflict):
                    continue
                if not error.is_missing:
                    self._say(pod.replica, f"it keeps the size of the warm pool: {error.message}")
            return

    def on_pod(self, pod: Pod) -> None:
        """A replica's pod was seen: has its node room for its size, for a while not, or never?"""
        if not pod.resize_reason or pod.stage is not PodStage.RUNNING:
            self._forget(pod.replica)
            if pod.replica in self._misfits and pod.stage is PodStage.RUNNING:
                self._misfits.discard(pod.replica)
                self._emit(ReplicaMisfit(replica=pod.replica, reason=""))
        elif pod.replica not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[pod.replica] = loop.call_later(PATIENCE_S, self._late, pod.replica)

    def look_again(self, pod: Pod) -> None:
        """Say once more if a pod is a misfit: whoever cares for it now has not heard it."""
        self._forget(pod.replica)
        self.on_pod(pod)

    def on_gone(self, pod: Pod) -> None:
        """A replica's pod is not there any more."""
        self._forget(pod.replica)
        self._misfits.discard(pod.replica)

    def close(self) -> None:
        """Wait for nothing any more."""
        for timer in self._timers.values():
            timer.cancel()

    def _late(self, replica: str) -> None:
        pod = self._find(replica)
        if pod is not None and pod.resize_reason:
            self._misfits.add(replica)
            self._say(replica, why_not_resized(pod))

    def _serves(self, pod: Pod) -> bool:
        """Return whether a pod is still the replica's, and runs."""
        now = self._find(pod.replica)
        return now is not None and now.uid == pod.uid and now.stage is PodStage.RUNNING

    def _forget(self, replica: str) -> None:
        timer = self._timers.pop(replica, None)
        if timer is not None:
            timer.cancel()

    def _say(self, replica: str, text: str) -> None:
        _log.info("replica %s: %s", replica, text)
        self._emit(ReplicaMisfit(replica=replica, reason=text))


def resize_patch(container: str, wanted: Resources) -> Object:
    """Return the strategic patch that gives a container its size."""
    return {"spec": {"containers": [{"name": container, "resources": pod_resources(wanted)}]}}


def why_not_resized(pod: Pod) -> str:
    """Return why a pod has another size than was asked for, in words."""
    said = pod.resize.rstrip(".") or pod.resize_reason
    if pod.resize_reason == "Deferred":
        return f"it has the size of the warm pool until its node has room: {said}"
    return f"it keeps the size of the warm pool: {said}"
