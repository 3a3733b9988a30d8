"""The protocol of a store: where functions, revisions and invocation records survive.

The registry writes here first and changes memory after, so a store is the truth and any process
may be killed at any moment. One contract suite (tests/gateway/store_contract.py) runs against all
of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from jupyter_faas.core.model import Function, InvocationRecord, Revision
from jupyter_faas.gateway.past import Past
from jupyter_faas.gateway.store.kept_base import KeptStore
from jupyter_faas.gateway.store.rows import InvocationRow
from jupyter_faas.gateway.tallies import Counted, Tallied

Pasts = Mapping[tuple[str, str], Past]
"""What has been counted of functions, by (namespace, name)."""

NO_PASTS: Pasts = MappingProxyType({})
NO_TALLIES: Tallied = MappingProxyType({})


class Change(NamedTuple):
    """What changes about one function; written as a whole or not at all."""

    namespace: str
    name: str
    function: Function | None = None
    """Its new value; None: it stays as it is."""
    revisions: tuple[Revision, ...] = ()
    """New ones, and those whose state has changed."""
    removed: tuple[int, ...] = ()
    """Numbers of revisions to drop."""
    is_followed: bool = False
    """What is wanted was read from the store: it is not to be written back there."""


class Contents(NamedTuple):
    """Everything the registry needs at start-up."""

    functions: list[Function]
    revisions: list[Revision]
    pasts: Pasts = NO_PASTS


class StoreEvent(NamedTuple):
    """What somebody else has changed about one function: its content now."""

    namespace: str
    name: str
    function: Function | None
    """None: it is gone, or nothing of it was deployed yet."""
    revisions: tuple[Revision, ...] = ()


class Store(Protocol):
    """Keeps control state durably and invocation records soon.

    All methods are called from the gateway's loop and never block it. They raise `ProviderError`
    when the medium fails (full, busy, not writable: what was asked for is then not done) and
    `InternalError` when the content cannot be read.
    """

    @property
    def kept(self) -> KeptStore | None:
        """Where calls are kept; None: this store cannot."""

    async def open(self) -> None:
        """Get ready; brings an older schema up to date."""

    async def load(self) -> Contents:
        """Return all functions and revisions."""

    async def save(self, change: Change) -> None:
        """Write one function's change; durable when it returns, also against power loss."""

    async def delete(self, namespace: str, name: str) -> None:
        """Remove a function and its revisions; its invocation records stay."""

    async def tallies(self) -> dict[str, Counted]:
        """Return what has been counted of kept maps, as `add_invocations` was told."""

    def add_invocations(
        self,
        rows: Sequence[InvocationRow],
        pasts: Pasts = NO_PASTS,
        tallied: Tallied = NO_TALLIES,
    ) -> None:
        """Take a group of records of ended invocations; durable within 100 ms. Never waits.

        The caller changes `rows` no more. `rows.record_of` makes a record of one. `pasts` is what
        their functions have come to with them, `tallied` what of kept maps is in that: written as
        a whole with the group, or, by a store that many gateways share, not at all. Of a function
        that is not there it is passed over.
        """

    async def invocation(self, invocation_id: str) -> InvocationRecord | None:
        """Return the newest record with this id, also one taken a moment ago."""

    async def invocations(
        self, namespace: str, name: str | None = None, limit: int = 100
    ) -> list[InvocationRecord]:
        """Return the newest records of a namespace or one function, newest first."""

    async def get_meta(self, key: str) -> str | None:
        """Return a small text kept under `key`."""

    async def set_meta(self, key: str, value: str) -> None:
        """Keep a small text under `key`, durably."""

    def watch(self) -> AsyncIterator[StoreEvent]:
        """Yield what others change, once for any number of changes at a time. One reader.

        A store that nobody else writes to never yields. Own changes may be among it.
        """

    async def close(self) -> None:
        """Write what is left and let go of the medium. Twice is fine."""
