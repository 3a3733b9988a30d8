"""What the gateway holds in memory of a function and of a revision: small, mutable, one each.

The registry replaces the frozen values inside them, the activator hangs its pool on a revision,
everybody else reads. A thousand sleeping functions cost a few kilobytes each: no locks, no
tasks, no pools in here until something is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

from jupyter_faas.core.model import Function, Revision, RevisionState
from jupyter_faas.core.traffic import TrafficTable
from jupyter_faas.gateway.past import NO_PAST, Past

if TYPE_CHECKING:
    from jupyter_faas.core.slots import Slots

_serial = count(1)


class FunctionEntry:
    """A function, its revisions and its traffic.

    Attributes:
        function: The stored value; replaced as a whole on every change.
        revisions: By number, ascending.
        traffic: Table made from `function.traffic`; empty until a first revision is ready.
        is_deleted: Set once when the function is deleted; nothing may start for it then.
        past: What was counted of it before, by other gateways and by pools that are gone.
    """

    __slots__ = ("__weakref__", "function", "is_deleted", "past", "revisions", "traffic")

    def __init__(self, function: Function, past: Past = NO_PAST) -> None:
        self.function = function
        self.past = past
        self.revisions: dict[int, RevisionEntry] = {}
        self.is_deleted = False
        self.traffic = table_of(function)

    @property
    def namespace(self) -> str:
        """Namespace of the function."""
        return self.function.namespace

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.function.name

    @property
    def latest(self) -> RevisionEntry:
        """The revision that was last deployed or rolled back to; it may be pending or failed."""
        return self.revisions[self.function.latest]

    def route(self, key: bytes | None = None) -> RevisionEntry:
        """Return the revision for the next invocation: by weight, or the first one, still pending.

        The entry may be failed when no revision ever got ready: its `problem` says why.
        """
        return self.revisions[self.traffic.pick(key) or self.function.latest]

    def live(self) -> Iterator[RevisionEntry]:
        """Yield the revisions that get traffic."""
        return (self.revisions[number] for number in self.traffic.numbers)

    def __repr__(self) -> str:
        return f"FunctionEntry({self.namespace}/{self.name})"


class RevisionEntry:
    """A revision of a function that exists now.

    Attributes:
        revision: The stored value; replaced as a whole when its state changes.
        function: The function it belongs to.
        pool: The activator's slots; None while nothing was asked of it.
        key: Unique among all entries of this process, also after a delete and a new deploy.
    """

    __slots__ = ("__weakref__", "function", "key", "pool", "revision")

    def __init__(self, function: FunctionEntry, revision: Revision) -> None:
        self.function = function
        self.revision = revision
        self.pool: Slots | None = None
        self.key = f"{revision.namespace}/{revision.function}/{revision.number}#{next(_serial)}"

    @property
    def number(self) -> int:
        """Its number among the revisions of its function."""
        return self.revision.number

    @property
    def is_live(self) -> bool:
        """Whether it gets traffic."""
        return self.number in self.function.traffic and not self.is_removed

    @property
    def is_pending(self) -> bool:
        """Whether its first replica is still to come."""
        return self.revision.state is RevisionState.PENDING

    @property
    def is_removed(self) -> bool:
        """Whether the function was deleted or retention has dropped this revision."""
        return self.function.is_deleted or self.function.revisions.get(self.number) is not self

    def __repr__(self) -> str:
        return f"RevisionEntry({self.key})"


def table_of(function: Function) -> TrafficTable:
    """Return the traffic table of a function; its name salts sticky keys."""
    return TrafficTable(function.traffic, function.name.encode())
