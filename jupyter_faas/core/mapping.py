"""What a map is to be: the words of `POST /v1/maps`; and how it goes. Pure values."""

from __future__ import annotations

from typing import Annotated

import msgspec

from jupyter_faas.core.model import Kind, Retries, Value
from jupyter_faas.core.names import DEFAULT_NAMESPACE

HEADER = b"Faas-Map"
"""Carries a `MapOrder` as JSON: the body is the inputs, from its first byte."""
TRIES_HEADER = b"Faas-Map-Tries"
"""Says in the answer how often the map may be begun in all, if its gateway goes away."""
PATH = "/v1/maps"
KEPT_PREFIX = "map-"
"""Of the ids of maps that are kept."""
ENGINES = ("auto", "replicas", "ray")


class Seating(Value, kw_only=True):
    """What it takes to run a function on Ray: what the gateway alone knows."""

    interpreter: str = ""
    """Ray's workers run on the replicas' Python; empty: Ray is elsewhere and has its own."""
    python: str = ""
    """Minor version that the code needs, where that may be another one; empty: it is not."""
    pythonpath: str = ""
    environ: dict[str, str] = {}
    """The shell's basics, for Ray's processes and the replicas forked there."""
    specialisation: bytes = b""
    """msgpack, but for the replica's name and secret."""


class MapFunction(Value, kw_only=True):
    """What the gateway tells the driver of the function that is mapped."""

    revision_id: str
    kind: Kind = Kind.FUNCTION
    timeout_s: float = 300.0
    max_inputs: int = 1
    max_containers: int = 10
    memory_mib: int = 512
    retries: Retries = Retries()
    idempotent: bool | None = None
    seating: Seating | None = None
    """None: it runs on its replicas only."""
    why_not_ray: str = ""
    """Why, as a sentence for people, where Ray would have served others."""


def most_tries(idempotent: bool | None) -> int:
    """Return how often a map may be begun in all: what was lost with a gateway may have run.

    Args:
        idempotent: What its function says; None: an item may be begun three times.
    """
    if idempotent is None:
        return 3
    return 10 if idempotent else 1


class MapOrder(Value, kw_only=True):
    """One map, as it is asked for."""

    function: str
    id: str = ""
    """Filled in by the gateway where there are several: it tells which of them has the map."""
    namespace: str = DEFAULT_NAMESPACE
    revision: int | None = None
    """Its number; the gateway fills it in: a map keeps to one revision."""
    method: str | None = None
    """Of a class."""
    is_ordered: bool = True
    stops_at_error: bool = True
    wants_results: bool = True
    """False: of a result it comes back only that it is there."""
    engine: str = "auto"
    chunk_size: Annotated[int, msgspec.Meta(ge=0)] = 0
    """0: adaptive."""
    total: int | None = None
    """Number of inputs, if the caller knows it; for people."""
    is_kept: bool = False
    """Inputs and outcomes are kept: it outlasts its caller, and is answered by its id."""
    is_tallied: bool = False
    """Filled in by the gateway: it counts the items of a kept map by their outcomes."""
    of: MapFunction | None = None
    """Filled in by the gateway."""


class MapState(Value, kw_only=True, omit_defaults=False):
    """How a map goes: body of a PROGRESS frame (msgpack), and a row of `GET /v1/maps`."""

    id: str
    function: str
    namespace: str = DEFAULT_NAMESPACE
    revision: int = 0
    engine: str = "replicas"
    state: str = "running"
    """running | done | failed | cancelled"""
    note: str = ""
    """A sentence worth knowing, e.g. why Ray takes no part."""
    total: int | None = None
    given: int = 0
    done: int = 0
    failed: int = 0
    running: int = 0
    """Chunks at workers now."""
    rate: float = 0.0
    """Items per second, lately."""
    workers: tuple[float, ...] = ()
    """How busy each worker is, 0 to 1."""
    slowest: tuple[int, float] | None = None
    """The item that has run longest: index and seconds."""
    started_at: float = 0.0
    ended_at: float = 0.0
    """Of a kept map that has ended; 0: it has not."""
    is_kept: bool = False


class MapUse(Value, kw_only=True, omit_defaults=False):
    """What maps of one function have used: sums of one driver, or what was added to them."""

    function: str
    namespace: str = DEFAULT_NAMESPACE
    items: int = 0
    """That have ended, failed ones too; those of kept maps are tallied."""
    failed: int = 0
    memory_mib_s: float = 0.0
    """Memory limit times run time, of what ran where the gateway does not meter: on Ray."""
    cpu_s: float = 0.0
    """CPU time of the same."""

    def since(self, before: MapUse) -> MapUse:
        """Return what came after an earlier sum of the same driver."""
        return msgspec.structs.replace(
            self,
            items=self.items - before.items,
            failed=self.failed - before.failed,
            memory_mib_s=self.memory_mib_s - before.memory_mib_s,
            cpu_s=self.cpu_s - before.cpu_s,
        )


class MapTally(Value, kw_only=True, omit_defaults=False):
    """How many items of a kept map have ended, by its outcomes: the next driver says the same."""

    key: str
    """Of the map, in this gateway's turn with it."""
    function: str
    namespace: str = DEFAULT_NAMESPACE
    items: int = 0
    """That have, or had, an outcome: one that is retried counts once."""
    failed: int = 0
    """Those of them that have failed, even if not in the end."""
    items_before: int = 0
    """That others have counted: before this gateway's turn, or before items were tallied."""
    failed_before: int = 0
    is_over: bool = False


class MapPrint(Value, kw_only=True, omit_defaults=False):
    """Something an item has printed where the gateway does not hear it."""

    function: str
    namespace: str = DEFAULT_NAMESPACE
    revision: int
    map: str
    """Its id."""
    stream: int
    text: bytes


class MapUses(Value, kw_only=True, omit_defaults=False):
    """What all maps of one driver have used, and printed where only the driver heard it."""

    driver: str = ""
    """Names its process: the sums of another one begin anew."""
    functions: tuple[MapUse, ...] = ()
    kept: tuple[MapTally, ...] = ()
    prints: tuple[MapPrint, ...] = ()
    last_print: int = 0
    """Number of the last of them; the gateway names it when it asks again."""
