"""Writes of pods that reach the cluster whatever happens on the way."""

from __future__ import annotations

import asyncio
import logging
import math

from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, path_of
from jupyter_faas.providers.kubernetes.names import REPLICA_LABEL
from jupyter_faas.providers.kubernetes.pod_state import Pod

_log = logging.getLogger(__name__)

_RETRY_S = 0.3
_CREATES, _DELETES = 3, 100


async def create_pod(api: KubeApi, namespace: str, body: Object) -> Object:
    """Create a pod of a name of its own; return it as stored.

    Raises:
        KubeError: It is refused, or the API server has not answered several times.
    """
    path, name = path_of("pods", namespace), body["metadata"]["name"]
    for _ in range(_CREATES - 1):
        try:
            return await api.create(path, body)
        except KubeError as error:
            if error.is_conflict:  # the answer to the try before was lost
                return await api.get(path_of("pods", namespace, name))
            if not error.is_passing:
                raise
        await asyncio.sleep(_RETRY_S)
    return await api.create(path, body)


async def claim_pod(api: KubeApi, pod: Pod, replica: str, body: Object) -> Object:
    """Patch a pod so that it is a replica's; return it as stored.

    Raises:
        KubeError: Somebody else was faster, or the API server has not answered several times.
    """
    path = path_of("pods", pod.namespace, pod.name)
    for _ in range(_CREATES + 1):
        try:
            return await api.patch(path, body)
        except KubeError as error:
            # Without an answer it may have been done or not, now or before: the pod tells.
            if not (error.is_passing or error.is_conflict):
                raise
            stored = await _found(api, path)
            if stored is not None and _replica_of(stored) == replica:
                return stored
            if error.is_conflict:
                raise
        await asyncio.sleep(_RETRY_S)
    raise KubeError(0, "Unreachable", "The Kubernetes API does not answer.")


async def _found(api: KubeApi, path: str) -> Object | None:
    """Return an object if it can be read now."""
    try:
        return await api.find(path)
    except KubeError:
        return None


def _replica_of(stored: Object) -> str:
    return str((stored["metadata"].get("labels") or {}).get(REPLICA_LABEL, ""))


async def delete_pod(api: KubeApi, pod: Pod, grace_s: float | None) -> None:
    """Delete this very pod, trying until it is done.

    Args:
        api: Where.
        pod: Another one of its name is left alone.
        grace_s: Between SIGTERM and SIGKILL, at least 1: a pod without grace is forgotten before
            its processes have ended. None: its node is lost, it is forgotten.
    """
    grace = 0 if grace_s is None else max(1, math.ceil(grace_s))
    options = {"gracePeriodSeconds": grace, "preconditions": {"uid": pod.uid}}
    path = path_of("pods", pod.namespace, pod.name)
    for turn in range(_DELETES):
        try:
            await api.delete(path, options)
        except KubeError as error:
            if error.is_conflict and not await _is_there(api, path, pod.uid):
                return
            if not (error.is_passing or error.is_conflict):
                _log.error("the pod %s cannot be deleted: %s", pod.name, error)
                return
            await asyncio.sleep(min(5.0, _RETRY_S * (turn + 1)))
        else:
            return


async def _is_there(api: KubeApi, path: str, uid: str) -> bool:
    """Return whether an object is (or may be) there; another one of its name does not count."""
    try:
        found = await api.find(path)
    except KubeError:
        return True
    return found is not None and found["metadata"]["uid"] == uid
