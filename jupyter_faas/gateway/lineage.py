"""Who called whom: nested invocations, their depth, and the deadlock they can make.

An invocation made from within another one names it as its parent: it inherits what is left of
the parent's deadline and ends with it. It may also wait for a slot that only its own ancestors
hold; then nobody can ever move, and the newest waiter has to fail. Where the calls between two of
one chain run at other gateways, the later one names the ids of all it was made in, so a chain that
comes back is seen. Two chains that wait for one another across gateways are not: there the queue
timeout is the bound. Pure: looks at the objects, changes nothing but the family lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from jupyter_faas.core.errors import BadRequest, NestedDeadlock

if TYPE_CHECKING:
    from jupyter_faas.gateway.activator import Pool
    from jupyter_faas.gateway.invocation import Invocation

MAX_DEPTH = 16
"""Longest chain of nested calls, the first one not counted."""

CanGrow = Callable[["Pool"], bool]


def adopt(parent: Invocation, child: Invocation) -> None:
    """Make `child` a nested call of `parent`, or of one that `parent` has made elsewhere."""
    child.parent = parent
    if parent.children is None:
        parent.children = set()
    parent.children.add(child)


def descend(child: Invocation, depth: int) -> None:
    """Note that `child` is called by an invocation of this depth.

    Raises:
        BadRequest: The chain is too long (508, as for a loop).
    """
    depth += 1
    if depth > MAX_DEPTH:
        raise BadRequest(
            f"Nested calls are {depth} deep; at most {MAX_DEPTH} are allowed. "
            "A function that calls itself needs an end.",
            status=508,
        )
    child.depth = depth


def disown(child: Invocation) -> None:
    """Forget the tie to the parent; `child` has ended."""
    parent = child.parent
    if parent is not None and parent.children is not None:
        parent.children.discard(child)


def descendants(invocation: Invocation) -> Iterable[Invocation]:
    """Yield every living nested call below `invocation`, not itself."""
    for child in tuple(invocation.children or ()):
        yield child
        yield from descendants(child)


def is_stuck(pool: Pool, can_grow: CanGrow, assumed: frozenset[Pool] = frozenset()) -> bool:
    """Return whether no invocation queued in `pool` can ever get a slot.

    That is so when the pool cannot grow and each of its slots is held by an invocation that waits
    for a nested call which is itself queued in a stuck pool. A pool met again on the way counts
    as stuck: a ring of waiting is what is looked for (greatest fixed point).

    Args:
        pool: Where somebody waits.
        can_grow: Whether a pool has, or may get, replicas beyond those that serve.
        assumed: Pools on the way here.
    """
    if pool in assumed:
        return True
    if can_grow(pool):
        return False
    assumed |= {pool}
    return all(
        _waits_in_vain(holder, can_grow, assumed)
        for replica in pool.replicas.values()
        for holder in replica.leases.values()
    )


def _waits_in_vain(holder: object, can_grow: CanGrow, assumed: frozenset[Pool]) -> bool:
    nested: Invocation = holder  # type: ignore[assignment]  # - only calls hold leases
    return any(
        child.is_queued and is_stuck(child.pool, can_grow, assumed) for child in descendants(nested)
    )


def deadlock(child: Invocation) -> NestedDeadlock:
    """Return the error of a nested call that could wait for ever."""
    entry = child.pool.entry
    limit = entry.function.function.settings.scaling.max_containers
    return NestedDeadlock(
        f"Every replica of `{entry.function.name}` is held by a call that waits for this one, "
        f"and no more may start (max_containers={limit}, max_inputs={child.pool.max_inputs}): "
        "raise one of them.",
        retry_after_s=1.0,
    )
