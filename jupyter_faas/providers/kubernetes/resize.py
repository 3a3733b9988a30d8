"""Gives a claimed pod the CPU and memory of its function, in place, while it serves.

Off the path of the first answer. What the node has no room for stays at the pool's size: the
function runs, with less than it asked for, and that is said.
"""

from __future__ import annotations

import logging

from jupyter_faas.core.model import Resources
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, path_of
from jupyter_faas.providers.kubernetes.pod_state import Pod
from jupyter_faas.providers.kubernetes.pods import pod_resources

STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_log = logging.getLogger(__name__)


async def resize_pod(api: KubeApi, pod: Pod, wanted: Resources) -> str:
    """Ask for a pod's new size; return why it was refused, empty if it was taken.

    Whether the node has room is seen later, see `Pod.resize`.
    """
    container = {"name": pod.container, "resources": pod_resources(wanted)}
    body = {"spec": {"containers": [container]}}
    path = path_of("pods", pod.namespace, pod.name, part="resize")
    try:
        await api.patch(path, body, STRATEGIC_PATCH)
    except KubeError as error:
        if error.is_missing:
            return ""
        _log.warning("the pod %s keeps the size of its pool: %s", pod.name, error)
        return error.message
    return ""


def why_not_resized(pod: Pod) -> str:
    """Return why a pod still has another size than was asked for, in words; empty: it is done."""
    if not pod.resize_reason:
        return ""
    said = pod.resize.rstrip(".") or pod.resize_reason
    if pod.resize_reason == "Deferred":
        return f"it has the size of the warm pool until its node has room: {said}"
    return f"it keeps the size of the warm pool: {said}"
