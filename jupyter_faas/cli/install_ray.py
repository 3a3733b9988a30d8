"""The part of `jupyter-faas install` that is about Ray: its options, and which kind is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from jupyter_faas.providers.kubernetes.install import InstallOptions

F = TypeVar("F", bound=Callable[..., Any])

AUTO, STATEFUL_SET, RAY_CLUSTER = "auto", "statefulset", "raycluster"
_DEFAULT = InstallOptions()
_OPTIONS = (
    click.option("--ray", is_flag=True, help="A Ray for maps, in each namespace of functions."),
    click.option(
        "--ray-kind",
        type=click.Choice([AUTO, STATEFUL_SET, RAY_CLUSTER]),
        default=AUTO,
        show_default=True,
        help="What workers are: KubeRay's RayCluster if the cluster has that kind (it is asked), "
        "else a StatefulSet.",
    ),
    click.option(
        "--ray-min-workers",
        type=int,
        default=_DEFAULT.ray_min_workers,
        show_default=True,
        help="Workers that are always there.",
    ),
    click.option(
        "--ray-max-workers",
        type=int,
        default=_DEFAULT.ray_max_workers,
        show_default=True,
        help="Workers that there are while maps wait.",
    ),
    click.option(
        "--ray-worker-cpu",
        type=float,
        default=_DEFAULT.ray_worker_cpu,
        show_default=True,
        help="CPUs that a worker requests: one seat for each.",
    ),
    click.option(
        "--ray-worker-memory",
        "ray_worker_mib",
        type=int,
        default=_DEFAULT.ray_worker_mib,
        show_default=True,
        metavar="MIB",
        help="Memory of a worker; Ray itself takes 512 of it.",
    ),
    click.option(
        "--ray-idle",
        "ray_idle_s",
        type=float,
        default=_DEFAULT.ray_idle_s,
        show_default=True,
        metavar="SECONDS",
        help="Workers above the minimum go after so long without need.",
    ),
    click.option(
        "--ray-image",
        default=_DEFAULT.ray_image,
        show_default=True,
        metavar="IMAGE",
        help="Image of Ray; {python} becomes the first minor of --pool.",
    ),
)


def ray_options(command: F) -> F:
    """Give a command the options about Ray."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def choose_kind(options: InstallOptions, kind: str, context: str | None) -> InstallOptions:
    """Return the options with the kind of object that Ray is written as.

    Args:
        options: What is installed.
        kind: Of `--ray-kind`; `auto` asks the cluster, and says on stderr what that means.
        context: Of kubeconfig.
    """
    if not options.ray:
        return options
    is_kuberay = kind == RAY_CLUSTER or (kind == AUTO and _has_kuberay(context))
    return msgspec.structs.replace(options, is_kuberay=is_kuberay)


def _has_kuberay(context: str | None) -> bool:
    import asyncio  # noqa: PLC0415 - `--help` need not wait for it

    from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError  # noqa: PLC0415 - heavy
    from jupyter_faas.providers.kubernetes.install.check import has_kuberay  # noqa: PLC0415 - as above

    async def ask() -> bool:
        api = await KubeApi.connect(context)
        try:
            return await has_kuberay(api)
        finally:
            await api.close()

    try:
        is_there = asyncio.run(ask())
    except KubeError:
        click.echo(
            "The cluster cannot be asked whether it has KubeRay: Ray is written without. "
            "--ray-kind says which you want.",
            err=True,
        )
        return False
    if is_there:
        click.echo(
            "The cluster has KubeRay: Ray is written as a RayCluster. "
            "--ray-kind statefulset writes it without.",
            err=True,
        )
    return is_there
