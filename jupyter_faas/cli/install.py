"""`jupyter-faas install`: what a cluster needs, as YAML; with `--check`, what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from jupyter_faas.cli.cluster_yaml import require_extra, to_yaml
from jupyter_faas.cli.install_ray import choose_kind, ray_options
from jupyter_faas.cli.output import json_option, to_json
from jupyter_faas.core.errors import InvalidSpec, ProviderError
from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.kubernetes.install import InstallOptions, manifests
from jupyter_faas.providers.kubernetes.install.options import Egress, check

HEADER = f"""\
# jupyter_faas {VERSION} on Kubernetes, printed by `jupyter-faas install`. Apply with
#   kubectl apply --server-side -f THIS_FILE
# (server-side: the CRDs are too large for kubectl's own annotation). docs/kubernetes.md says more.
"""
"""Comment above the objects; `deploy/install.yaml` has it too."""
_DEFAULT = InstallOptions()


def _pairs(option: str) -> Callable[[Any, Any, tuple[str, ...]], dict[str, int]]:
    """Return a reader of `NAME=NUMBER` options."""

    def read(ctx: Any, parameter: Any, given: tuple[str, ...]) -> dict[str, int]:
        found: dict[str, int] = {}
        for text in given:
            name, _, number = text.partition("=")
            if not name or not number.isdecimal():
                raise InvalidSpec(f"{option} {text}: NAME=NUMBER, like {option} {_LIKE[option]}.")
            if name in found:
                raise InvalidSpec(f"{option} names {name} twice.")
            found[name] = int(number)
        return found

    return read


_LIKE = {"--pool": "3.11=4", "--runtime-class": "gvisor=2"}


@click.command
@click.option(
    "--namespace",
    "namespaces",
    multiple=True,
    metavar="NS",
    default=_DEFAULT.namespaces,
    show_default=True,
    help="Where functions live; repeat it for several.",
)
@click.option(
    "--system-namespace",
    metavar="NS",
    default=_DEFAULT.system_namespace,
    show_default=True,
    help="Where gateways, keys and blobs are.",
)
@click.option("--registry", default="", metavar="HOST/PATH", help="Registry of the images.")
@click.option(
    "--gateway-image",
    default=_DEFAULT.gateway_image,
    show_default=True,
    metavar="IMAGE",
    help="Image of the gateways.",
)
@click.option(
    "--runner-image",
    default=_DEFAULT.runner_image,
    show_default=True,
    metavar="IMAGE",
    help="Image of runners; {python} becomes the minor version.",
)
@click.option(
    "--pull-policy",
    type=click.Choice(["Always", "IfNotPresent", "Never"]),
    default=_DEFAULT.pull_policy,
    show_default=True,
    help="When images are pulled.",
)
@click.option("--pull-secret", metavar="NAME", help="Secret for the registry, in each namespace.")
@click.option(
    "--replicas", type=int, default=_DEFAULT.replicas, show_default=True, help="Gateways."
)
@click.option(
    "--pool",
    multiple=True,
    metavar="PYTHON=N",
    callback=_pairs("--pool"),
    show_default="3.11=4",
    help="Generic runners kept ready per namespace, for a Python minor; repeat it for several.",
)
@click.option(
    "--runtime-class",
    "runtime_classes",
    multiple=True,
    metavar="NAME=N",
    callback=_pairs("--runtime-class"),
    help="The same for a RuntimeClass, e.g. gvisor=2.",
)
@click.option(
    "--preload",
    default=",".join(_DEFAULT.preload),
    show_default=True,
    metavar="MODULE,…",
    help="Modules that runners are born with, if their image has them; `none` for none.",
)
@click.option(
    "--blob-size",
    default=_DEFAULT.blob_size,
    show_default=True,
    metavar="SIZE",
    help="Volume for packages over 64 KiB, and for what is kept of calls and maps.",
)
@click.option(
    "--blob-url",
    default="",
    metavar="URL",
    help="Keep packages, calls and maps there instead: s3://BUCKET/PREFIX (or gs, az), "
    "http://HOST:PORT of a blobs service, or `none`.",
)
@click.option(
    "--blob-secret",
    default="",
    metavar="NAME",
    help="Secret in the system namespace with that store's variables: AWS_ACCESS_KEY_ID ….",
)
@click.option(
    "--domain",
    default="",
    metavar="DOMAIN",
    help="Make an Ingress: NAME.DOMAIN calls the function NAME.",
)
@click.option("--ingress-class", default="", metavar="NAME", help="Its class.")
@click.option(
    "--url",
    default="",
    metavar="URL",
    help="Address that people are told, e.g. https://DOMAIN.  [default: http://DOMAIN]",
)
@click.option(
    "--egress",
    type=click.Choice([choice.value for choice in Egress]),
    default=_DEFAULT.egress.value,
    show_default=True,
    help="Where functions may connect to, beside DNS and their gateway.",
)
@ray_options
@click.option("--check", "is_check", is_flag=True, help="Say what the cluster lacks instead.")
@click.option("--context", metavar="NAME", help="Of kubeconfig, where the cluster is asked.")
@json_option
def install(is_check: bool, context: str | None, as_json: bool, **given: Any) -> int:
    """Print what has to be applied to a cluster.

    \b
      jupyter-faas install --check
      jupyter-faas install | kubectl apply --server-side -f -
      jupyter-faas install --ray --ray-max-workers 8 | kubectl apply --server-side -f -

    Nothing is changed and no secret is printed: the gateways make their keys themselves. Prints
    the same for the same options: keep it in your repository if you like.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    require_extra()
    options = _options(context, given)
    if is_check:
        return _check(options, context, as_json)
    objects = manifests(options)
    click.echo(
        to_json({"apiVersion": "v1", "kind": "List", "items": objects})
        if as_json
        else HEADER + to_yaml(objects),
        nl=as_json,
    )
    return 0


def _options(context: str | None, given: dict[str, Any]) -> InstallOptions:
    """Return the options as a value.

    Raises:
        InvalidSpec: They do not fit; names the one.
    """
    preload = tuple(part for part in given.pop("preload").split(",") if part not in ("", "none"))
    pool = given.pop("pool") or _DEFAULT.pool
    egress = Egress(given.pop("egress"))
    kind = given.pop("ray_kind")
    options = check(InstallOptions(preload=preload, pool=pool, egress=egress, **given))
    return choose_kind(options, kind, context)


def _check(options: InstallOptions, context: str | None, as_json: bool) -> int:
    import asyncio  # noqa: PLC0415 - `--help` need not wait for it

    from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError  # noqa: PLC0415 - heavy
    from jupyter_faas.providers.kubernetes.install.check import look  # noqa: PLC0415 - as above

    async def ask() -> Any:
        api = await KubeApi.connect(context)
        try:
            return await look(api, options)
        finally:
            await api.close()

    try:
        findings = asyncio.run(ask())
    except KubeError as error:
        raise ProviderError(error.message) from error
    if as_json:
        click.echo(to_json([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{_MARKS[finding.level]} {finding.what}: {finding.detail}")
    return 1 if any(finding.level == "lacks" for finding in findings) else 0


_MARKS = {
    "ok": click.style("ok    ", fg="green"),
    "note": click.style("note  ", fg="yellow"),
    "lacks": click.style("lacks ", fg="red"),
}
