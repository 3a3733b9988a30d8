"""The vocabulary: what a function, a revision, a replica and an invocation are.

Frozen values without behaviour, shared by client, gateway, providers and runner. On the wire
(JSON of the control API, msgpack to the runner, CRDs) fields are written out in camelCase with
their unit: `scaledown_window_s` → `scaledownWindowSeconds`. Never holds user objects.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, dataclass_transform

import msgspec

from jupyter_faas.core.names import DEFAULT_NAMESPACE

PROTOCOL_VERSION = 1
"""What gateway and runner speak to each other; N and N-1 work together."""


def speaks(protocol: int) -> bool:
    """Return whether this program and one that speaks `protocol` understand each other."""
    return abs(protocol - PROTOCOL_VERSION) <= 1


_UNITS = {"s": "Seconds", "ms": "Milliseconds", "mib": "Mebibytes", "bytes": "Bytes"}


def wire_name(field: str) -> str:
    """Return the wire name of a field: camelCase, its unit written out."""
    head, *rest = field.split("_")
    if rest and rest[-1] in _UNITS:
        rest[-1] = _UNITS[rest[-1]]
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=wire_name):
    """Base of every model type: immutable, keyword-only, camelCase on the wire.

    `kw_only` is the one option that msgspec does not hand down: a subclass says it again.
    """


class Kind(StrEnum):
    """What calling the function gives."""

    FUNCTION = "function"
    ASYNC = "async"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async_generator"
    CLASS = "class"


class Resources(Value, kw_only=True):
    """Per replica. CPU in cores, memory in MiB; a limit of None is no limit."""

    cpu: float = 0.1
    cpu_limit: float | None = None
    memory_mib: int = 512
    memory_request_mib: int | None = None
    gpu: str | None = None


class Retries(Value, kw_only=True):
    """How often and when a call that raised is run again."""

    max_retries: int = 0
    initial_delay_s: float = 1.0
    backoff_coefficient: float = 2.0
    max_delay_s: float = 60.0


class Schedule(Value, kw_only=True):
    """Cron or period; exactly one of `cron` and `period_s` is set."""

    cron: str | None = None
    tz: str = "UTC"
    period_s: float | None = None


class Place(Value, kw_only=True):
    """Where local replicas run: the deploying kernel's interpreter and surroundings."""

    interpreter: str
    cwd: str
    sys_path: tuple[str, ...] = ()
    environ: dict[str, str] = {}
    """The shell's basics (PATH, HOME, LANG, TZ …), never the whole environment."""


class Code(Value, kw_only=True):
    """The package of a revision, by reference."""

    digest: str
    """sha256 of the package blob, 64 hex digits."""
    size_bytes: int
    entry: str
    """Name of the function or class, for people."""
    kind: Kind = Kind.FUNCTION
    python: str
    """Minor version the code was pickled with, e.g. `3.11`."""
    methods: dict[str, Kind] = {}
    """For a class: its remote methods. `""` is never a key."""
    signature: str = "(...)"
    parameters: tuple[dict[str, Any], ...] = ()
    """For forms and JSON: one `{name, kind, annotation, default}` each."""
    modules: dict[str, str] = {}
    """Third-party modules it uses, with the versions seen by the notebook (environment stamp)."""


class RevisionSpec(Value, kw_only=True):
    """Everything that changes what runs. Immutable; its fingerprint names the revision."""

    code: Code
    packages: tuple[str, ...] = ()
    image: str | None = None
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    volumes: dict[str, str] = {}
    resources: Resources = Resources()
    timeout_s: float = 300.0
    startup_timeout_s: float = 60.0
    max_inputs: int = 1
    retries: Retries = Retries()
    idempotent: bool | None = None
    runtime_class: str | None = None
    node_selector: dict[str, str] = {}
    place: Place | None = None


class Scaling(Value, kw_only=True):
    """How many replicas; changes without a new revision."""

    min_containers: int = 0
    max_containers: int = 10
    buffer_containers: int = 0
    scaledown_window_s: float = 60.0
    target_inputs: float | None = None
    """Wanted mean in flight per replica; None: the revision's `max_inputs`."""


class FunctionSettings(Value, kw_only=True):
    """What belongs to the function, not to one revision of it."""

    scaling: Scaling = Scaling()
    queue_timeout_s: float = 60.0
    public: bool = False
    schedule: Schedule | None = None


class Origin(Value, kw_only=True):
    """Who deployed a revision, from where. Nothing secret."""

    owner: str = ""
    notebook: str = ""
    cell_id: str = ""
    source_digest: str = ""
    session: str = ""
    """Of a client without a notebook: which process; empty otherwise."""
    cell_number: int = 0
    """What stands at the cell's prompt, e.g. 7 of `[7]`; 0: no cell. Compared by nobody."""


class RevisionState(StrEnum):
    """Life of a revision."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class Revision(Value, kw_only=True):
    """One immutable version of a function."""

    function: str
    namespace: str = DEFAULT_NAMESPACE
    number: int
    id: str
    """Canonical fingerprint, 64 hex digits. Equal code and settings, equal id."""
    spec: RevisionSpec
    created_at: float
    """Seconds since the epoch (wall clock), for people only."""
    state: RevisionState = RevisionState.PENDING
    reason: str = ""
    """Why it is failed, in a sentence."""
    problem: dict[str, Any] | None = None
    """The problem document its first start failed with."""
    origin: Origin = Origin()


class Function(Value, kw_only=True):
    """A named remote callable."""

    name: str
    namespace: str = DEFAULT_NAMESPACE
    settings: FunctionSettings = FunctionSettings()
    declared: FunctionSettings | None = None
    """The settings of the last deploy; a deploy that repeats them leaves live changes alone."""
    latest: int
    """Number of the newest revision that was made live or is becoming so."""
    traffic: dict[int, int] = {}
    """Revision number → weight > 0. Empty until a first revision is ready."""
    shares: dict[int, int] = {}
    """How traffic is to be divided whatever gets ready, in per cent; 0 stands for the newest
    revision that is ready. Empty: a new revision gets everything."""
    previous: tuple[int, ...] = ()
    """Formerly live revisions, newest last: what `rollback` goes back to."""
    created_at: float = 0.0


class ReplicaState(StrEnum):
    """What a replica is doing."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    DRAINING = "draining"
    LOST = "lost"


class ReplicaStatus(Value, kw_only=True):
    """One replica as shown to people."""

    id: str
    function: str
    namespace: str = DEFAULT_NAMESPACE
    revision: int
    state: ReplicaState
    reason: str = ""
    in_flight: int = 0
    started_at: float = 0.0
    node: str = ""
    pid: int | None = None
    how: str = ""
    """How it came to be: `forked`, `forked ahead`, `claimed`, `created`; empty: not known."""
    start_ms: float = 0.0
    """From the wish to have it until it could be reached; 0: not yet, or not known."""
    load_ms: float = 0.0
    """How long its code took to load; 0: it has not been loaded."""


class DeployRequest(Value, kw_only=True):
    """Body of `PUT /v1/functions/{name}`."""

    id: str
    """Fingerprint of the revision."""
    revision: RevisionSpec
    settings: FunctionSettings = FunctionSettings()
    origin: Origin = Origin()
    seen: int | None = None
    """Revision number the client last saw live or deployed; None: it knows of none."""
    take_over: bool = False
    strategy: str = "rolling"
    shares: dict[int, int] = {}
    """Becomes `Function.shares`."""


class DeployAnswer(Value, kw_only=True):
    """Answer to a deploy: which revision it is now."""

    function: Function
    revision: Revision
    created: bool
    """False: this code was known; it is (again) the live revision."""


class Outcome(StrEnum):
    """How an invocation ended."""

    DONE = "done"
    ERROR = "error"
    """The user's code raised; counts as done."""
    TIMEOUT = "timeout"
    LOST = "lost"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    """Was never accepted (429/503 before it queued); not part of `accepted`."""
    DEAD = "dead"
    """Accepted and given up while queued."""


class InvocationRecord(Value, kw_only=True):
    """One invocation, metered. Times in milliseconds, memory as the replica's limit."""

    id: str
    function: str
    namespace: str = DEFAULT_NAMESPACE
    revision: int
    replica: str = ""
    outcome: Outcome
    code: str = ""
    """Error code if it did not end well."""
    detail: str = ""
    started_at: float
    """Wall clock, seconds; when it was accepted."""
    queued_ms: float = 0.0
    run_ms: float = 0.0
    memory_mib: int = 0
    cold: bool = False
