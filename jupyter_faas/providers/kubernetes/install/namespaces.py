"""The namespaces: one for gateways and keys, the others for functions. Both `restricted`."""

from __future__ import annotations

from jupyter_faas.providers.kubernetes.install.objects import Object, obj
from jupyter_faas.providers.kubernetes.install.options import InstallOptions

RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}


def namespaces(options: InstallOptions) -> list[Object]:
    """Return the system namespace and those of functions.

    Theirs get one label and nothing that says they are ours: they may be full of other things.
    """
    system = obj("v1", "Namespace", options.system_namespace, labels=RESTRICTED)
    return [system, *(_of_functions(name) for name in options.namespaces)]


def _of_functions(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": RESTRICTED},
    }
