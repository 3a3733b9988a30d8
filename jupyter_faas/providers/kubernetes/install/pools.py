"""Warm pools: in each functions' namespace one Deployment per Python minor and runtime class."""

from __future__ import annotations

from jupyter_faas.providers.kubernetes.install.objects import Object, obj
from jupyter_faas.providers.kubernetes.install.options import InstallOptions
from jupyter_faas.providers.kubernetes.names import (
    MANAGED_LABEL,
    MANAGER,
    POOL,
    PYTHON_LABEL,
    ROLE_LABEL,
    RUNTIME_LABEL,
)
from jupyter_faas.providers.kubernetes.pods import DEFAULT_RUNTIME, RunnerShape, runner_pod


def pools(options: InstallOptions) -> list[Object]:
    """Return the pools of all functions' namespaces."""
    return [
        _pool(options, namespace, python, runtime_class, size)
        for namespace in options.namespaces
        for python, default_size in options.pool.items()
        for runtime_class, size in [(None, default_size), *options.runtime_classes.items()]
    ]


def pool_name(python: str, runtime_class: str | None = None) -> str:
    """Return the name of a pool's Deployment."""
    suffix = f"-{runtime_class}" if runtime_class else ""
    return f"jupyter-faas-pool-py{python.replace('.', '')}{suffix}"


def _pool(
    options: InstallOptions, namespace: str, python: str, runtime_class: str | None, size: int
) -> Object:
    # A claim changes the role, by which the ReplicaSet lets the pod go and makes another.
    selector = {
        MANAGED_LABEL: MANAGER,
        ROLE_LABEL: POOL,
        PYTHON_LABEL: python,
        RUNTIME_LABEL: runtime_class or DEFAULT_RUNTIME,
    }
    shape = RunnerShape(
        image=options.image(options.runner_image, python),
        python=python,
        runtime_class=runtime_class,
        labels={ROLE_LABEL: POOL},
        preload=options.preload,
        pull_policy=options.pull_policy,
        pull_secret=options.pull_secret,
    )
    spec = {
        "replicas": size,
        "revisionHistoryLimit": 1,
        "selector": {"matchLabels": selector},
        # Half of a pool stays for claims while the other half is being renewed.
        "strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "50%"}},
        "template": runner_pod(shape),
    }
    name = pool_name(python, runtime_class)
    return obj("apps/v1", "Deployment", name, namespace, labels=selector, spec=spec)
