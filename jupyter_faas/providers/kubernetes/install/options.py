"""What can be chosen about an installation, and which choices do not fit. Pure."""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.model import Value
from jupyter_faas.core.names import DEFAULT_NAMESPACE
from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.kubernetes.names import SYSTEM_NAMESPACE
from jupyter_faas.providers.kubernetes.pods import PRELOAD

DEFAULT_POOL = {"3.11": 4}
DEFAULT_BLOB_SIZE = "10Gi"
RAY_OWN_MIB = 512
"""What Ray itself takes of a worker's memory; replicas share the rest."""
MIN_SEAT_MIB = 128
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
_MINOR = re.compile(r"3\.\d{1,2}")
_SIZE = re.compile(r"[1-9]\d*(Ki|Mi|Gi|Ti|k|M|G|T)?")
_URL = re.compile(r"https?://[^/\s]+(/\S*)?")
_BLOB_URL = re.compile(r"none|http://[^/\s]+/?|(s3|gs|az)://[^/\s]+(/\S*)?")


class Egress(StrEnum):
    """Where functions may connect to, beside DNS and their gateway."""

    NONE = "none"
    PUBLIC = "public"
    ALL = "all"


class InstallOptions(Value, kw_only=True):
    """One installation; the defaults are `deploy/install.yaml`."""

    system_namespace: str = SYSTEM_NAMESPACE
    namespaces: tuple[str, ...] = (DEFAULT_NAMESPACE,)
    """Those in which functions live."""
    registry: str = ""
    """Before the names of our images, e.g. `registry.example.org/team`."""
    gateway_image: str = f"jupyter-faas/gateway:{VERSION}"
    runner_image: str = f"jupyter-faas/runner:{VERSION}-py{{python}}"
    """`{python}` stands for the minor version."""
    pull_policy: str = "IfNotPresent"
    pull_secret: str | None = None
    """Name of a Secret for the registry, in every namespace named here."""
    replicas: int = 2
    """Gateways."""
    pool: dict[str, int] = msgspec.field(default_factory=DEFAULT_POOL.copy)
    """Python minor → generic runners kept ready, in each functions' namespace."""
    runtime_classes: dict[str, int] = {}
    """RuntimeClass → the same for it, for each Python of `pool`."""
    preload: tuple[str, ...] = PRELOAD
    blob_size: str = DEFAULT_BLOB_SIZE
    blob_url: str = ""
    """Of an object store, or of a blobs service that is there; `none`; empty: one is installed."""
    blob_secret: str = ""
    """Secret in the system namespace with the object store's variables, `AWS_…` and the like."""
    domain: str = ""
    ingress_class: str = ""
    url: str = ""
    """Address that people are told; empty: `http://` and the domain, if there is one."""
    egress: Egress = Egress.PUBLIC
    ray: bool = False
    """A Ray for maps in each functions' namespace."""
    is_kuberay: bool = False
    """Written as KubeRay's RayCluster, which needs no StatefulSet of ours."""
    ray_image: str = f"jupyter-faas/ray:{VERSION}-py{{python}}"
    """`{python}` stands for the first minor version of `pool`."""
    ray_min_workers: int = 1
    ray_max_workers: int = 4
    ray_worker_cpu: float = 1.0
    """CPUs that a worker requests; it has a seat for each whole one, and at least one."""
    ray_worker_mib: int = 2048
    """Memory limit of a worker."""
    ray_idle_s: float = 60.0
    """So long without need, a worker above the minimum goes."""

    @property
    def has_blob_service(self) -> bool:
        """Whether there is a pod of ours that keeps calls and maps."""
        return self.has_blob_volume or self.is_in_object_store

    @property
    def has_blob_volume(self) -> bool:
        """Whether blobs are kept on a volume of the cluster, not at a URL."""
        return not self.blob_url

    @property
    def is_in_object_store(self) -> bool:
        """Whether packages are kept in an object store."""
        return self.blob_url.startswith(("s3:", "gs:", "az:"))

    @property
    def ray_seats(self) -> int:
        """How many replicas a worker of Ray holds at once."""
        return max(1, int(self.ray_worker_cpu))

    @property
    def ray_seat_mib(self) -> int:
        """What a replica may take there."""
        return (self.ray_worker_mib - RAY_OWN_MIB) // self.ray_seats

    @property
    def public_url(self) -> str:
        """Where people call from outside; empty: nowhere, they come through the API server."""
        return self.url or (f"http://{self.domain}" if self.domain else "")

    def image(self, template: str, python: str = "") -> str:
        """Return the full name of an image."""
        name = template.replace("{python}", python)
        return f"{self.registry.rstrip('/')}/{name}" if self.registry else name


def check(options: InstallOptions) -> InstallOptions:
    """Return the options if they fit together.

    Raises:
        InvalidSpec: One does not; the text names it and what is allowed.
    """
    _check_names(options)
    _check_pools(options)
    if not 1 <= options.replicas <= 100:
        raise InvalidSpec(f"--replicas {options.replicas}: 1 to 100 gateways.")
    if not _SIZE.fullmatch(options.blob_size):
        raise InvalidSpec(f"--blob-size {options.blob_size}: an amount like 10Gi.")
    if options.blob_url and not _BLOB_URL.fullmatch(options.blob_url):
        raise InvalidSpec(
            f"--blob-url {options.blob_url}: `s3://BUCKET/PREFIX` (or gs://, az://), "
            "`http://HOST:PORT` of a blobs service, or `none` for no packages over 64 KiB."
        )
    if options.blob_secret and not options.is_in_object_store:
        raise InvalidSpec("--blob-secret needs --blob-url s3://…: whose credentials it holds.")
    if options.domain and not _DOMAIN.fullmatch(options.domain):
        raise InvalidSpec(f"--domain {options.domain}: a domain name like faas.example.org.")
    if options.ingress_class and not options.domain:
        raise InvalidSpec("--ingress-class needs --domain: what the Ingress is for.")
    _check_ray(options)
    if options.url and not _URL.fullmatch(options.url):
        raise InvalidSpec(f"--url {options.url}: an address like https://faas.example.org.")
    return options


def _check_names(options: InstallOptions) -> None:
    if not options.namespaces:
        raise InvalidSpec("--namespace: at least one for functions.")
    if len(set(options.namespaces)) < len(options.namespaces):
        raise InvalidSpec("--namespace names a namespace twice.")
    for option, name in [
        ("--system-namespace", options.system_namespace),
        *(("--namespace", name) for name in options.namespaces),
    ]:
        if not _LABEL.fullmatch(name):
            raise InvalidSpec(
                f"{option} {name}: 1 to 63 lower-case letters, digits and `-`, "
                "starting and ending with a letter or digit."
            )
    if options.system_namespace in options.namespaces:
        raise InvalidSpec(
            f"--namespace {options.system_namespace} is the --system-namespace too: functions "
            "would live beside the keys of their gateway."
        )


def _check_pools(options: InstallOptions) -> None:
    if not options.pool:
        raise InvalidSpec("--pool: at least one, like 3.11=4.")
    for python, size in options.pool.items():
        if not _MINOR.fullmatch(python):
            raise InvalidSpec(f"--pool {python}={size}: a Python minor version like 3.11.")
        _check_size(f"--pool {python}={size}", size)
    for name, size in options.runtime_classes.items():
        if not _LABEL.fullmatch(name):
            raise InvalidSpec(f"--runtime-class {name}={size}: the name of a RuntimeClass.")
        _check_size(f"--runtime-class {name}={size}", size)
    if len(options.pool) > 1 and "{python}" not in options.runner_image:
        raise InvalidSpec(
            "--runner-image needs {python} in it where there is more than one --pool: "
            "an image has one Python."
        )


def _check_ray(options: InstallOptions) -> None:
    least, most = options.ray_min_workers, options.ray_max_workers
    if not 0 <= least <= most <= 1000:
        raise InvalidSpec(
            f"--ray-min-workers {least}, --ray-max-workers {most}: 0 to 1000, the first not above "
            "the second."
        )
    if not most:
        raise InvalidSpec("--ray-max-workers 0: Ray without a worker runs no map.")
    if not 0.01 <= options.ray_worker_cpu <= 256:
        raise InvalidSpec(f"--ray-worker-cpu {options.ray_worker_cpu:g}: 0.01 to 256 CPUs.")
    if not options.ray_idle_s >= 1:
        raise InvalidSpec(f"--ray-idle {options.ray_idle_s:g}: 1 second or more.")
    if options.ray_seat_mib < MIN_SEAT_MIB:
        needed = RAY_OWN_MIB + MIN_SEAT_MIB * options.ray_seats
        raise InvalidSpec(
            f"--ray-worker-memory {options.ray_worker_mib}: Ray itself and {options.ray_seats} "
            f"seats need {needed} MiB or more."
        )


def _check_size(said: str, size: int) -> None:
    if not 0 <= size <= 1000:
        raise InvalidSpec(f"{said}: 0 to 1000 runners.")
