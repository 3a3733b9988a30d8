"""Which gateways a cluster has: the EndpointSlices of their headless Service.

A pod that ends is named no more; whether one that is named is ready is seen by the link to it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from jupyter_faas.core.ownership import Member
from jupyter_faas.providers.kubernetes.api import KubeApi, Object, path_of
from jupyter_faas.providers.kubernetes.names import GATEWAY_PORT

_GROUP = "discovery.k8s.io/v1"


class KubernetesMembers:
    """The gateways behind a headless Service that publishes addresses before they are ready.

    Args:
        api: Of the cluster.
        namespace: Of the Service.
        service: Its name.
    """

    def __init__(self, api: KubeApi, namespace: str, service: str) -> None:
        self._api = api
        self._path = path_of("endpointslices", namespace, group=_GROUP)
        self._selector = f"kubernetes.io/service-name={service}"

    async def watch(self) -> AsyncIterator[tuple[Member, ...]]:
        """Yield all members now, and whenever they change.

        Raises:
            KubeError: EndpointSlices may not be watched.
        """
        slices: dict[str, list[Member]] = {}
        fresh: set[str] = set()
        told: tuple[Member, ...] | None = None
        async for event in self._api.watch(self._path, labelSelector=self._selector):
            if event.kind == "SYNCED":
                slices = {name: slices[name] for name in fresh & slices.keys()}
                fresh = set()
            else:
                name = event.object["metadata"]["name"]
                if event.kind == "DELETED":
                    slices.pop(name, None)
                    fresh.discard(name)
                else:
                    slices[name] = members_of(event.object)
                    fresh.add(name)
                if told is None:
                    continue  # Until SYNCED more of the first list may come.
            found = tuple(sorted({one for each in slices.values() for one in each}))
            if found != told:
                told = found
                yield found


def members_of(slice: Object) -> list[Member]:
    """Return the gateways of one EndpointSlice, those that end left out."""
    ports: list[dict[str, Any]] = slice.get("ports") or []
    port = next((one["port"] for one in ports if one.get("port")), GATEWAY_PORT)
    is_v6 = slice.get("addressType") == "IPv6"
    members = []
    for endpoint in slice.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        addresses = endpoint.get("addresses") or ()
        name = (endpoint.get("targetRef") or {}).get("name")
        if name and addresses and not conditions.get("terminating"):
            host = f"[{addresses[0]}]" if is_v6 else addresses[0]
            members.append(Member(name, f"{host}:{port}"))
    return members
