"""The controller's parts, tied to one gateway's own; made by the composition root.

`attach` it to a gateway before that is started.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_faas.gateway.autoscaler import Scaled
from jupyter_faas.gateway.catalogue import RegistryChange
from jupyter_faas.gateway.cluster.controller import Controller
from jupyter_faas.gateway.cluster.events import KubernetesEvents
from jupyter_faas.gateway.cluster.services import FunctionServices
from jupyter_faas.gateway.cluster.status_writer import StatusWriter
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.gateway.store.kubernetes import KubernetesStore
from jupyter_faas.gateway.store.sight import Key
from jupyter_faas.providers.kubernetes.api import KubeApi
from jupyter_faas.providers.kubernetes.names import GATEWAY_NAME

if TYPE_CHECKING:
    from jupyter_faas.gateway.service import GatewayService


class ClusterControl:
    """Follows the cluster's Functions and tells the cluster what becomes of them.

    Args:
        service: Not started yet.
        store: Its store.
        api: The cluster.
        owns: Whether a function is this gateway's, by namespace and name.
    """

    def __init__(
        self,
        service: GatewayService,
        store: KubernetesStore,
        api: KubeApi,
        owns: Callable[[str, str], bool] = lambda _namespace, _name: True,
    ) -> None:
        settings = service.settings
        self._service = service
        self._sight = store.sight
        system = f"{settings.system_namespace}.svc.{settings.cluster_domain}"
        self._gateway = f"{GATEWAY_NAME}.{system}"
        self.writer = StatusWriter(
            store,
            service.registry,
            replicas=service.fleet.replicas,
            url=self._url,
            owns=owns,
            clock=service.clock,
            wall_clock=service.wall_clock,
        )
        self.controller = self.writer.controller = Controller(
            store,
            service.registry,
            service.blobs,
            service.provider,
            owns=owns,
            on_look=self._looked,
        )
        self.events = KubernetesEvents(api, store.sight, owns, service.clock, service.wall_clock)
        self.services = FunctionServices(
            api, store.sight, settings.namespaces, self._gateway, owns, self._say
        )

    async def start(self) -> None:
        """Begin; the gateway listens already."""
        self._service.registry.subscribe(self.events.on_change)
        self._service.registry.subscribe(self._on_change)
        self.controller.start()
        self.writer.start()
        self.services.start()

    async def close(self) -> None:
        """Stop, after what is being written."""
        await self.services.close()
        await self.controller.close()
        await self.writer.close()
        await self.events.close()

    def gained(self, namespace: str, name: str) -> None:
        """A function has become this gateway's."""
        self.controller.gained((namespace, name))

    def lost(self, namespace: str, name: str) -> None:
        """A function has become another gateway's."""
        self.controller.look((namespace, name))

    def on_replica(self, replica: Replica) -> None:
        """State or reason of a replica is another one."""
        entry = replica.entry.function
        self.writer.touch((entry.namespace, entry.name))
        self.events.on_replica(replica)

    def on_scaled(self, scaled: Scaled) -> None:
        """The autoscaler has decided something."""
        self.events.on_scaled(scaled)

    def _on_change(self, change: RegistryChange) -> None:
        self.writer.touch((change.function.namespace, change.function.name))

    def _looked(self, key: Key) -> None:
        self.services.look(key)
        self.writer.touch(key)
        refused = self.controller.refused(key)
        if refused is not None:
            self.events.say(key, "Warning", refused.reason, refused.message)

    def _say(self, key: Key, type: str, reason: str, message: str) -> None:
        self.events.say(key, type, reason, message)
        self.writer.touch(key)

    def _url(self, key: Key) -> str:
        namespace, name = key
        seen = self._sight.functions.get(key)
        is_exposed = seen is not None and seen.spec is not None and bool(seen.spec.expose)
        if is_exposed and not self.services.is_taken(key):
            return f"http://{name}.{namespace}.svc"
        base = self._service.settings.url or f"http://{self._gateway}"
        return f"{base}/function/{namespace}/{name}"
