"""What a `Function` and a `FunctionRevision` hold on a cluster: their `spec` and `status` as types.

What people write and what `kubectl explain` tells: the CRDs (`crds.py`) are made from these types,
and the store reads and writes them. They say what `core/model.py` says, in the form Kubernetes
users expect: quantities for resources, percents for traffic, everything else by its wire name.
Pure values.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, TypeAlias

import msgspec

from jupyter_faas.core.model import (
    FunctionSettings,
    Kind,
    Origin,
    Retries,
    RevisionSpec,
    Schedule,
    Value,
)
from jupyter_faas.providers.kubernetes.schema import KEEPS_UNKNOWN

MAX_SOURCE_CHARACTERS = 512 * 1024
"""Of inline code: an object must stay well below the 1.5 MiB that etcd takes."""
MAX_PACKAGE_CHARACTERS = 1024 * 1024
DIGEST_PREFIX = "sha256:"
MAX_CONTAINERS = 10_000

_LABEL = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_MINOR = "^3\\.[0-9]{1,2}$"


def _says(meaning: str, **limits: Any) -> msgspec.Meta:
    return msgspec.Meta(description=meaning, **limits)


def _open(meaning: str) -> msgspec.Meta:
    return msgspec.Meta(description=meaning, extra_json_schema=KEEPS_UNKNOWN)


Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=_LABEL)]
Quantity: TypeAlias = int | str
"""As Kubernetes writes amounts: `2`, `100m`, `256Mi`."""


class Expose(StrEnum):
    """How a function is reached beside the gateway's own paths."""

    SERVICE = "service"


class CodeObject(Value, kw_only=True):
    """What runs: source text written here, or a package that was uploaded before, by its digest."""

    source: Annotated[
        str | None,
        _says("Python source; it is run as a module once per worker, then `entry` is called."),
    ] = None
    digest: Annotated[
        str | None, _says("`sha256:` and 64 hex digits of an uploaded package, instead of source.")
    ] = None
    entry: Annotated[
        str | None,
        _says("Name of the function or class; may be left out if the source has only one."),
    ] = None
    python: Annotated[
        str, _says("Minor version of Python, e.g. `3.11`; a pool has to offer it.", pattern=_MINOR)
    ]
    size_bytes: Annotated[int | None, _says("Size of the package.")] = None
    kind: Annotated[Kind | None, _says("What calling it gives; found in the code if absent.")] = (
        None
    )
    signature: Annotated[str | None, _says("Its signature, for people.")] = None
    methods: Annotated[dict[str, Kind], _says("Remote methods of a class.")] = {}
    parameters: Annotated[
        tuple[dict[str, Any], ...], _says("One `{name, kind, annotation, default}` each.")
    ] = ()
    modules: Annotated[
        dict[str, str], _says("Third-party modules the code uses, with their versions.")
    ] = {}


class ScalingObject(Value, kw_only=True):
    """How many replicas, and how many calls at once in each."""

    min_containers: Annotated[
        int,
        _says(
            "Replicas that are always there; what `kubectl scale` and an HPA set. The autoscaler "
            "only adds to it.",
            ge=0,
            le=MAX_CONTAINERS,
        ),
    ] = 0
    max_containers: Annotated[
        int, _says("Never more replicas than this.", ge=1, le=MAX_CONTAINERS)
    ] = 10
    buffer_containers: Annotated[
        int, _says("Idle replicas kept above need while there is load.", ge=0, le=MAX_CONTAINERS)
    ] = 0
    scaledown_window_s: Annotated[
        float, _says("Seconds without calls before replicas above the minimum stop.", ge=0)
    ] = 60.0
    max_inputs: Annotated[
        int, _says("Calls at once in one replica, at most; part of the revision.", ge=1, le=10_000)
    ] = 1
    target_inputs: Annotated[
        float | None, _says("Wanted mean of calls at once in one replica; absent: maxInputs.")
    ] = None


class ResourcesObject(Value, kw_only=True):
    """What one replica gets, as Kubernetes quantities."""

    cpu: Annotated[Quantity | None, _says("Cores asked for, e.g. `100m` (the default) or `2`.")] = (
        None
    )
    cpu_limit: Annotated[Quantity | None, _says("Cores it may not exceed; absent: no limit.")] = (
        None
    )
    memory: Annotated[
        Quantity | None,
        _says("What the function's own data may take, e.g. `512Mi` (the default)."),
    ] = None
    memory_request: Annotated[
        Quantity | None,
        _says("Memory to be kept free for it on the node; absent: a quarter."),
    ] = None
    gpu: Annotated[str | None, _says("A count like `1`, or a kind and a count like `a100:2`.")] = (
        None
    )


class TrafficObject(Value, kw_only=True):
    """A share of the calls."""

    revision: Annotated[int | None, _says("Number of a revision.")] = None
    latest: Annotated[bool | None, _says("The newest revision that is ready, instead.")] = None
    percent: Annotated[int, _says("Share of the calls; all together 100.", ge=0, le=100)]


class FunctionSpecObject(Value, kw_only=True):
    """What is wanted. A change of anything but scaling and traffic makes a new revision."""

    code: Annotated[CodeObject, _says("What runs: exactly one of source and digest.")]
    scaling: Annotated[ScalingObject, _says("How many replicas; changes without a revision.")] = (
        ScalingObject()
    )
    resources: Annotated[ResourcesObject, _says("What one replica gets.")] = ResourcesObject()
    traffic: Annotated[
        tuple[TrafficObject, ...],
        _says(
            "Shares of revisions; absent: everything to the newest that is ready.", max_length=20
        ),
    ] = ()
    timeout_s: Annotated[float, _says("Seconds a call may run.", gt=0)] = 300.0
    startup_timeout_s: Annotated[float, _says("Seconds a cold start may take.", gt=0)] = 60.0
    queue_timeout_s: Annotated[float, _says("Seconds a call may wait for a replica.", gt=0)] = 60.0
    env: Annotated[dict[str, str], _says("Plain environment variables.")] = {}
    secrets: Annotated[
        tuple[str, ...],
        _says(
            "Names of Secrets of this namespace that are labelled `jupyter-faas.io/allow: "
            '"true"`; their keys become environment variables.',
            max_length=64,
        ),
    ] = ()
    volumes: Annotated[
        dict[str, str], _says("Path → name of a PersistentVolumeClaim.", max_length=64)
    ] = {}
    packages: Annotated[
        tuple[str, ...],
        _says("Requirements that the runner must meet, checked before it starts without `image`."),
    ] = ()
    image: Annotated[str | None, _says("An image of your own, made from a runner image.")] = None
    runtime_class: Annotated[str | None, _says("A RuntimeClass, e.g. `gvisor`.")] = None
    node_selector: Annotated[dict[str, str], _says("Labels of the nodes it may run on.")] = {}
    retries: Annotated[Retries, _says("Whether calls that raised are run again.")] = Retries()
    idempotent: Annotated[
        bool | None, _says("May lost calls be run again? Absent: not if the code could have run.")
    ] = None
    schedule: Annotated[Schedule | None, _says("Cannot be used yet; will run it at times.")] = None
    public: Annotated[bool, _says("May be called over HTTP without a token.")] = False
    expose: Annotated[
        Expose | None,
        _says("`service`: a Service of the function's name, `http://{name}.{namespace}.svc`."),
    ] = None


class ConditionObject(Value, kw_only=True, omit_defaults=False):
    """One condition, as of all Kubernetes objects."""

    type: str
    status: Annotated[str, _says("`True`, `False` or `Unknown`.", pattern="^(True|False|Unknown)$")]
    observed_generation: int = 0
    last_transition_time: Annotated[str, _says("RFC 3339, when `status` last changed.")]
    reason: Annotated[str, _says("One CamelCase word.")]
    message: Annotated[str, _says("A sentence.")] = ""


class FunctionStateObject(Value, kw_only=True):
    """What the gateway remembers about a function (`core.model.Function`)."""

    latest: int = 0
    traffic: dict[int, int] = {}
    shares: dict[int, int] = {}
    previous: tuple[int, ...] = ()
    declared: FunctionSettings | None = None
    created_at: float = 0.0


class FunctionStatusObject(Value, kw_only=True, omit_defaults=False):
    """What is. Written by the gateway that owns the function."""

    observed_generation: Annotated[int, _says("Generation of the spec that this is about.")] = 0
    latest_revision: Annotated[str, _says("Name of the newest FunctionRevision.")] = ""
    replicas: Annotated[int, _says("Replicas that exist.")] = 0
    selector: Annotated[str, _says("Labels of their pods, for an HPA.")] = ""
    url: Annotated[str, _says("Where the function is called.")] = ""
    in_flight: Annotated[int, _says("Calls that run or wait.")] = 0
    conditions: Annotated[tuple[ConditionObject, ...], _says("`Ready` and what explains it.")] = ()
    state: Annotated[FunctionStateObject | None, _open("The gateway's own bookkeeping.")] = None


class RevisionSpecObject(Value, kw_only=True):
    """One immutable version of a function: code and every setting that changes what runs."""

    function: Annotated[str, _says("Name of its Function.", pattern=_LABEL)]
    number: Annotated[int, _says("1, 2, 3 … per function.", ge=1)]
    id: Annotated[str, _says("Fingerprint: equal code and settings, equal id.")]
    created_at: Annotated[float, _says("Seconds since the epoch.")] = 0.0
    revision: Annotated[RevisionSpec, _open("Code and settings, as the gateway's API has them.")]
    origin: Annotated[Origin, _open("Who deployed it, from where.")] = Origin()
    package: Annotated[
        str | None, _says("The package, compressed (zlib), in base64; absent: a blob.")
    ] = None


class RevisionStatusObject(Value, kw_only=True, omit_defaults=False):
    """How a revision fares."""

    state: Annotated[str, _says("`pending`, `ready` or `failed`.")] = "pending"
    reason: Annotated[str, _says("Why it is failed.")] = ""
    problem: Annotated[
        dict[str, Any] | None, _open("The problem document its first start failed with.")
    ] = None
