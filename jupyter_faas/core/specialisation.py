"""What a generic runner is told to become, and what it reports about itself.

The gateway sends a `Specialisation` (msgpack, then the package blob unless `package_path` names
it) to `POST /v1/specialise` of a replica's front. Pure values.
"""

from __future__ import annotations

from typing import Any

from jupyter_faas.core.model import PROTOCOL_VERSION, Kind, Place, Retries, Value

SEALED = "application/vnd.faas.sealed-specialisation"
"""Content type of a specialisation whose head is sealed; the framing of the body is the same."""


class Specialisation(Value, kw_only=True):
    """Everything a runner needs to serve one revision."""

    protocol: int = PROTOCOL_VERSION
    function: str
    namespace: str
    revision: int
    revision_id: str
    replica: str
    secret: str
    """Every further request to the front carries it as `Faas-Secret`."""
    package_digest: str
    """sha256 of the blob; checked before it is unpickled."""
    package_path: str | None = None
    """A file on this machine that holds the blob; None: the blob follows in the body."""
    kind: Kind = Kind.FUNCTION
    max_inputs: int = 1
    timeout_s: float = 300.0
    startup_timeout_s: float = 60.0
    grace_s: float = 0.15
    """Between KeyboardInterrupt and kill."""
    memory_mib: int = 512
    retries: Retries = Retries()
    idempotent: bool | None = None
    env: dict[str, str] = {}
    """Complete: `env=` of the function plus FAAS_REPLICA, FAAS_GATEWAY_URL, FAAS_GATEWAY_TOKEN."""
    place: Place | None = None


class Hello(Value, kw_only=True):
    """Answer of a front to `GET /v1/runner`, and to a successful specialisation."""

    protocol: int = PROTOCOL_VERSION
    version: str
    python: str
    state: str
    """generic | loading | ready | draining | failed"""
    replica: str = ""
    revision_id: str = ""
    max_inputs: int = 1
    in_flight: int = 0
    load_ms: float = 0.0
    worker_pid: int | None = None
    modules: dict[str, str] = {}
    """Only if asked for (`GET /v1/runner?modules`): distribution name → version."""
    top_level: tuple[str, ...] = ()
    """Likewise: importable top-level names."""
    nonce: str = ""
    """base64; told while generic by a runner that takes only sealed specialisations."""
    public_key: str = ""
    """base64 of the X25519 key that they are sealed to."""

    def to_strangers(self) -> Hello:
        """Return what those are told who do not know the replica's secret: nothing of its code."""
        return Hello(
            protocol=self.protocol, version=self.version, python=self.python, state=self.state
        )


class CallEnd(Value, kw_only=True):
    """Body (msgpack) of an END frame, and of ENDED on the watch stream."""

    id: str
    """Invocation id."""
    run_ms: float = 0.0
    outcome: str = "done"
    is_running: bool = False
    """The caller has its answer, the code has not ended: the lease goes on until ENDED."""
    problem: dict[str, Any] | None = None
    memory_mib: float | None = None
    """Peak resident memory of the worker, if known."""
