"""The order of a map: read, checked, and completed with what the gateway knows of the function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from jupyter_faas.core.engines import why_not_ray
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.mapping import ENGINES, HEADER, MapFunction, MapOrder, Seating
from jupyter_faas.core.model import Kind, RevisionState
from jupyter_faas.gateway import heads
from jupyter_faas.gateway.endings import failure_of
from jupyter_faas.wire.exchange import Exchange

if TYPE_CHECKING:
    from jupyter_faas.gateway.entries import RevisionEntry
    from jupyter_faas.gateway.registry import Registry

_HEADER = HEADER.lower()
_STREAMS = frozenset({Kind.GENERATOR, Kind.ASYNC_GENERATOR})
_order = msgspec.json.Decoder(MapOrder).decode
_json = msgspec.json.Encoder().encode


def read_order(exchange: Exchange) -> MapOrder:
    """Return what is to be mapped.

    Raises:
        InvalidSpec: That cannot be read.
    """
    try:
        order = _order(exchange.header(_HEADER, b""))
    except msgspec.MsgspecError as error:
        raise InvalidSpec(f"{HEADER.decode()} says what to map, as JSON: {error}.") from error
    if order.engine not in ENGINES:
        raise InvalidSpec(f"engine={order.engine!r}: allowed is one of {', '.join(ENGINES)}.")
    return order


def revision_of(
    order: MapOrder, exchange: Exchange, namespace: str, registry: Registry
) -> RevisionEntry:
    """Return the revision that a map is to keep to.

    Raises:
        FaasError: There is none that it may.
    """
    function = registry.get(namespace, order.function)
    if order.revision is None:
        entry = function.route(None)
    else:
        entry = registry.get_revision(function, order.revision)
    if entry.revision.state is RevisionState.FAILED:
        raise failure_of(entry)
    seen = exchange.header(b"faas-seen")
    if seen is not None:
        registry.check_seen(entry, heads.revision_number(seen))
    return entry


def filled(
    order: MapOrder, entry: RevisionEntry, namespace: str, id: str, seating: Seating | None
) -> bytes:
    """Return the order with its revision, and what that is, as the driver gets it.

    Raises:
        InvalidSpec: The function cannot be mapped, or not on Ray though that is asked for.
    """
    spec = entry.revision.spec
    why = why_not_ray(spec)
    if why and order.engine == "ray":
        raise InvalidSpec(f"`{order.function}` cannot be mapped with engine='ray': {why}")
    kind = spec.code.methods.get(order.method or "", spec.code.kind)
    if kind in _STREAMS:
        raise InvalidSpec(f"`{order.function}` yields: a map needs a function that returns.")
    scaling = entry.function.function.settings.scaling
    of = MapFunction(
        revision_id=entry.revision.id,
        kind=kind,
        timeout_s=spec.timeout_s,
        max_inputs=spec.max_inputs,
        max_containers=max(1, scaling.max_containers),
        memory_mib=spec.resources.memory_mib,
        retries=spec.retries,
        idempotent=spec.idempotent,
        seating=None if why else seating,
        why_not_ray=why if seating is not None else "",
    )
    said = {"id": id, "namespace": namespace, "revision": entry.number, "of": of}
    return _json(msgspec.structs.replace(order, **said, is_tallied=True))
