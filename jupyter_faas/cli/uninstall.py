"""`jupyter-faas uninstall`: take an installation off a cluster."""

from __future__ import annotations

from collections.abc import Callable

import click

from jupyter_faas.cli.cluster_yaml import require_extra
from jupyter_faas.cli.output import json_option, to_json
from jupyter_faas.core.errors import ProviderError, UsageError
from jupyter_faas.providers.kubernetes.names import GATEWAY_NAME, SYSTEM_NAMESPACE


@click.command
@click.option(
    "--system-namespace",
    metavar="NS",
    default=SYSTEM_NAMESPACE,
    show_default=True,
    help="Where the gateways are; they know the namespaces of their functions.",
)
@click.option("--keep-crds", is_flag=True, help="Leave the kinds Function and FunctionRevision.")
@click.option("--context", metavar="NAME", help="Of kubeconfig.")
@click.option("--yes", is_flag=True, help="Delete; without it, only tell what would be.")
@json_option
def uninstall(
    system_namespace: str, keep_crds: bool, context: str | None, yes: bool, as_json: bool
) -> int:
    """Remove functions and gateways from a cluster.

    Functions go first, with their replicas; then what `install` has made. The system namespace goes
    with the volume of packages in it; the namespaces of functions stay.
    """
    require_extra()
    import asyncio  # noqa: PLC0415 - `--help` need not wait for it

    from jupyter_faas.providers.kubernetes.api import KubeError  # noqa: PLC0415 - heavy

    named: list[str] = []
    tell = named.append if as_json else _tell if yes else click.echo
    try:
        asyncio.run(_uninstall(system_namespace, keep_crds, context, tell, is_sure=yes))
    except KubeError as error:
        if error.is_missing:
            raise UsageError(
                f"Namespace {system_namespace} has no Deployment {GATEWAY_NAME}: nothing is "
                "installed there. --system-namespace names another one."
            ) from error
        raise ProviderError(error.message) from error
    if as_json:
        click.echo(to_json({"deleted" if yes else "wouldDelete": named}))
    return 0


async def _uninstall(
    system: str,
    keeps_crds: bool,
    context: str | None,
    tell: Callable[[str], None],
    *,
    is_sure: bool,
) -> None:
    from jupyter_faas.providers.kubernetes.api import KubeApi  # noqa: PLC0415 - heavy
    from jupyter_faas.providers.kubernetes.install import removal  # noqa: PLC0415 - as above

    api = await KubeApi.connect(context)
    try:
        options = await removal.installed(api, system)
        functions = await removal.functions(api, options.namespaces)
        if others := await removal.others(api, options):
            click.echo(
                f"Kept: the CRDs and the users' ClusterRoles, for {', '.join(others)}.", err=True
            )
        plan = [
            *await removal.pools(api, options.namespaces),
            *removal.plan(options, keeps_crds=keeps_crds or bool(others)),
        ]
        if not is_sure:
            doomed = [*functions, *await removal.existing(api, plan)]
            for one in doomed:
                tell(str(one))
            click.echo(f"\n{len(doomed)} objects; --yes deletes them.", err=True)
            return
        await removal.remove_functions(api, functions, options.namespaces, tell)
        await removal.remove(api, plan, tell)
    finally:
        await api.close()


def _tell(what: str) -> None:
    click.echo(f"deleted {what}")
