"""Everything that is installed on a cluster, as plain objects in the order they are applied. Pure.

`jupyter-faas install` prints `manifests(options)`. Each module makes one part: namespaces, RBAC,
gateways, pools, blobs, network, Ray. Nothing here reads or holds a secret: keys are made by the
first gateway, on the cluster.
"""

from __future__ import annotations

from jupyter_faas.providers.kubernetes.crds import crds
from jupyter_faas.providers.kubernetes.install.blobs import blob_store
from jupyter_faas.providers.kubernetes.install.gateway import gateway
from jupyter_faas.providers.kubernetes.install.namespaces import namespaces
from jupyter_faas.providers.kubernetes.install.network import network_policies
from jupyter_faas.providers.kubernetes.install.objects import Object
from jupyter_faas.providers.kubernetes.install.options import InstallOptions
from jupyter_faas.providers.kubernetes.install.pools import pools
from jupyter_faas.providers.kubernetes.install.ray import ray
from jupyter_faas.providers.kubernetes.install.rbac import rbac

__all__ = ["InstallOptions", "manifests"]


def manifests(options: InstallOptions) -> list[Object]:
    """Return every object of an installation; what others need comes before them."""
    return [
        *namespaces(options),
        *crds(),
        *rbac(options),
        *network_policies(options),
        *blob_store(options),
        *gateway(options),
        *pools(options),
        *ray(options),
    ]
